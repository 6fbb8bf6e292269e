package kubetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Nodes are the nodes of a cluster with what runs on them: they make the pods
// of StatefulSets, give them a node with free ports, and run a PBX in each.
type Nodes struct {
	cluster *Cluster
	client  client.Client
	cancel  context.CancelFunc
	done    chan error

	mu   sync.Mutex
	pbxs map[types.UID]*process
}

// process is what runs in a pod.
type process struct {
	pod      types.NamespacedName
	pbx      *PBX // nil: it crashed
	image    string
	restarts int32
}

// Nodes starts them; they end with Stop.
func (c *Cluster) Nodes(ctx context.Context) (*Nodes, error) {
	mgr, err := manager.New(c.Config, manager.Options{
		Scheme: c.Scheme, Logger: logr.Discard(), Controller: config.Controller{Logger: logr.Discard()}, Metrics: server.Options{BindAddress: "0"},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Pod{}, &corev1.Secret{}, &corev1.Node{}}}},
	})
	if err != nil {
		return nil, err
	}
	n := &Nodes{cluster: c, client: mgr.GetClient(), done: make(chan error, 1), pbxs: map[types.UID]*process{}}
	opts := controller.Options{SkipNameValidation: ptr.To(true), MaxConcurrentReconciles: 4}
	err = builder.ControllerManagedBy(mgr).Named("fake-statefulset").
		For(&appsv1.StatefulSet{}).Owns(&corev1.Pod{}).
		WithOptions(opts).Complete(reconcile.Func(n.makePod))
	if err != nil {
		return nil, err
	}
	err = builder.ControllerManagedBy(mgr).Named("fake-kubelet").
		For(&corev1.Pod{}).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(n.pending)).
		WithOptions(opts).Complete(reconcile.Func(n.runPod))
	if err != nil {
		return nil, err
	}
	ctx, n.cancel = context.WithCancel(ctx)
	go func() { n.done <- mgr.Start(ctx) }()
	return n, nil
}

// Stop ends everything that runs on the nodes.
func (n *Nodes) Stop() error {
	n.cancel()
	err := <-n.done
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pbxs {
		err = errors.Join(err, p.pbx.stop())
	}
	return err
}

// PBX waits for the PBX of a tenant's pod.
func (n *Nodes) PBX(tb testing.TB, namespace, pod string) *PBX {
	tb.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod}}
	var out *PBX
	n.cluster.Wait(tb, p, "a running PBX", func(exists bool) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		is := n.pbxs[p.UID]
		if !exists || is == nil || is.pbx == nil || len(p.Status.ContainerStatuses) == 0 {
			return false
		}
		out = is.pbx
		return true
	})
	return out
}

// makePod is the controller of StatefulSets, for one replica.
func (n *Nodes) makePod(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var set appsv1.StatefulSet
	err := n.client.Get(ctx, req.NamespacedName, &set)
	if err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if set.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	pod := &corev1.Pod{ObjectMeta: *set.Spec.Template.ObjectMeta.DeepCopy(), Spec: *set.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name = set.Namespace, set.Name+"-0"
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(&set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}
	err = n.client.Create(ctx, pod)
	if apierrors.IsAlreadyExists(err) {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, err
}

// pending are the pods without a node.
func (n *Nodes) pending(ctx context.Context, _ client.Object) []reconcile.Request {
	var pods corev1.PodList
	if err := n.client.List(ctx, &pods, client.MatchingFields{"spec.nodeName": ""}); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range pods.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&pods.Items[i])})
	}
	return out
}

// runPod is scheduler, kubelet and garbage collector of one pod.
func (n *Nodes) runPod(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var pod corev1.Pod
	err := n.client.Get(ctx, req.NamespacedName, &pod)
	if err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if dead, err := n.dead(ctx, pod.Spec.NodeName); dead || err != nil {
		return reconcile.Result{}, err
	}
	switch {
	case pod.DeletionTimestamp != nil:
		return reconcile.Result{}, n.end(ctx, &pod)
	case pod.Spec.NodeName == "":
		return reconcile.Result{}, n.schedule(ctx, &pod)
	case pod.Spec.RestartPolicy == corev1.RestartPolicyNever:
		return reconcile.Result{}, n.runOnce(ctx, &pod)
	default:
		return reconcile.Result{}, n.run(ctx, &pod)
	}
}

// dead reports whether nobody speaks for a node: it is gone, or not ready. What
// runs there runs on.
func (n *Nodes) dead(ctx context.Context, name string) (bool, error) {
	if name == "" {
		return false, nil
	}
	var node corev1.Node
	if err := n.client.Get(ctx, types.NamespacedName{Name: name}, &node); err != nil {
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status != corev1.ConditionTrue, nil
		}
	}
	return true, nil
}

// end ends the PBX of a pod that is told to go, and removes the pod. One that
// waits for its successor goes on.
func (n *Nodes) end(ctx context.Context, pod *corev1.Pod) error {
	n.mu.Lock()
	p := n.pbxs[pod.UID]
	if p != nil && p.pbx != nil {
		if r := p.pbx.Report(); r.Linger > 0 && !r.Draining {
			n.mu.Unlock()
			return nil
		}
	}
	delete(n.pbxs, pod.UID)
	n.mu.Unlock()
	if p != nil {
		if err := p.pbx.stop(); err != nil {
			return err
		}
	}
	return client.IgnoreNotFound(n.client.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID}))
}

// schedule binds a pod to a node that fits and has its ports free.
func (n *Nodes) schedule(ctx context.Context, pod *corev1.Pod) error {
	var all corev1.NodeList
	var pods corev1.PodList
	if err := n.client.List(ctx, &all); err != nil {
		return err
	}
	if err := n.client.List(ctx, &pods); err != nil {
		return err
	}
	clash := 0
	for i := range all.Items {
		node := &all.Items[i]
		if node.Spec.Unschedulable || !matches(node.Labels, pod.Spec.NodeSelector) {
			continue
		}
		if slices.ContainsFunc(pods.Items, func(o corev1.Pod) bool {
			return o.UID != pod.UID && o.Spec.NodeName == node.Name && samePorts(&o, pod)
		}) {
			clash++
			continue
		}
		return n.client.SubResource("binding").Create(ctx, pod, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node.Name}})
	}
	before := pod.DeepCopy()
	why := fmt.Sprintf("0/%d nodes are available: %d node(s) didn't have free ports for the requested pod ports.", len(all.Items), clash)
	if clash == 0 {
		why = fmt.Sprintf("0/%d nodes are available: %d node(s) didn't match Pod's node affinity/selector.", len(all.Items), len(all.Items))
	}
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: why,
	}}
	return n.client.Status().Patch(ctx, pod, client.MergeFrom(before))
}

func matches(labels, selector map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

func samePorts(a, b *corev1.Pod) bool {
	used := map[int32]bool{}
	for _, p := range a.Spec.Containers[0].Ports {
		used[p.HostPort] = p.HostPort != 0
	}
	return slices.ContainsFunc(b.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return used[p.HostPort] })
}

// run keeps the PBX of a pod running with the document that it mounts, and a
// new one in its place where the image has changed.
func (n *Nodes) run(ctx context.Context, pod *corev1.Pod) error {
	d, err := n.document(ctx, pod)
	if err != nil || d == nil {
		return err
	}
	var node corev1.Node
	if err := n.client.Get(ctx, types.NamespacedName{Name: pod.Spec.NodeName}, &node); err != nil {
		return client.IgnoreNotFound(err)
	}
	ip := node.Status.Addresses[0].Address
	image := pod.Spec.Containers[0].Image
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.pbxs[pod.UID]
	if p != nil && p.image != image {
		if err := p.pbx.stop(); err != nil {
			return err
		}
		p.restarts++
		p.pbx = nil
	}
	if p == nil {
		p = &process{pod: client.ObjectKeyFromObject(pod)}
		if err := n.takeOver(pod); err != nil {
			return err
		}
	}
	if strings.Contains(image, Broken) || strings.Contains(image, Brittle) {
		p.image, n.pbxs[pod.UID] = image, p
		return n.crash(ctx, pod, p)
	}
	if p.pbx == nil {
		if p.pbx, err = startPBX(ctx, ip, adminPort(pod), d); err != nil {
			return fmt.Errorf("pbx of pod %s: %w", pod.Name, err)
		}
		p.image = image
		n.pbxs[pod.UID] = p
	}
	if p.pbx.Report().Generation != d.Generation {
		p.pbx.apply(d)
	}
	before := pod.DeepCopy()
	pod.Status.Phase, pod.Status.HostIP, pod.Status.PodIP = corev1.PodRunning, ip, ip
	pod.Status.PodIPs = []corev1.PodIP{{IP: ip}}
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: corev1.ConditionTrue},
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, Image: image, Ready: true, Started: ptr.To(true), RestartCount: p.restarts,
		ContainerID: fmt.Sprintf("fake://%s-%d", pod.UID, p.restarts),
		State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: pod.CreationTimestamp}},
	}}
	return client.IgnoreNotFound(n.client.Status().Patch(ctx, pod, client.MergeFrom(before)))
}

// takeOver ends a PBX that has waited for the pod's; the caller holds mu.
func (n *Nodes) takeOver(pod *corev1.Pod) error {
	for uid, p := range n.pbxs {
		if uid == pod.UID || p.pod != client.ObjectKeyFromObject(pod) {
			continue
		}
		delete(n.pbxs, uid)
		if err := p.pbx.stop(); err != nil {
			return err
		}
	}
	return nil
}

// What an image's name holds.
const (
	Broken  = "broken"  // its program ends at once, with an error
	Brittle = "brittle" // it can read a document, and does not stay up as a PBX
	Missing = "missing" // no registry has it
	// Forgetful programs know no journal of calls.
	Forgetful = "forgetful"
)

// crash shows a pod whose process ended at once.
func (n *Nodes) crash(ctx context.Context, pod *corev1.Pod, p *process) error {
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: corev1.ConditionFalse},
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, Image: p.image, Started: ptr.To(false), RestartCount: p.restarts,
		ContainerID: fmt.Sprintf("fake://%s-%d", pod.UID, p.restarts),
		State:       corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off restarting"}},
	}}
	return client.IgnoreNotFound(n.client.Status().Patch(ctx, pod, client.MergeFrom(before)))
}

// document reads what the pod mounts; nil: it is not there yet.
func (n *Nodes) document(ctx context.Context, pod *corev1.Pod) (*conf.Document, error) {
	for _, v := range pod.Spec.Volumes {
		if v.Secret == nil {
			continue
		}
		var s corev1.Secret
		if err := n.client.Get(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: v.Secret.SecretName}, &s); err != nil {
			return nil, err
		}
		return conf.Parse(s.Data[v1alpha1.KeyDocument])
	}
	return nil, nil
}

func adminPort(pod *corev1.Pod) int32 {
	for _, p := range pod.Spec.Containers[0].Ports {
		if p.Name == "admin" {
			return p.ContainerPort
		}
	}
	return 0
}
