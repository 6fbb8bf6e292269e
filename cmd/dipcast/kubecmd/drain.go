package kubecmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/pbx/conf"
)

const drainUsage = `
PROGRAM drain TENANT [--hold D] [--wait] [--end-calls-after D] [-n NAMESPACE]
       PROGRAM drain TENANT --resume
       PROGRAM drain --node NODE [--hold D] [--timeout D] [--end-calls-after D] [--resume]

Makes a PBX refuse new calls (503, so that trunks and phones try elsewhere),
while the calls that are up go on. A drain ends by itself after --hold; it
changes no manifest and replaces no pod. With --node every tenant of the node is
drained, and the command waits until no call is up there.

To empty a node for maintenance this command is not needed:

  kubectl drain NODE --ignore-daemonsets --delete-emptydir-data

cordons the node and asks for each pod to be evicted. The PodDisruptionBudget of
a tenant (maxUnavailable: 0) refuses, and kubectl asks again every 5 seconds.
Meanwhile the operator sees the cordon and moves each tenant to another node in
the first moment without a call, at the latest after update.maxWait of its
class. "drain --node" before that makes this moment come sooner, since no new
calls begin; --end-calls-after sets its end.
`

// usualHold is how long a drain lasts that nobody renews or resumes.
const usualHold = 10 * time.Minute

// pollEvery is how often a waiting drain asks.
const pollEvery = 2 * time.Second

// drainFlags are the choices of one drain.
type drainFlags struct {
	*flags

	node     string
	wait     bool
	resume   bool
	endAfter time.Duration
	hold     time.Duration
	timeout  time.Duration
	told     map[string]string // the last line about each tenant
}

func drain(ctx context.Context, env *Env, args []string) error {
	f := &drainFlags{
		flags:   newFlags(env, "drain", drainUsage, false, formatJSON, formatYAML),
		timeout: 2 * time.Hour, told: map[string]string{},
	}
	f.duration(&f.hold, "hold", "how long new calls are refused, 1s to 24h; default: 10m, and 10m after --end-calls-after")
	f.flag(&f.wait, "", "wait", "wait until no call is up")
	f.duration(&f.endAfter, "end-calls-after", "end the calls that are still up then; default: never")
	f.flag(&f.resume, "", "resume", "take new calls again")
	f.text(&f.node, "", "node", "NODE", "all tenants of this node, of all namespaces")
	f.duration(&f.timeout, "timeout", "how long --wait and --node wait; default: 2h")
	rest, err := f.parse(args, 0)
	if err != nil {
		return err
	}
	switch {
	case f.node == "" && len(rest) == 0:
		return f.wrong("TENANT or --node NODE is missing")
	case f.node != "" && len(rest) > 0:
		return f.wrong("%s and --node %s: name a tenant or a node, not both", rest[0], f.node)
	case f.endAfter < 0 || f.timeout <= 0:
		return f.wrong("--end-calls-after and --timeout must be positive")
	case f.resume && (f.wait || f.endAfter > 0):
		return f.wrong("--resume goes with none of --wait and --end-calls-after")
	}
	if f.hold == 0 {
		f.hold = f.endAfter + usualHold
	}
	if err := f.asked(0).Validate(); err != nil {
		return f.wrong("--hold and --end-calls-after: %v", err)
	}
	c, namespace, err := f.connect()
	if err != nil {
		return err
	}
	var tenants []v1alpha1.PBXTenant
	if f.node != "" {
		tenants, err = onNode(ctx, c, f.node)
	} else {
		var t *v1alpha1.PBXTenant
		if t, err = c.Tenant(ctx, tenantName(rest[0], namespace)); err == nil {
			tenants = append(tenants, *t)
		}
	}
	if err != nil {
		return err
	}
	if len(tenants) == 0 {
		fmt.Fprintf(env.Stderr, "No tenant runs on node %s: kubectl dipcast status -A -o wide shows where they run.\n", f.node)
		return nil
	}
	return f.drain(ctx, c, tenants)
}

// onNode are the tenants that run on a node.
func onNode(ctx context.Context, c *cluster.Cluster, node string) ([]v1alpha1.PBXTenant, error) {
	var list v1alpha1.PBXTenantList
	if err := c.Reader.List(ctx, &list, client.InNamespace("")); err != nil {
		return nil, cluster.Explain(fmt.Errorf("PBXTenants: %w", err))
	}
	return slices.DeleteFunc(list.Items, func(t v1alpha1.PBXTenant) bool { return t.Status.NodeName != node }), nil
}

// asked is the drain to ask for some time after the first one: a drain takes
// the place of the one before, and the end of the calls must not move.
func (f *drainFlags) asked(later time.Duration) conf.Drain {
	return conf.Drain{EndCallsAfter: conf.Duration(max(0, f.endAfter-later)), Hold: conf.Duration(f.hold)}
}

// drained is what is told of one tenant; its JSON is what scripts read.
type drained struct {
	Namespace   string `json:"namespace"`
	Tenant      string `json:"tenant"`
	Draining    bool   `json:"draining"`
	ActiveCalls int    `json:"activeCalls"`
	Error       string `json:"error,omitempty"`
}

// drain asks every tenant, then waits if it is to.
func (f *drainFlags) drain(ctx context.Context, c *cluster.Cluster, tenants []v1alpha1.PBXTenant) error {
	list := make([]*drainee, len(tenants))
	for i := range tenants {
		d := &drainee{drained: drained{Namespace: tenants[i].Namespace, Tenant: tenants[i].Name}}
		list[i] = d
		if d.pbx, d.err = c.PBX(ctx, &tenants[i]); d.err == nil {
			defer d.pbx.Close()
			d.err = f.ask(ctx, d)
		}
		f.tell(d)
	}
	if !f.resume && (f.wait || f.node != "") {
		if err := f.idle(ctx, list); err != nil {
			return err
		}
	}
	return f.finish(list)
}

// drainee is one tenant that is being drained.
type drainee struct {
	drained

	pbx *cluster.PBX
	err error
}

func (f *drainFlags) ask(ctx context.Context, d *drainee) error {
	if f.resume {
		if err := d.pbx.Resume(ctx); err != nil {
			return err
		}
		return d.look(ctx)
	}
	r, err := d.pbx.Drain(ctx, f.asked(0))
	if err != nil {
		return err
	}
	d.take(r)
	return nil
}

func (d *drainee) look(ctx context.Context) error {
	r, err := d.pbx.Report(ctx)
	if err == nil {
		d.take(r)
	}
	return err
}

func (d *drainee) take(r *conf.Report) { d.Draining, d.ActiveCalls = r.Draining, r.ActiveCalls }

// idle waits until no call is up anywhere. A drain that would end meanwhile is
// asked for again.
func (f *drainFlags) idle(ctx context.Context, list []*drainee) error {
	began := f.env.Now()
	asked := began
	for slices.ContainsFunc(list, busy) {
		if f.env.Now().Sub(began) >= f.timeout {
			return fmt.Errorf("%s still up after %s: %s; new calls are refused until --hold is over, --resume ends that",
				many(up(list), "call"), f.timeout, strings.Join(names(list), ", "))
		}
		select {
		case <-ctx.Done():
			fmt.Fprintf(f.env.Stderr, "Interrupted: new calls are refused until --hold (%s) is over; --resume ends that.\n", f.hold)
			return context.Cause(ctx)
		case <-f.env.After(pollEvery):
		}
		again := f.env.Now().Sub(asked) >= f.hold/2
		if again {
			asked = f.env.Now()
		}
		for _, d := range list {
			if busy(d) {
				f.poll(ctx, d, again, f.env.Now().Sub(began))
			}
		}
	}
	return nil
}

func (f *drainFlags) poll(ctx context.Context, d *drainee, again bool, later time.Duration) {
	var err error
	if again {
		var r *conf.Report
		if r, err = d.pbx.Drain(ctx, f.asked(later)); err == nil {
			d.take(r)
		}
	} else {
		err = d.look(ctx)
	}
	// A PBX that is replaced while it is watched does not answer for a while;
	// its calls are over then.
	var refused *cluster.StatusError
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.As(err, &refused):
		d.err = err
	default:
		d.ActiveCalls, d.Draining = 0, false
	}
	f.tell(d)
}

func busy(d *drainee) bool { return d.err == nil && d.ActiveCalls > 0 }

func up(list []*drainee) int {
	n := 0
	for _, d := range list {
		n += d.ActiveCalls
	}
	return n
}

func names(list []*drainee) []string {
	var out []string
	for _, d := range list {
		if busy(d) {
			out = append(out, d.Namespace+"/"+d.Tenant)
		}
	}
	return out
}

// tell writes a line when something about a tenant has changed.
func (f *drainFlags) tell(d *drainee) {
	if f.output != formatText {
		return
	}
	name := d.Namespace + "/" + d.Tenant
	text := "takes calls"
	switch {
	case d.err != nil:
		text = "error: " + d.err.Error()
	case d.Draining && d.ActiveCalls == 0:
		text = "drains: no call is up"
	case d.Draining:
		text = fmt.Sprintf("drains: %s up", calling(d.ActiveCalls))
	case d.pbx != nil && !f.resume:
		text = "no longer drains: it was resumed or replaced"
	}
	if f.told[name] != text {
		f.told[name] = text
		fmt.Fprintf(f.env.Stdout, "%s %s\n", name, text)
	}
}

func calling(n int) string {
	if n == 1 {
		return "1 call is"
	}
	return fmt.Sprintf("%d calls are", n)
}

func (f *drainFlags) finish(list []*drainee) error {
	failed := false
	out := make([]drained, len(list))
	for i, d := range list {
		if d.err != nil {
			failed = true
			d.Error = d.err.Error()
		}
		out[i] = d.drained
	}
	if f.output != formatText {
		if err := f.print(struct {
			Tenants []drained `json:"tenants"`
		}{out}); err != nil {
			return err
		}
	}
	if failed {
		return errShown
	}
	return nil
}
