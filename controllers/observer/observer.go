package observer

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// ErrCallsUp is the answer to a Drain with IfIdle while calls are up.
var ErrCallsUp = errors.New("calls are up")

// Target is a running PBX.
type Target struct {
	Tenant types.NamespacedName
	URL    string // from AdminURL
	Token  string // of Secret TENANT-api
	// Instance changes with the process: the pod's UID and the container's ID.
	// Another one makes the observer forget what the old process reported.
	Instance string
	// Await is the generation that the PBX should come to run, "" = none.
	Await string
	// Urgent asks often and tells at once that the PBX became idle or busy.
	Urgent bool
}

// Observation is what is known of a target.
type Observation struct {
	// Report is the last one, nil before the first. Nobody changes it.
	Report *conf.Report
	// Reachable is false after two failures in a row.
	Reachable bool
	// Error says why it is not reachable: stable text for a condition.
	Error string
}

// Options of an Observer; the zero value is a good one.
type Options struct {
	Workers int // requests at a time; 0 = 32
	// Dial opens connections; nil = a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Random spreads the requests over time, in [0,1); nil = math/rand.
	Random func() float64
}

// Observer polls targets. It is a manager.Runnable.
type Observer struct {
	opts   Options
	client *http.Client
	events chan event.GenericEvent
	wake   chan struct{}

	mu      sync.Mutex
	targets map[types.NamespacedName]*entry
}

type entry struct {
	target Target
	seen   Observation
	due    time.Time
}

// AdminURL is the base address of a pod's admin listener, "" if ip is none.
func AdminURL(ip string, port int32) string { return "" }

// New returns an observer that Start sets to work.
func New(opts Options) *Observer {
	return &Observer{opts: opts, events: make(chan event.GenericEvent), wake: make(chan struct{}, 1), targets: map[types.NamespacedName]*entry{}}
}

// Start implements manager.Runnable: it polls until ctx is done and returns
// once every request has ended.
func (o *Observer) Start(ctx context.Context) error { <-ctx.Done(); return nil }

// NeedLeaderElection implements manager.LeaderElectionRunnable: one operator asks.
func (o *Observer) NeedLeaderElection() bool { return true }

// SetTarget begins or changes the polling of a tenant's PBX.
func (o *Observer) SetTarget(t Target) {}

// Forget ends it, a request that is under way included.
func (o *Observer) Forget(name types.NamespacedName) {}

// Report returns what is known, false before the first answer or verdict.
func (o *Observer) Report(name types.NamespacedName) (Observation, bool) {
	return Observation{}, false
}

// Events are the tenants to look at again; the objects hold no more than
// namespace and name of a PBXTenant.
func (o *Observer) Events() <-chan event.GenericEvent { return o.events }

// Tell queues an event for a tenant.
func (o *Observer) Tell(name types.NamespacedName) {}

// Drain asks a PBX to take no new calls; ErrCallsUp if d.IfIdle and calls are
// up.
func (o *Observer) Drain(ctx context.Context, t Target, d conf.Drain) (conf.Report, error) {
	return conf.Report{}, nil
}

// Resume asks a PBX to take calls again.
func (o *Observer) Resume(ctx context.Context, t Target) error { return nil }
