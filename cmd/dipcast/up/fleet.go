package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/dipcast/dipcast/pbx/call"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/server"
)

const (
	// callbackRetry is the pause between two trials to set the bot's callback.
	callbackRetry = 5 * time.Second
	callbackLimit = 15 * time.Second
)

// fleetConfig is what the fleet needs from outside.
type fleetConfig struct {
	data   string
	drain  time.Duration
	timing call.Timing
	child  *keeper.Child
	out    io.Writer
	log    *slog.Logger
}

// fleet holds the running tenants. One goroutine calls its methods.
type fleet struct {
	cfg     fleetConfig
	tenants map[string]*tenant
	wg      sync.WaitGroup // of the retiring ones

	mu       sync.Mutex
	retiring map[string]*tenant // left the manifests and still drain
}

// tenant is one running server.
type tenant struct {
	server   *server.Server
	document *conf.Document
	ctx      context.Context // ends with the tenant
	cancel   context.CancelCauseFunc
	serves   chan struct{}      // closed when it serves, or has failed to
	unmanage context.CancelFunc // ends what manage began, nil before
	wg       sync.WaitGroup
}

func newFleet(cfg fleetConfig) *fleet {
	return &fleet{cfg: cfg, tenants: make(map[string]*tenant), retiring: make(map[string]*tenant)}
}

// ports returns the ports that are taken by tenants that run or still drain.
func (f *fleet) ports() map[string]conf.Ports {
	f.mu.Lock()
	defer f.mu.Unlock()
	ports := make(map[string]conf.Ports, len(f.tenants)+len(f.retiring))
	for _, list := range []map[string]*tenant{f.retiring, f.tenants} {
		for k, t := range list {
			ports[k] = t.document.Network.Ports
		}
	}
	return ports
}

// converge makes exactly these tenants run. Errors of one tenant do not keep
// the others from their new state; its own last good state goes on.
func (f *fleet) converge(ctx context.Context, wanted []*conf.Document) error {
	var errs []error
	keep := make(map[string]bool)
	for _, d := range wanted {
		k := key(d.Tenant.Namespace, d.Tenant.Name)
		keep[k] = true
		if t, ok := f.tenants[k]; ok {
			errs = append(errs, f.update(t, d))
			continue
		}
		errs = append(errs, f.start(ctx, k, d))
	}
	for k, t := range f.tenants {
		if !keep[k] {
			f.retire(k, t)
		}
	}
	return errors.Join(errs...)
}

// retire drains a tenant while the others go on.
func (f *fleet) retire(k string, t *tenant) {
	fmt.Fprintf(f.cfg.out, "%s: removed from the manifests: draining\n", k)
	delete(f.tenants, k)
	f.mu.Lock()
	f.retiring[k] = t
	f.mu.Unlock()
	f.wg.Go(func() {
		f.stopAll([]*tenant{t}, nil)
		f.mu.Lock()
		delete(f.retiring, k)
		f.mu.Unlock()
		fmt.Fprintf(f.cfg.out, "%s: has ended\n", k)
	})
}

func (f *fleet) drains(k string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.retiring[k] != nil
}

func (f *fleet) update(t *tenant, d *conf.Document) error {
	if t.document.Generation == d.Generation {
		return nil
	}
	plan, err := t.server.Apply(d)
	if err != nil {
		return err
	}
	t.document = d
	if plan[server.PartBot] != server.None {
		f.manage(t)
	}
	fmt.Fprintf(f.cfg.out, "%s: generation %s is in force (%s)\n", key(d.Tenant.Namespace, d.Tenant.Name), d.Generation, plan)
	if parts := plan.Restarts(); len(parts) > 0 {
		fmt.Fprintf(f.cfg.out, "%s: %v change only with a restart of this process\n", key(d.Tenant.Namespace, d.Tenant.Name), parts)
	}
	return nil
}

func (f *fleet) start(ctx context.Context, k string, d *conf.Document) error {
	if f.drains(k) {
		return fmt.Errorf("%s: was removed and still drains its calls: save a manifest once more when it has ended", k)
	}
	dir, err := server.PrepareDataDir(f.cfg.data, d.Tenant.Namespace, d.Tenant.Name)
	if err != nil {
		return err
	}
	serves := make(chan struct{})
	tell := sync.OnceFunc(func() { close(serves) })
	s, err := server.New(ctx, server.Options{
		Document: d, DataDir: dir, DrainFor: f.cfg.drain, CallTiming: f.cfg.timing, Log: f.cfg.log,
		Keeper: f.cfg.child, Serving: tell, Restarts: f.cfg.child.Restarts(),
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: end the program that has the port (ss -lnp shows it), or choose others with --sip-port, --http-port or the class's portPool", err)
	}
	if err != nil {
		return err
	}
	// The process's signal ends all tenants through stop, which waits.
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	t := &tenant{server: s, document: d, ctx: own, cancel: cancel, serves: serves}
	t.wg.Go(func() {
		defer tell()
		if err := s.Run(own); err != nil {
			f.cfg.log.Error("the tenant has stopped; start the process again", "tenant", k, "error", err)
		}
	})
	f.manage(t)
	f.tenants[k] = t
	fmt.Fprintf(f.cfg.out, "%s: SIP %s (UDP, TCP), console %s, callback %s/works/callback\n",
		k, reachedAt(d, s), d.Web.BaseURL, d.Web.BaseURL)
	fmt.Fprintf(f.cfg.out, "%s: RTP %d-%d (UDP), HTTP %s, metrics http://%s/metrics, API token in %s\n",
		k, d.Network.Ports.RTPFrom, d.Network.Ports.RTPTo, s.HTTPAddr(), s.AdminAddr(), s.APITokenFile())
	return nil
}

// reachedAt is the SIP address that phones are given.
func reachedAt(d *conf.Document, s *server.Server) string {
	host := s.SIPAddr().Addr().String()
	if list := d.Network.Advertise[""]; len(list) > 0 {
		host = list[0]
	}
	return net.JoinHostPort(host, strconv.Itoa(int(s.SIPAddr().Port())))
}

// manage sets the bot of the tenant's document up, in the background.
func (f *fleet) manage(t *tenant) {
	if t.unmanage != nil {
		t.unmanage()
	}
	ctx, cancel := context.WithCancel(t.ctx)
	t.unmanage = cancel
	d := t.document
	if d.Bot == nil || !d.Bot.Manage {
		return
	}
	t.wg.Go(func() { f.manageBot(ctx, key(d.Tenant.Namespace, d.Tenant.Name), t.server, d) })
}

// manageBot sets the bot's callbacks and menu, as the operator does in a
// cluster, until it succeeds.
func (f *fleet) manageBot(ctx context.Context, k string, s *server.Server, d *conf.Document) {
	for {
		limited, cancel := context.WithTimeout(ctx, callbackLimit)
		err := s.ManageBot(limited, d.Web.BaseURL)
		cancel()
		if err == nil {
			fmt.Fprintf(f.cfg.out, "%s: bot %d calls back to %s/works/callback\n", k, d.Bot.BotID, d.Web.BaseURL)
			return
		}
		if ctx.Err() != nil {
			return
		}
		f.cfg.log.Warn("the bot cannot be set up", "tenant", k, "error", err)
		again := time.NewTimer(callbackRetry)
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-again.C:
		}
	}
}

// ready tells the parent, when every tenant serves, that nothing else of the
// process before is wanted.
func (f *fleet) ready() {
	for _, t := range f.tenants {
		<-t.serves
	}
	f.cfg.child.Ready()
}

// stop ends every tenant, all at the same time: drained, or handed over if that
// is the cause.
func (f *fleet) stop(cause error) {
	f.stopAll(slices.Collect(maps.Values(f.tenants)), cause)
	clear(f.tenants)
	f.wg.Wait()
}

func (f *fleet) stopAll(list []*tenant, cause error) {
	for _, t := range list {
		t.cancel(cause)
	}
	for _, t := range list {
		t.wg.Wait()
	}
}
