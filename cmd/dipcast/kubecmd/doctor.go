package kubecmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/cmd/dipcast/doctor"
	"github.com/dipcast/dipcast/pbx/conf"
)

const doctorUsage = `
PROGRAM doctor [TENANT] [-n NAMESPACE | -A] [-o json|yaml] [--quiet]

Checks the installation and the tenants, each check as ok, warn or FAIL with
what is wrong and the cure. It reads the cluster, asks each PBX through the API
server, and asks the network from where you are: SIP (OPTIONS over UDP and TCP),
DNS, the console's certificate, the callback. It changes nothing. Exit code 1
with a FAIL.
`

func examine(ctx context.Context, env *Env, args []string) error {
	f := newFlags(env, "doctor", doctorUsage, true, formatJSON, formatYAML)
	var quiet bool
	f.flag(&quiet, "q", "quiet", "only what is not ok")
	rest, err := f.parse(args, 0)
	if err != nil {
		return err
	}
	c, namespace, err := f.connect()
	if err != nil {
		return err
	}
	scope := doctor.Scope{Namespace: namespace}
	if len(rest) == 1 {
		name := tenantName(rest[0], c.Namespace)
		scope = doctor.Scope{Namespace: name.Namespace, Name: name.Name}
	}
	s := &doctor.Snapshot{Now: env.Now(), Version: env.Version}
	g := doctor.Gatherer{Reader: c.Reader, Probe: env.Prober.Probe, Report: reporter(c)}
	if err := g.Gather(ctx, s, scope); err != nil {
		return cluster.Explain(err)
	}
	all := doctor.Examine(s)
	if f.output != formatText {
		err = f.print(struct {
			Worst    doctor.Level     `json:"worst"`
			Findings []doctor.Finding `json:"findings"`
		}{doctor.Worst(all), all})
	} else {
		env.findings(all, quiet)
	}
	if err == nil && doctor.Worst(all) == doctor.Fail {
		return errShown
	}
	return err
}

// reporter asks a tenant's PBX through the API server.
func reporter(c *cluster.Cluster) func(context.Context, *v1alpha1.PBXTenant) (*conf.Report, error) {
	return func(ctx context.Context, t *v1alpha1.PBXTenant) (*conf.Report, error) {
		p, err := c.PBX(ctx, t)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		r, err := p.Report(ctx)
		if err != nil {
			return nil, err
		}
		return r, nil
	}
}

// findings writes them by subject, the cure below what is wrong.
func (e *Env) findings(all []doctor.Finding, quiet bool) {
	longest := 0
	for _, f := range all {
		longest = max(longest, len(f.Check))
	}
	indent := 2 + 4 + 2 + longest + 2
	subject := ""
	count := map[doctor.Level]int{}
	for _, f := range all {
		count[f.Level]++
		if quiet && f.Level == doctor.OK {
			continue
		}
		if f.Subject != subject {
			subject = f.Subject
			fmt.Fprintln(e.Stdout, e.paint(strong, subject))
		}
		t := good
		switch f.Level {
		case doctor.Fail:
			t = bad
		case doctor.Warn:
			t = doubt
		case doctor.OK:
		}
		fmt.Fprintf(e.Stdout, "  %s%s  %-*s  %s\n", e.paint(t, string(f.Level)), strings.Repeat(" ", 4-len(f.Level)),
			longest, f.Check, wrap(f.Message, indent, e.columns()))
		if f.Cure != "" {
			fmt.Fprintf(e.Stdout, "%s%s\n", strings.Repeat(" ", indent), wrap("→ "+f.Cure, indent+2, e.columns()-2))
		}
	}
	fmt.Fprintf(e.Stdout, "%d ok, %s, %d FAIL\n", count[doctor.OK], many(count[doctor.Warn], "warning"), count[doctor.Fail])
}
