package worksync

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/naverworks"
)

// How often the service is looked at when nothing changes. Each wait is spread
// by a quarter, so that a thousand tenants do not ask at one moment.
const (
	proveEvery     = 30 * time.Minute
	configureEvery = 10 * time.Minute
	callbackEvery  = 5 * time.Minute
	directoryEvery = 10 * time.Minute
	// missingAgain is how often a Secret that does not exist is looked for.
	missingAgain = 15 * time.Second
	// askTimeout bounds each look at the service in a reconcile of a bot.
	askTimeout = 10 * time.Second
	// takeBackFor is how long the end of a bot waits for a service that does not
	// answer.
	takeBackFor = 10 * time.Minute
)

// Options are what the reconcilers need of the operator.
type Options struct {
	Client client.Client // reads from the cache
	Live   client.Reader // reads from the API server
	// Secret reads a Secret that a manifest names; false: there is none.
	Secret func(context.Context, types.NamespacedName) (map[string][]byte, bool, error)
	// Accepted is what the compiler said of a bot; false: its tenant was not
	// compiled yet, and the bot is woken when it is.
	Accepted func(context.Context, *v1alpha1.NaverWorksBot) (metav1.Condition, bool, error)
	// Set puts a condition into a list.
	Set func(list *[]metav1.Condition, generation int64, c metav1.Condition)
	// Report writes the status of after where it differs from before's; it
	// fails with a conflict if the object has changed since.
	Report func(ctx context.Context, before, after client.Object) error
	// Tell records an event about an object.
	Tell func(about client.Object, e Event)
	// WakeDirectory has the plans of a tenant reconciled.
	WakeDirectory func(tenant types.NamespacedName)
	// TrustedCAs are PEM certificates that are trusted beside the system's.
	TrustedCAs func() string
	Now        func() time.Time
	Log        *slog.Logger
	// Jitter spreads waits, in [0, 1). Default: random.
	Jitter func() float64
}

// Event is a change that people are told of.
type Event struct {
	Warning bool
	Reason  string
	Action  string // what was done, one word
	Note    string
}

// Line holds the reconcilers and what they remember. Make it with New.
type Line struct {
	Options
	transport *naverworks.Transport
	clients   *naverworks.Clients

	mu          sync.Mutex
	bots        map[types.NamespacedName]*botState
	directories map[types.NamespacedName]*directoryState
}

// New returns a line that has asked nothing yet.
func New(o Options) *Line {
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	t := naverworks.NewTransport(o.TrustedCAs)
	return &Line{
		Options: o, transport: t, clients: naverworks.NewClients(t, o.Now, o.Log),
		bots: map[types.NamespacedName]*botState{}, directories: map[types.NamespacedName]*directoryState{},
	}
}

// Start implements manager.Runnable: it waits for the end and lets go of
// connections then.
func (l *Line) Start(ctx context.Context) error {
	<-ctx.Done()
	l.transport.CloseIdleConnections()
	return nil
}

// state returns what is remembered of an object, a new memory for a new one. Its
// content belongs to whoever reconciles the object.
func state[T any](l *Line, all map[types.NamespacedName]*T, name types.NamespacedName) *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	if all[name] == nil {
		all[name] = new(T)
	}
	return all[name]
}

func forget[T any](l *Line, all map[types.NamespacedName]*T, name types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(all, name)
}

// tenant reads a tenant; nil: there is none.
func (l *Line) tenant(ctx context.Context, namespace, name string) (*v1alpha1.PBXTenant, error) {
	var t v1alpha1.PBXTenant
	if err := l.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &t); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &t, nil
}

// botsOf are the bots that name a tenant and stay, by name.
func (l *Line) botsOf(ctx context.Context, namespace, tenant string) ([]v1alpha1.NaverWorksBot, error) {
	var list v1alpha1.NaverWorksBotList
	if err := l.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	bots := slices.DeleteFunc(list.Items, func(b v1alpha1.NaverWorksBot) bool {
		return b.Spec.TenantRef.Name != tenant || b.DeletionTimestamp != nil
	})
	slices.SortFunc(bots, func(a, b v1alpha1.NaverWorksBot) int { return strings.Compare(a.Name, b.Name) })
	return bots, nil
}
