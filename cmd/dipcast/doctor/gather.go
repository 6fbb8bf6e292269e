package doctor

import (
	"context"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/config/crd"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/pbx/conf"
)

// atOnce bounds the tenants that are asked at a time.
const atOnce = 8

// Scope says which tenants are examined.
type Scope struct {
	Namespace string // empty: all
	Name      string // empty: all of the namespace
}

// Gatherer fills a snapshot.
type Gatherer struct {
	Reader client.Reader
	// Report asks a tenant's PBX about itself.
	Report func(context.Context, *v1alpha1.PBXTenant) (*conf.Report, error)
	// Probe asks the network; nil: nothing is asked.
	Probe func(context.Context, *Tenant) Network
}

// Gather reads all that the checks look at. What cannot be read is noted in
// the snapshot; an error is returned only if the tenant asked for is not there
// or the context ends.
func (g *Gatherer) Gather(ctx context.Context, s *Snapshot, scope Scope) error {
	wanted, err := carried()
	if err != nil {
		return err
	}
	s.Wanted = wanted
	g.fleet(ctx, s)
	tenants, err := g.tenants(ctx, s, scope)
	if err != nil {
		return err
	}
	found := &lists{}
	g.lists(ctx, s, scope.Namespace, found)
	s.Tenants = make([]Tenant, len(tenants))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for i := range tenants {
		t := &s.Tenants[i]
		t.Tenant = tenants[i]
		found.of(s, t)
		work.Go(func() error {
			if t.Pod != nil && t.Pod.Status.Phase == corev1.PodRunning {
				t.Report, t.ReportErr = g.Report(ctx, &t.Tenant)
			}
			if g.Probe != nil {
				t.Network = g.Probe(ctx, t)
			}
			return ctx.Err()
		})
	}
	return work.Wait()
}

// carried are the definitions that this program was built with.
func carried() ([]apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, err
	}
	list := make([]apiextensionsv1.CustomResourceDefinition, len(names))
	for i, name := range names {
		raw, err := crd.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(raw, &list[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return list, nil
}

func (g *Gatherer) read(ctx context.Context, s *Snapshot, what string, list client.ObjectList, opts ...client.ListOption) {
	if err := g.Reader.List(ctx, list, opts...); err != nil {
		s.Unreadable = append(s.Unreadable, Unreadable{What: what, Err: err})
	}
}

func (g *Gatherer) fleet(ctx context.Context, s *Snapshot) {
	var definitions apiextensionsv1.CustomResourceDefinitionList
	g.read(ctx, s, ReadCRDs, &definitions)
	for i := range definitions.Items {
		if definitions.Items[i].Spec.Group == v1alpha1.Group {
			s.CRDs = append(s.CRDs, definitions.Items[i])
		}
	}
	var deployments appsv1.DeploymentList
	g.read(ctx, s, ReadOperator, &deployments,
		client.MatchingLabels{"app.kubernetes.io/name": "dipcast-operator", v1alpha1.LabelComponent: "operator"})
	s.Operators = deployments.Items
	var classes v1alpha1.PBXClassList
	g.read(ctx, s, ReadClasses, &classes)
	s.Classes = classes.Items
	var nodes corev1.NodeList
	g.read(ctx, s, ReadNodes, &nodes)
	s.Nodes = nodes.Items
}

func (g *Gatherer) tenants(ctx context.Context, s *Snapshot, scope Scope) ([]v1alpha1.PBXTenant, error) {
	var list v1alpha1.PBXTenantList
	if scope.Name == "" {
		g.read(ctx, s, ReadTenants, &list, client.InNamespace(scope.Namespace))
		return list.Items, ctx.Err()
	}
	name := types.NamespacedName{Namespace: scope.Namespace, Name: scope.Name}
	var t v1alpha1.PBXTenant
	switch err := g.Reader.Get(ctx, name, &t); {
	case err == nil:
		return []v1alpha1.PBXTenant{t}, nil
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("no PBXTenant %s: kubectl get pbxtenants -A lists them, -n NAMESPACE chooses the namespace", name)
	default:
		s.Unreadable = append(s.Unreadable, Unreadable{What: ReadTenants, Err: err})
		return nil, ctx.Err()
	}
}

// lists are the objects of all tenants in the scope: a list of each kind is
// cheaper than a request for each tenant.
type lists struct {
	namespaces corev1.NamespaceList
	pods       corev1.PodList
	volumes    corev1.PersistentVolumeClaimList
	budgets    policyv1.PodDisruptionBudgetList
	plans      v1alpha1.ExtensionPlanList
	trunks     v1alpha1.SIPTrunkList
	flows      v1alpha1.CallFlowList
	bots       v1alpha1.NaverWorksBotList
}

func (g *Gatherer) lists(ctx context.Context, s *Snapshot, namespace string, l *lists) {
	in := client.InNamespace(namespace)
	owned := client.HasLabels{v1alpha1.LabelTenant}
	if namespace == "" {
		g.read(ctx, s, ReadNamespace, &l.namespaces)
	} else {
		var n corev1.Namespace
		if err := g.Reader.Get(ctx, types.NamespacedName{Name: namespace}, &n); err != nil {
			s.Unreadable = append(s.Unreadable, Unreadable{What: ReadNamespace, Err: err})
		} else {
			l.namespaces.Items = append(l.namespaces.Items, n)
		}
	}
	g.read(ctx, s, ReadPods, &l.pods, in, owned)
	g.read(ctx, s, ReadVolumes, &l.volumes, in, owned)
	g.read(ctx, s, ReadBudgets, &l.budgets, in, owned)
	for _, list := range []client.ObjectList{&l.plans, &l.trunks, &l.flows, &l.bots} {
		g.read(ctx, s, ReadObjects, list, in)
	}
}

// of gives a tenant what is its own.
func (l *lists) of(s *Snapshot, t *Tenant) {
	ns, name := t.Tenant.Namespace, t.Tenant.Name
	t.Class = compile.ChooseClass(s.Classes, &t.Tenant)
	t.Namespace = named(l.namespaces.Items, "", ns)
	t.Pod = named(l.pods.Items, ns, cluster.PodName(cluster.Name(&t.Tenant)).Name)
	t.Volume = named(l.volumes.Items, ns, desired.DataName(name))
	t.Budget = named(l.budgets.Items, ns, desired.PBXName(name))
	t.Plans = referring(l.plans.Items, ns, func(o *v1alpha1.ExtensionPlan) bool { return o.Spec.TenantRef.Name == name })
	t.Trunks = referring(l.trunks.Items, ns, func(o *v1alpha1.SIPTrunk) bool { return o.Spec.TenantRef.Name == name })
	t.Flows = referring(l.flows.Items, ns, func(o *v1alpha1.CallFlow) bool { return o.Spec.TenantRef.Name == name })
	t.Bots = referring(l.bots.Items, ns, func(o *v1alpha1.NaverWorksBot) bool { return o.Spec.TenantRef.Name == name })
	if t.Class != nil {
		t.Advertised = advertised(s.Nodes, t.Class, t.Tenant.Status.NodeName)
	}
}

// object is a pointer to a T that is a Kubernetes object.
type object[T any] interface {
	*T
	client.Object
}

func named[T any, P object[T]](list []T, namespace, name string) *T {
	for i := range list {
		if o := P(&list[i]); o.GetNamespace() == namespace && o.GetName() == name {
			return &list[i]
		}
	}
	return nil
}

func referring[T any, P object[T]](list []T, namespace string, ours func(*T) bool) []T {
	var own []T
	for i := range list {
		if P(&list[i]).GetNamespace() == namespace && ours(&list[i]) {
			own = append(own, list[i])
		}
	}
	return own
}
