package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/pbx/capped"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Path is where callbacks arrive, at whatever host: the PBX's own.
const Path = desired.CallbackPath

const (
	// holdFor is how long a press waits for its PBX. Who has pressed looks at the
	// phone no longer than that.
	holdFor = 30 * time.Second
	// retryEvery is how often a PBX that is away is tried: a connection that is
	// refused costs next to nothing.
	retryEvery = 200 * time.Millisecond
	// tryFor bounds one try. A PBX that has the connection and says nothing gets
	// the press again and knows it.
	tryFor = 2 * time.Second
	// tellFor bounds the message to a presser.
	tellFor = 10 * time.Second
	// readFor bounds the reading of one body, which is a kilobyte or two.
	readFor = 2 * time.Second
	// lingerFor is how long connections are still taken after the process was
	// told to end: ingresses learn of it a moment later.
	lingerFor = 5 * time.Second

	// LeaveFor is how long the end of a Receiver takes at most: everything that
	// is held is delivered or told by then.
	LeaveFor = lingerFor + holdFor + tellFor
)

// Bounds of what one replica keeps in memory.
const (
	maxBody      = 1 << 20 // as the PBX's own
	connections  = 1024    // open at a time
	perSource    = 64      // of one source that is no proxy
	maxReading   = 256     // bodies that are read at a time
	hostShare    = 32      // of these, of one host
	maxStrangers = 32      // requests that nothing proves, on their way to a PBX
	maxPresses   = 4096    // held, of all tenants
	maxBytes     = 32 << 20
	tenantShare  = 128 // presses of one tenant
	tenantsBytes = 2 << 20
)

// Tenant is a company whose callbacks come here.
type Tenant struct {
	Name types.NamespacedName
	Bots []Bot
}

// Bot is one whose callbacks the tenant's PBX takes.
type Bot struct {
	Name   types.NamespacedName
	ID     string      // as the header X-WORKS-BotId says it
	Secret conf.Secret // signs its callbacks
}

// Loss is a press that its PBX did not get in time.
type Loss struct {
	Tenant types.NamespacedName
	Bot    types.NamespacedName
	User   string // who pressed or wrote
}

// Options are what a Receiver needs of the world.
type Options struct {
	// Listen opens the listener for callbacks.
	Listen func(context.Context) (net.Listener, error)
	// Find returns the tenants that have a host: one, or none. It is asked with
	// each request and must answer from memory.
	Find func(ctx context.Context, host string) ([]Tenant, error)
	// Where is the base URL of a tenant's PBX as it is now; "": no pod has an
	// address.
	Where func(context.Context, types.NamespacedName) string
	// Tell tells somebody that a press was not carried out.
	Tell func(context.Context, Loss) error
	// Transport reaches the PBXs.
	Transport http.RoundTripper
	// Registry takes the metrics.
	Registry prometheus.Registerer
	Now      func() time.Time
	Log      *slog.Logger
}

// Receiver receives. Make it with New.
type Receiver struct {
	opts    Options
	metrics *metrics
	hold    *hold
	desk    *desk
	// strangers holds one for each request of theirs.
	strangers chan struct{}

	listening atomic.Bool
	running   sync.WaitGroup // Start
}

// New returns a receiver that Start sets to work.
func New(o Options) (*Receiver, error) {
	r := &Receiver{
		opts: o, desk: newDesk(maxReading, hostShare), strangers: make(chan struct{}, maxStrangers),
	}
	r.hold = newHold(r.deliver)
	var err error
	r.metrics, err = newMetrics(o.Registry, r.hold.count)
	return r, err
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica
// receives.
func (r *Receiver) NeedLeaderElection() bool { return false }

// Ready is a check of the manager: it fails until callbacks are taken.
func (r *Receiver) Ready(*http.Request) error {
	if !r.listening.Load() {
		return errors.New("callbacks are not taken")
	}
	return nil
}

// Start implements manager.Runnable. When ctx ends it takes callbacks for a
// moment more, and returns when nothing is held any longer.
func (r *Receiver) Start(ctx context.Context) error {
	r.running.Add(1)
	defer r.running.Done()
	defer r.hold.end()
	listener, err := r.opts.Listen(ctx)
	if err != nil {
		return fmt.Errorf("callbacks: %w", err)
	}
	server := &http.Server{
		Handler: r, ErrorLog: slog.NewLogLogger(r.opts.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(capped.Listen(listener, connections, perSource, proxy)) }()
	r.listening.Store(true)
	select {
	case err := <-served:
		return fmt.Errorf("callbacks: %w", err)
	case <-ctx.Done():
	}
	r.listening.Store(false)
	return r.leave(context.WithoutCancel(ctx), server, served)
}

// leave ends the server, then waits for what is held.
func (r *Receiver) leave(ctx context.Context, server *http.Server, served <-chan error) error {
	linger := time.NewTimer(lingerFor)
	defer linger.Stop()
	select {
	case err := <-served:
		return fmt.Errorf("callbacks: %w", err)
	case <-linger.C:
	}
	ctx, cancel := context.WithTimeout(ctx, LeaveFor)
	defer cancel()
	err := server.Shutdown(ctx)
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if n := r.hold.count(); n > 0 {
		r.opts.Log.Info("presses are held: the process ends when they are delivered", "presses", n)
	}
	r.hold.wait(ctx)
	return err
}

// Wait returns when Start has, if it was called.
func (r *Receiver) Wait() { r.running.Wait() }
