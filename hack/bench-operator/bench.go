package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
)

// plan is how much is measured.
type plan struct {
	sizes   []int         // of the fleet, one after the other
	changes int           // of plans, at each size
	idle    time.Duration // at the last size
	between time.Duration // idle at the others
	alone   time.Duration // of the bare client's writes
	limit   time.Duration // of everything
	audit   bool
}

const (
	// changesASecond come whether or not those before are done.
	changesASecond = 10
	look           = 10 * time.Millisecond
	// patience with one thing that must happen, far longer than it takes.
	patience = 4 * time.Minute
)

// stage is what was measured at one size of the fleet.
type stage struct {
	tenants, added int

	ready  time.Duration // until the added ones were
	making sample        // until nothing more was written
	bare   float64       // writes a second of the bare client

	changed  []time.Duration // from the patch of a plan until its document is seen
	changing sample
	floor    []time.Duration // from the patch of a Secret until it is seen

	class   time.Duration // from the patch of a class until the last document is seen
	classes sample

	idle     sample
	idleFor  time.Duration
	idlePoll float64 // reports that were asked for

	restart   time.Duration // of the operator, until it has looked at every tenant
	restarted sample
}

// bench is one run.
type bench struct {
	plan
	bin   string
	flags []string // more ones, of the operator
	log   io.Writer

	dir      string
	cluster  *cluster
	fleet    fleet
	operator *operator
	bareOne  *bare
	stages   []*stage // that are complete
}

// run measures and stops everything that it started.
func (b *bench) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.limit, fmt.Errorf("not done in %s", b.limit))
	defer cancel()
	if b.dir, err = os.MkdirTemp("", "bench-operator-"); err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(b.dir)
		}
	}()
	if b.cluster, err = startCluster(ctx, b.dir, b.audit); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.cluster.stop()) }()
	last := slices.Max(b.sizes)
	if err := ground(ctx, b.cluster.client, last); err != nil {
		return err
	}
	b.fleet.pbxs = newPBXs()
	defer func() { err = errors.Join(err, b.fleet.pbxs.stop()) }()
	following, stopFollowing := context.WithCancel(ctx)
	wait, err := b.fleet.start(following, b.cluster, nodes(last))
	if err != nil {
		stopFollowing()
		return err
	}
	defer func() {
		stopFollowing()
		err = errors.Join(err, wait())
	}()
	if b.operator, err = startOperator(ctx, b.dir, b.bin, b.cluster.kubeconfig, b.flags); err != nil {
		return err
	}
	defer func() { b.operator.Stop() }()
	from := 0
	for _, size := range b.sizes {
		if err := b.measure(ctx, from, size); err != nil {
			return errors.Join(fmt.Errorf("at %d tenants: %w", size, err), context.Cause(ctx), b.keep())
		}
		from = size
	}
	if b.audit {
		return printAudit(b.log, b.cluster.audit)
	}
	return nil
}

// keep names the operator's log to whoever has to find out what went wrong.
func (b *bench) keep() error {
	return fmt.Errorf("the operator's log is %s", filepath.Join(b.dir, "operator.log"))
}

// say tells on the terminal how far it is.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// measure brings the fleet to a size and looks at it from all sides.
func (b *bench) measure(ctx context.Context, from, size int) error {
	s := &stage{tenants: size, added: size - from}
	steps := []func(context.Context, *stage) error{b.make, b.bareRate, b.change, b.changeClass}
	if size == slices.Max(b.sizes) {
		steps = append(steps, b.rest(b.idle), b.again)
	} else {
		steps = append(steps, b.rest(b.between))
	}
	for _, step := range steps {
		if err := step(ctx, s); err != nil {
			return err
		}
		if err := b.fleet.failed(); err != nil {
			return err
		}
	}
	b.stages = append(b.stages, s)
	return nil
}

// make applies new tenants and waits until all are Ready.
func (b *bench) make(ctx context.Context, s *stage) error {
	from := s.tenants - s.added
	b.say("%d tenants: manifests", s.tenants)
	if err := each(ctx, from, s.tenants, func(ctx context.Context, n int) error {
		return createAll(ctx, b.cluster.client, foundations(n))
	}); err != nil {
		return err
	}
	before, err := b.operator.sample(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := each(ctx, from, s.tenants, func(ctx context.Context, n int) error {
		return createAll(ctx, b.cluster.client, manifests(n))
	}); err != nil {
		return err
	}
	if err := b.until(ctx, "every tenant is Ready", func() bool { return b.fleet.readyUpTo(s.tenants) == s.tenants }); err != nil {
		return fmt.Errorf("%d of %d are Ready: %w", b.fleet.readyUpTo(s.tenants), s.tenants, err)
	}
	s.ready = time.Since(began)
	after, err := b.operator.settle(ctx)
	s.making = after.since(before)
	b.say("  Ready after %.1f s, %.1f calls each", s.ready.Seconds(), s.making.all()/float64(s.added))
	return err
}

func createAll(ctx context.Context, c client.Client, objects []client.Object) error {
	for _, o := range objects {
		if err := c.Create(ctx, o); err != nil {
			return fmt.Errorf("%T %s: %w", o, client.ObjectKeyFromObject(o), err)
		}
	}
	return nil
}

// bareRate lets the bare client write, and be seen.
func (b *bench) bareRate(ctx context.Context, s *stage) (err error) {
	if b.bareOne == nil {
		if b.bareOne, err = newBare(ctx, b.cluster.client, tenantName(0)); err != nil {
			return err
		}
	}
	if s.bare, err = b.bareOne.rate(ctx, b.alone); err != nil {
		return err
	}
	probes := make([]types.NamespacedName, min(s.tenants, b.changes))
	for n := range probes {
		if probes[n], err = b.bareOne.probe(ctx, n); err != nil {
			return err
		}
	}
	s.floor, err = b.latencies(ctx, b.changes/2, func(n int) types.NamespacedName { return probes[n%len(probes)] },
		func(ctx context.Context, n int) error {
			return b.bareOne.change(ctx, probes[n%len(probes)], s.tenants*b.changes+n)
		})
	b.say("  bare client: %.0f writes a second, seen after %s", s.bare, text(s.floor))
	return err
}

// change changes plans, one company after the other.
func (b *bench) change(ctx context.Context, s *stage) error {
	before, err := b.operator.settle(ctx)
	if err != nil {
		return err
	}
	// Neighbours in time are not neighbours in the fleet.
	company := func(n int) int { return n * 37 % s.tenants }
	if s.changed, err = b.latencies(ctx, b.changes,
		func(n int) types.NamespacedName { return configOf(company(n)) },
		func(ctx context.Context, n int) error {
			plan, patch := rename(company(n), s.tenants*b.changes+n)
			return b.cluster.client.Patch(ctx, plan, patch)
		}); err != nil {
		return err
	}
	after, err := b.operator.settle(ctx)
	s.changing = after.since(before)
	b.say("  a change is in the document after %s", text(s.changed))
	return err
}

func configOf(n int) types.NamespacedName {
	name := tenantName(n)
	return types.NamespacedName{Namespace: name.Namespace, Name: desired.ConfigName(name.Name)}
}

// latencies makes changes at a steady rate, and measures each from before the
// request until a watch shows what became of it.
func (b *bench) latencies(ctx context.Context, changes int, secret func(int) types.NamespacedName, change func(context.Context, int) error) ([]time.Duration, error) {
	took, errs := make([]time.Duration, changes), make([]error, changes)
	tick := time.NewTicker(time.Second / changesASecond)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := range changes {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		name := secret(n)
		before := b.fleet.document(name).generation
		wg.Go(func() {
			began := time.Now()
			if errs[n] = change(ctx, n); errs[n] != nil {
				return
			}
			errs[n] = b.until(ctx, "a change of "+name.String()+" is seen", func() bool {
				now := b.fleet.document(name)
				took[n] = now.at.Sub(began)
				return now.generation != before
			})
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took, errors.Join(errs...)
}

// changeClass changes what every document of the fleet is made of.
func (b *bench) changeClass(ctx context.Context, s *stage) error {
	before, err := b.operator.sample(ctx)
	if err != nil {
		return err
	}
	had := make([]string, s.tenants)
	for n := range had {
		had[n] = b.fleet.document(configOf(n)).generation
	}
	class := &v1alpha1.PBXClass{}
	class.Name = className
	began := time.Now()
	patch := fmt.Appendf(nil, `[{"op": "replace", "path": "/spec/limits/registrations/maximum", "value": %d}]`, 100+s.tenants)
	if err := b.cluster.client.Patch(ctx, class, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return err
	}
	left := 0
	if err := b.until(ctx, "every document follows the class", func() bool {
		for left < s.tenants && b.fleet.document(configOf(left)).generation != had[left] {
			left++
		}
		return left == s.tenants
	}); err != nil {
		return err
	}
	s.class = time.Since(began)
	after, err := b.operator.settle(ctx)
	s.classes = after.since(before)
	b.say("  a change of the class is in every document after %.1f s", s.class.Seconds())
	return err
}

// rest measures what the operator costs when nothing happens.
func (b *bench) rest(d time.Duration) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		before, err := b.operator.sample(ctx)
		if err != nil {
			return err
		}
		asked := b.fleet.pbxs.asked.Load()
		if err := b.operator.Wait(ctx, d); err != nil {
			return err
		}
		after, err := b.operator.sample(ctx)
		if err != nil {
			return err
		}
		s.idle, s.idleFor = after.since(before), after.at.Sub(before.at)
		s.idlePoll = float64(b.fleet.pbxs.asked.Load() - asked)
		b.say("  idle: %.1f thousandths of a core, %.0f MiB", milli(s.idle.cpu, s.idleFor), s.idle.rss/(1<<20))
		return nil
	}
}

// again starts a new operator on the fleet as it is.
func (b *bench) again(ctx context.Context, s *stage) error {
	b.operator.Stop()
	began := time.Now()
	o, err := startOperator(ctx, b.dir, b.bin, b.cluster.kubeconfig, b.flags)
	if err != nil {
		return err
	}
	b.operator = o
	var now sample
	if err := b.until(ctx, "a new operator has looked at every tenant", func() bool {
		now, err = o.sample(ctx)
		return err != nil || now.tenants >= float64(s.tenants)
	}); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	s.restart = time.Since(began)
	s.restarted, err = o.settle(ctx)
	b.say("  a new operator knows them after %.1f s", s.restart.Seconds())
	return err
}

// until looks again and again; what does not happen in long is an error.
func (b *bench) until(ctx context.Context, what string, ok func() bool) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return fmt.Errorf("waited %s until %s", patience, what)
		}
		if err := b.fleet.failed(); err != nil {
			return err
		}
	}
	return nil
}
