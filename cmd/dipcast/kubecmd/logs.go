package kubecmd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/controllers/desired"
)

const logsUsage = `
PROGRAM logs TENANT [-f] [--previous] [--since D] [--tail N] [--call ID] [-n NAMESPACE]

Shows the log of the tenant's PBX. --call shows the lines of one call alone;
ID may be the beginning, as calls shows it.
`

func logs(ctx context.Context, env *Env, args []string) error {
	f := newFlags(env, "logs", logsUsage, false)
	var (
		follow, previous bool
		since            time.Duration
		tail             = -1
		call             string
	)
	f.flag(&follow, "f", "follow", "go on as lines are written")
	f.flag(&previous, "p", "previous", "the process before the last restart")
	f.duration(&since, "since", "only lines of this last time, e.g. 10m")
	f.number(&tail, "tail", "only the last N lines")
	f.text(&call, "", "call", "ID", "only lines of this call")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	o := &corev1.PodLogOptions{Container: desired.ContainerPBX, Follow: follow, Previous: previous}
	if since != 0 {
		if since < time.Second {
			return f.wrong("--since %s: must be at least 1s", since)
		}
		seconds := int64(since.Seconds())
		o.SinceSeconds = &seconds
	}
	if tail >= 0 {
		lines := int64(tail)
		o.TailLines = &lines
	}
	c, namespace, err := f.connect()
	if err != nil {
		return err
	}
	t, err := c.Tenant(ctx, tenantName(rest[0], namespace))
	if err != nil {
		return err
	}
	pod := cluster.PodName(cluster.Name(t))
	switch there, err := c.Pod(ctx, cluster.Name(t)); {
	case err != nil:
		return err
	case there == nil:
		return fmt.Errorf("there is no pod %s: kubectl dipcast status %s -n %s tells why", pod, t.Name, t.Namespace)
	}
	stream, err := c.Logs(ctx, pod, o)
	if err != nil {
		return cluster.Explain(fmt.Errorf("log of pod %s: %w", pod, err))
	}
	defer func() { _ = stream.Close() }()
	return unlessDone(ctx, copyLines(env.Stdout, stream, call))
}

// copyLines copies whole lines, with call only those that tell of that call.
func copyLines(w io.Writer, r io.Reader, call string) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" && (call == "" || ofCall(line, call)) {
			if _, err := io.WriteString(w, line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ofCall reports whether a line's attribute call begins with the ID.
func ofCall(line, call string) bool {
	return strings.Contains(line, " call="+call) || strings.Contains(line, ` call="`+call)
}
