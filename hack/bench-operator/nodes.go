package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
)

// fleet is what the benchmark sees of the tenants, and plays for them: the
// controller of StatefulSets, the scheduler, the kubelets. Informers fill it;
// one mutex guards it.
type fleet struct {
	client client.Client
	pbxs   *pbxs
	sets   chan *appsv1.StatefulSet // that want a pod

	mu     sync.Mutex
	ready  map[types.NamespacedName]bool
	seen   map[types.NamespacedName]seen // by the Secret
	placed []map[int32]bool              // SIP ports in use, by node
	err    error                         // the first of those that nobody waits for
}

// seen is a document, or a probe of the bare client, as a watch showed it.
type seen struct {
	generation string
	at         time.Time
}

// start follows the cluster and makes pods until ctx ends; wait then.
func (f *fleet) start(ctx context.Context, c *cluster, hosts int) (wait func() error, err error) {
	f.client, f.sets = c.client, make(chan *appsv1.StatefulSet, 1024)
	f.ready, f.seen = map[types.NamespacedName]bool{}, map[types.NamespacedName]seen{}
	for range hosts {
		f.placed = append(f.placed, map[int32]bool{})
	}
	informers, err := cache.New(c.config, cache.Options{Scheme: c.client.Scheme(), ByObject: map[client.Object]cache.ByObject{
		&v1alpha1.PBXTenant{}: {Transform: slim},
		&appsv1.StatefulSet{}: {Transform: slim, Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelComponent: desired.ComponentPBX})},
		&corev1.Secret{}:      {Transform: slim, Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelComponent: desired.ComponentConfig})},
	}})
	if err != nil {
		return nil, err
	}
	for _, kind := range []client.Object{&v1alpha1.PBXTenant{}, &appsv1.StatefulSet{}, &corev1.Secret{}} {
		informer, err := informers.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		handler := toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { f.learn(ctx, object, true) },
			UpdateFunc: func(_, object any) { f.learn(ctx, object, false) },
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { f.note(informers.Start(ctx)) })
	for range applyAtOnce {
		wg.Go(func() { f.runPods(ctx) })
	}
	informers.WaitForCacheSync(ctx)
	return func() error {
		wg.Wait()
		return f.failed()
	}, nil
}

// slim keeps of an object what the benchmark reads.
func slim(object any) (any, error) {
	if o, ok := object.(client.Object); ok {
		o.SetManagedFields(nil)
	}
	return object, nil
}

func (f *fleet) learn(ctx context.Context, object any, isNew bool) {
	switch x := object.(type) {
	case *v1alpha1.PBXTenant:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ready[client.ObjectKeyFromObject(x)] = meta.IsStatusConditionTrue(x.Status.Conditions, v1alpha1.ConditionReady)
	case *appsv1.StatefulSet:
		if isNew {
			select {
			case f.sets <- x:
			case <-ctx.Done():
			}
		}
	case *corev1.Secret:
		d := document{Generation: string(x.Data[probeKey])}
		if text := x.Data[v1alpha1.KeyDocument]; text != nil {
			if err := json.Unmarshal(text, &d); err != nil {
				f.note(fmt.Errorf("document of %s: %w", x.Namespace, err))
				return
			}
			f.pbxs.load(x.Namespace, d)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		name := client.ObjectKeyFromObject(x)
		if f.seen[name].generation != d.Generation {
			f.seen[name] = seen{d.Generation, time.Now()}
		}
	}
}

// document is as much of a conf.Document as a PBX needs to answer.
type document struct {
	Generation string `json:"generation"`
	Web        struct {
		APIToken string `json:"apiToken"`
	} `json:"web"`
	Trunks []struct {
		Name string `json:"name"`
	} `json:"trunks"`
}

// note keeps an error for whoever waits; the end of the benchmark is none.
func (f *fleet) note(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *fleet) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// readyUpTo counts the Ready ones of the first tenants.
func (f *fleet) readyUpTo(tenants int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := 0
	for n := range tenants {
		if f.ready[tenantName(n)] {
			count++
		}
	}
	return count
}

func (f *fleet) document(secret types.NamespacedName) seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[secret]
}

// runPods makes the pod of each StatefulSet and has it run.
func (f *fleet) runPods(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case set := <-f.sets:
			if err := f.runPod(ctx, set); err != nil && ctx.Err() == nil {
				f.note(fmt.Errorf("pod of %s: %w", set.Namespace, err))
			}
		}
	}
}

func (f *fleet) runPod(ctx context.Context, set *appsv1.StatefulSet) error {
	pod := &corev1.Pod{ObjectMeta: *set.Spec.Template.ObjectMeta.DeepCopy(), Spec: *set.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name = set.Namespace, set.Name+"-0"
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}
	host, err := f.place(pod)
	if err != nil {
		return err
	}
	pod.Spec.NodeName = nodeName(host)
	if err := f.client.Create(ctx, pod); err != nil {
		return err
	}
	if err := f.pbxs.listen(ctx, set.Namespace, nodeIP(host), port(pod, desired.PortAdmin)); err != nil {
		return err
	}
	before := pod.DeepCopy()
	now := metav1.Now()
	pod.Status.Phase, pod.Status.HostIP, pod.Status.PodIP = corev1.PodRunning, nodeIP(host), nodeIP(host)
	pod.Status.PodIPs = []corev1.PodIP{{IP: nodeIP(host)}}
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue},
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: desired.ContainerPBX, Image: pod.Spec.Containers[0].Image, Ready: true, Started: ptr.To(true),
		ContainerID: "bench://" + string(pod.UID),
		State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
	}}
	return f.client.Status().Patch(ctx, pod, client.MergeFrom(before))
}

// place chooses the node with the fewest pods on which the pod's port is free,
// as the scheduler does.
func (f *fleet) place(pod *corev1.Pod) (int, error) {
	sip := port(pod, desired.PortSIPUDP)
	f.mu.Lock()
	defer f.mu.Unlock()
	best := -1
	for n, used := range f.placed {
		if !used[sip] && (best < 0 || len(used) < len(f.placed[best])) {
			best = n
		}
	}
	if best < 0 {
		return 0, fmt.Errorf("port %d is taken on each of %d nodes", sip, len(f.placed))
	}
	f.placed[best][sip] = true
	return best, nil
}

func port(pod *corev1.Pod, name string) int32 {
	ports := pod.Spec.Containers[0].Ports
	i := slices.IndexFunc(ports, func(p corev1.ContainerPort) bool { return strings.EqualFold(p.Name, name) })
	if i < 0 {
		return 0
	}
	return ports[i].ContainerPort
}
