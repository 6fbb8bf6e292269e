package worksync

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/naverworks"
	"github.com/dipcast/dipcast/controllers/roster"
	"github.com/dipcast/dipcast/pbx/works"
)

const (
	// readTimeout bounds one read of a directory, the waits for its rate limit
	// included.
	readTimeout = 2 * time.Minute
	// readPause is the least time between two reads of one tenant's directory,
	// however often its manifests change.
	readPause = 5 * time.Second
)

// directoryState is what is remembered of one tenant's directory.
type directoryState struct {
	check naverworks.Check
	begun bool      // looked at since this process lives
	read  time.Time // last
}

// directoryScene is one reconcile of all plans of one tenant.
type directoryScene struct {
	name   types.NamespacedName // of the tenant
	tenant *v1alpha1.PBXTenant
	class  *v1alpha1.PBXClass // nil: there is none
	plans  []v1alpha1.ExtensionPlan
	flows  []v1alpha1.CallFlow
	bot    *v1alpha1.NaverWorksBot // nil: there is none
	state  *directoryState
	now    time.Time
	again  time.Duration
}

// wanted are the plans that take extensions from the directory.
func (s *directoryScene) wanted() []*v1alpha1.ExtensionPlan {
	var out []*v1alpha1.ExtensionPlan
	for i := range s.plans {
		if s.plans[i].Spec.Directory != nil {
			out = append(out, &s.plans[i])
		}
	}
	return out
}

// ReconcileDirectory brings the plans of one tenant to what its directory says.
func (l *Line) ReconcileDirectory(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	s, err := l.gatherDirectory(ctx, req.NamespacedName)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("directory of PBXTenant %s: %w", req.NamespacedName, err)
	}
	if err := l.serveDirectory(ctx, s); err != nil {
		// What was read is lost with it: it is read again.
		s.state.check = naverworks.Check{}
		return reconcile.Result{}, fmt.Errorf("directory of PBXTenant %s: %w", req.NamespacedName, err)
	}
	return reconcile.Result{RequeueAfter: s.again}, nil
}

func (l *Line) gatherDirectory(ctx context.Context, name types.NamespacedName) (*directoryScene, error) {
	s := &directoryScene{name: name, now: l.Now(), state: state(l, l.directories, name)}
	var err error
	if s.tenant, err = l.tenant(ctx, name.Namespace, name.Name); err != nil {
		return s, err
	}
	var plans v1alpha1.ExtensionPlanList
	var flows v1alpha1.CallFlowList
	var classes v1alpha1.PBXClassList
	for _, list := range []client.ObjectList{&plans, &flows} {
		if err := l.Client.List(ctx, list, client.InNamespace(name.Namespace)); err != nil {
			return s, err
		}
	}
	if err := l.Client.List(ctx, &classes); err != nil {
		return s, err
	}
	s.plans = slices.DeleteFunc(plans.Items, func(p v1alpha1.ExtensionPlan) bool {
		return p.Spec.TenantRef.Name != name.Name || p.DeletionTimestamp != nil
	})
	slices.SortFunc(s.plans, func(a, b v1alpha1.ExtensionPlan) int { return strings.Compare(a.Name, b.Name) })
	s.flows = slices.DeleteFunc(flows.Items, func(f v1alpha1.CallFlow) bool { return f.Spec.TenantRef.Name != name.Name })
	if s.tenant != nil {
		s.class = compile.ChooseClass(classes.Items, s.tenant)
	}
	bots, err := l.botsOf(ctx, name.Namespace, name.Name)
	if len(bots) > 0 {
		s.bot = &bots[0] // the compiler takes the first one, too
	}
	return s, err
}

// serveDirectory reads the directory when that is due, and puts it in force.
func (l *Line) serveDirectory(ctx context.Context, s *directoryScene) error {
	for i := range s.plans {
		if err := l.leaveDirectory(ctx, &s.plans[i]); err != nil {
			return err
		}
	}
	if len(s.wanted()) == 0 {
		forget(l, l.directories, s.name)
		return nil
	}
	c, key, v, err := l.openDirectory(ctx, s)
	if err != nil {
		return err
	}
	if c == nil {
		s.state.check = naverworks.Check{}
		return l.failDirectory(ctx, s, v)
	}
	key += s.key()
	check := &s.state.check
	if !s.state.begun {
		s.state.begun = true
		l.resume(s, key)
	}
	if check.Fresh(key, s.now) {
		s.again = check.Wait(s.now)
		return nil
	}
	if wait := s.state.read.Add(readPause).Sub(s.now); wait > 0 {
		s.again = wait
		return nil
	}
	found, v, err := l.readDirectory(ctx, s, c)
	if err != nil {
		return err
	}
	shown := check.Done(key, s.now, v, directoryEvery, l.Jitter())
	s.again = check.Wait(s.now)
	if !v.OK() {
		if shown.OK() {
			return nil // it may pass, and what is in force is as good as it was
		}
		return l.failDirectory(ctx, s, shown)
	}
	for i, p := range s.wanted() {
		if err := l.settle(ctx, s, p, found[i]); err != nil {
			return err
		}
	}
	return nil
}

// openDirectory returns the client to read the directory with, or nil and why
// there is none.
func (l *Line) openDirectory(ctx context.Context, s *directoryScene) (*works.Client, string, naverworks.Verdict, error) {
	if s.tenant == nil {
		return nil, "", naverworks.No(v1alpha1.ReasonNotFound, "there is no PBXTenant "+s.name.Name+" in this namespace: create it or name another one in spec.tenantRef"), nil
	}
	if s.bot == nil {
		return nil, "", naverworks.No(v1alpha1.ReasonNotFound, "no NaverWorksBot names PBXTenant "+s.name.Name+", whose app reads the directory: create one"), nil
	}
	name := types.NamespacedName{Namespace: s.name.Namespace, Name: s.bot.Spec.CredentialsRef.Name}
	secret, found, err := l.Secret(ctx, name)
	if err != nil {
		return nil, "", naverworks.Verdict{}, fmt.Errorf("secret %s: %w", name, err)
	}
	if !found {
		s.again = missingAgain
	}
	c, key, v := l.clients.Open(s.bot, secret, found)
	return c, key, v, nil
}

// key is what a sync depends on beside the directory and the credentials. A
// change is looked at once.
func (s *directoryScene) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, " %d", s.tenant.Generation)
	if s.class != nil {
		fmt.Fprintf(&b, " %d", s.class.Spec.Limits.Extensions)
	}
	for i := range s.plans {
		p := &s.plans[i]
		fmt.Fprintf(&b, " %s %d %s", p.UID, p.Generation, p.Annotations[v1alpha1.AnnotationApproveRemoval])
	}
	for _, c := range s.bot.Status.Conditions {
		if c.Type == v1alpha1.ConditionCredentialsValid {
			fmt.Fprintf(&b, " %s", c.Status)
		}
	}
	return b.String()
}

// resume spreads the first reads of an operator that has just begun, where
// nothing has changed while there was none.
func (l *Line) resume(s *directoryScene, key string) {
	for _, p := range s.wanted() {
		c := synced(p)
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != p.Generation || p.Status.Directory == nil {
			return
		}
	}
	v := naverworks.Yes(v1alpha1.ReasonSynced, "")
	s.state.check.Postpone(key, s.now, v, time.Duration(l.Jitter()*float64(directoryEvery)))
}

// readDirectory reads all members once, for each plan whom it takes of them.
// The error is that the operator ends.
func (l *Line) readDirectory(ctx context.Context, s *directoryScene, c *works.Client) ([]*roster.Collector, naverworks.Verdict, error) {
	s.state.read = s.now
	var collectors []*roster.Collector
	for _, p := range s.wanted() {
		collectors = append(collectors, roster.NewCollector(*p.Spec.Directory))
	}
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for u, err := range c.Users(reading) {
		if err != nil && ctx.Err() != nil {
			return nil, naverworks.Verdict{}, err
		}
		if err != nil {
			return nil, naverworks.Explain(s.bot, err), nil
		}
		for _, one := range collectors {
			one.Add(u)
		}
	}
	return collectors, naverworks.Yes(v1alpha1.ReasonSynced, "the directory was read"), nil
}
