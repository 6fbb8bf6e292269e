package trunk

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// How long the owner waits for one answer of the network.
const (
	registerTimeout   = 8 * time.Second
	optionsTimeout    = 4 * time.Second
	lookupTimeout     = 5 * time.Second
	unregisterTimeout = 2 * time.Second
)

// unseenFor is how long a host that was never resolved is waited for: as long
// as a caller repeats its INVITE.
const unseenFor = 32 * time.Second

// owner is the goroutine of one trunk and what it alone may touch.
type owner struct {
	cfg   *Config
	trunk conf.Trunk
	log   *slog.Logger
	moved func() // the addresses of a host changed

	ctx        context.Context //nolint:containedctx // the life of the owner's goroutine and of its workers
	cancel     context.CancelFunc
	unregister atomic.Bool // what stop asked for

	pub      atomic.Pointer[state]
	realm    atomic.Pointer[string]
	suspects chan int    // hosts that did not answer an INVITE
	results  chan func() // what workers found, run by the owner; never full
	workers  sync.WaitGroup

	// Owned by run.
	began       time.Time
	hosts       []host
	names       []string
	reg         registration
	registering bool
	callID      string
	cseq        uint32
	told        Status
}

func newOwner(cfg *Config, t conf.Trunk, moved func()) *owner {
	o := &owner{
		cfg: cfg, trunk: t, moved: moved,
		log:      cfg.Log.With("trunk", t.Name),
		suspects: make(chan int, 8),
		// One look-up and one OPTIONS a host, and one REGISTER, at most.
		results: make(chan func(), 2*len(t.Hosts)+1),
		callID:  rand.Text(),
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	if t.Realm != "" {
		o.realm.Store(&t.Realm)
	}
	now := cfg.Now()
	o.began = now
	o.reg = registration{wanted: firstExpires, next: now}
	for _, h := range t.Hosts {
		st := host{conf: h, health: Unknown, probeAt: now, lookupAt: now}
		if a, err := netip.ParseAddr(h.Host); err == nil {
			port := uint16(5060)
			if h.Transport == "TLS" {
				port = 5061
			}
			if h.Port > 0 && h.Port <= 0xffff {
				port = uint16(h.Port)
			}
			st.addrs, st.lookupAt = []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), port)}, time.Time{}
		}
		o.hosts = append(o.hosts, st)
		o.names = append(o.names, h.Host)
	}
	o.pub.Store(o.snapshot())
	return o
}

func (o *owner) load() *state { return o.pub.Load() }

// stop ends the goroutine; its end is awaited by the Set.
func (o *owner) stop(unregister bool) {
	o.unregister.Store(unregister)
	o.cancel()
}

// suspect marks a host as silent once; called from any goroutine.
func (o *owner) suspect(h conf.TrunkHost) {
	i := slices.Index(o.trunk.Hosts, h)
	if i < 0 {
		return
	}
	select {
	case o.suspects <- i:
	default: // enough is known to be wrong already
	}
}

// permitRealm pins the first realm it is asked about if none is configured.
func (o *owner) permitRealm(realm string) bool {
	if p := o.realm.Load(); p != nil {
		return *p == realm
	}
	if realm == "" {
		return false
	}
	o.realm.CompareAndSwap(nil, &realm)
	return *o.realm.Load() == realm
}

func (o *owner) run() {
	defer o.cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-o.ctx.Done():
			o.end()
			return
		case take := <-o.results:
			take()
		case i := <-o.suspects:
			o.hosts[i].answered(false)
			o.hosts[i].probeAt = o.cfg.Now()
			o.checkBinding()
		case <-timer.C:
		}
		o.work()
		o.tell()
		timer.Reset(max(o.due().Sub(o.cfg.Now()), 0))
	}
}

// end waits for the workers and takes the binding back.
func (o *owner) end() {
	inFlight := o.registering
	o.workers.Wait()
	for len(o.results) > 0 {
		(<-o.results)()
	}
	if !o.unregister.Load() || !o.trunk.Register || (!inFlight && !o.reg.registered(o.cfg.Now())) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), unregisterTimeout)
	defer cancel()
	o.cseq++
	if _, err := o.cfg.Transport.Register(ctx, o.request(o.reg.host, 0)); err != nil {
		o.log.Warn("trunk was not unregistered", "host", o.names[o.reg.host], "error", err)
	}
}

// work starts what is due.
func (o *owner) work() {
	now := o.cfg.Now()
	for i := range o.hosts {
		h := &o.hosts[i]
		if !h.lookupAt.IsZero() && !h.looking && !now.Before(h.lookupAt) {
			o.lookup(i)
		}
		if !h.probing && !now.Before(h.probeAt) {
			o.probe(i)
		}
	}
	if o.trunk.Register && len(o.hosts) > 0 && !o.registering && !now.Before(o.reg.next) {
		o.register(now)
	}
}

// due returns when work has to be called next.
func (o *owner) due() time.Time {
	first := o.cfg.Now().Add(time.Hour)
	earlier := func(t time.Time, busy bool) {
		if !busy && !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	for i := range o.hosts {
		earlier(o.hosts[i].lookupAt, o.hosts[i].looking)
		earlier(o.hosts[i].probeAt, o.hosts[i].probing)
	}
	if o.trunk.Register && len(o.hosts) > 0 {
		earlier(o.reg.next, o.registering)
		if o.reg.registered(o.cfg.Now()) {
			earlier(o.reg.until, false) // to tell that the binding has lapsed
		}
	}
	return first
}

func (o *owner) lookup(i int) {
	h := &o.hosts[i]
	h.looking = true
	o.worker(lookupTimeout, func(ctx context.Context) func() {
		addrs, err := o.cfg.Transport.Lookup(ctx, h.conf)
		return func() {
			h.looking = false
			h.lookupAt = o.cfg.Now().Add(o.cfg.LookupEvery)
			if err != nil || len(addrs) == 0 {
				// The addresses known so far stay: a name server that is
				// down must not take the trunk down.
				pause := o.cfg.LookupEvery / 4
				if len(h.addrs) == 0 && o.cfg.Now().Before(o.began.Add(unseenFor)) {
					pause = time.Second // callers wait for it
				}
				h.lookupAt = o.cfg.Now().Add(pause)
				o.log.Warn("trunk host cannot be resolved", "host", h.conf.Host, "error", err)
				return
			}
			if !slices.Equal(h.addrs, addrs) {
				h.addrs = slices.Clone(addrs)
				o.pub.Store(o.snapshot())
				o.moved()
			}
		}
	})
}

func (o *owner) probe(i int) {
	h := &o.hosts[i]
	h.probing = true
	o.worker(optionsTimeout, func(ctx context.Context) func() {
		err := o.cfg.Transport.Options(ctx, o.trunk, h.conf)
		return func() {
			h.probing = false
			h.answered(err == nil)
			h.fault = faultOf(err)
			pause := o.cfg.OptionsEvery
			if err != nil && h.health != Down {
				pause /= 6 // the second question decides: ask it soon
			}
			h.probeAt = o.cfg.Now().Add(pause)
			o.checkBinding()
		}
	})
}

// checkBinding looks for another host when the one that holds the binding
// went down.
func (o *owner) checkBinding() {
	now := o.cfg.Now()
	if o.trunk.Register && o.reg.registered(now) && o.hosts[o.reg.host].health == Down && !o.registering {
		o.reg = o.reg.lost(now)
	}
}

func (o *owner) register(now time.Time) {
	if len(o.reg.left) == 0 {
		// Not the registered host first: a refresh is the moment to go back
		// to the preferred host.
		o.reg.left = order(o.snapshot().hosts, -1, o.cfg.Rand)
	}
	i := o.reg.left[0]
	o.reg.left = slices.Clone(o.reg.left[1:])
	o.registering = true
	if !o.reg.registered(now) {
		o.reg.host = i
	}
	o.cseq++
	req := o.request(i, o.reg.wanted)
	o.worker(registerTimeout, func(ctx context.Context) func() {
		res, err := o.cfg.Transport.Register(ctx, req)
		return func() { o.registered(i, res, err) }
	})
}

// registered takes what became of a REGISTER.
func (o *owner) registered(i int, res RegisterResult, err error) {
	o.registering = false
	if o.ctx.Err() != nil && err != nil {
		return // cut off by stop
	}
	o.cseq = max(o.cseq, res.CSeq)
	if err == nil {
		o.hosts[i].answered(true)
	}
	o.reg = o.reg.answered(o.cfg.Now(), i, res, err, o.names, o.cfg.Rand())
}

func (o *owner) request(i int, expires time.Duration) RegisterRequest {
	return RegisterRequest{
		Trunk: o.trunk, Host: o.hosts[i].conf, Expires: expires,
		CallID: o.callID, CSeq: o.cseq, PermitRealm: o.permitRealm,
	}
}

// worker asks the network in a goroutine of its own; what ask returns is run
// by the owner.
func (o *owner) worker(limit time.Duration, ask func(context.Context) func()) {
	o.workers.Go(func() {
		ctx, cancel := context.WithTimeout(o.ctx, limit)
		defer cancel()
		o.results <- ask(ctx)
	})
}

func (o *owner) snapshot() *state {
	st := &state{reg: o.reg, wants: o.trunk.Register, hosts: make([]Host, len(o.hosts))}
	for i, h := range o.hosts {
		if len(h.addrs) == 0 {
			st.unseen = o.began.Add(unseenFor)
		}
		st.hosts[i] = Host{TrunkHost: h.conf, Addrs: h.addrs, Health: h.health, Fault: h.fault}
	}
	return st
}

// tell publishes the state, and what changed for people.
func (o *owner) tell() {
	st := o.snapshot()
	o.pub.Store(st)
	now := st.status(o.trunk.Name, o.cfg.Now())
	if now == o.told {
		return
	}
	o.told = now
	o.log.Info("trunk changed", "up", now.Up, "registered", now.Registered, "host", now.Host, "text", now.Text)
	if o.cfg.OnChange != nil {
		o.cfg.OnChange(now)
	}
}
