package sipua

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/load"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/registrar"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/legs"
	"github.com/dipcast/dipcast/pbx/sipua/rings"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// Config is what an Agent needs from outside.
type Config struct {
	// Document is the tenant's document to begin with.
	Document *conf.Document
	// Advertise are our addresses as others must see them, IPv4 and/or IPv6.
	Advertise []netip.Addr
	// Bind are the addresses to listen on, UDP and TCP; empty means every
	// address of both families.
	Bind []netip.Addr
	// Ports are those of SIP; that of 0 is chosen by the kernel.
	Ports Ports
	// Media makes the ports of legs.
	Media media.Allocator
	// Keeper holds the sockets while the process restarts; nil = nobody does.
	Keeper keeper.Keeper
	// Receiver takes incoming calls; SetReceiver may hand it in later.
	Receiver leg.Receiver
	// Store keeps registrations; nil keeps them in memory alone, or in what
	// Load hands in later.
	Store pbx.ContactStore
	// Resolver looks up the names of trunks; nil = net.DefaultResolver.
	Resolver edge.Resolver
	// Gate holds limits that differ from their defaults: Rate, Burst, Bans
	// and Streams.
	Gate gate.Config
	// MinExpires and MaxExpires bound a registration; 0 = 60 s and 1 h.
	MinExpires, MaxExpires time.Duration
	// Banned is told each source that is shut out as a whole, and for how
	// long; it must not block. May be nil.
	Banned func(netip.Addr, time.Duration)
	// Fingerprint is that of Media's certificate for handshakes (RFC 8122), as
	// in media.DTLS; empty: browsers cannot call.
	Fingerprint string
	// OnTrunk is told each change of a trunk's status; may be nil.
	OnTrunk func(trunk.Status)
	// Journal keeps answered legs beyond the life of the process; nil: they end
	// with it.
	Journal journal.Store
	Log     *slog.Logger     // nil = silent
	Now     func() time.Time // nil = time.Now
	Rand    io.Reader        // nil = crypto/rand
}

// Ports are those of SIP and of SIP over TLS and WebSocket.
type Ports = edge.Ports

// Agent is the SIP side of one tenant. Its methods may be called from any
// goroutine.
type Agent struct {
	cfg       Config
	doc       atomic.Pointer[conf.Document]
	receiver  atomic.Pointer[leg.Receiver]
	registrar *registrar.Registrar
	edge      *edge.Edge
	trunks    *trunk.Set
	legs      *legs.Table
	rings     *rings.Book
	quiet     <-chan struct{} // closed when nothing rings any more for the process before
}

var _ leg.Dialer = (*Agent)(nil)

// New checks the configuration, reads the registrations of an earlier process
// and opens the sockets; Run serves them. Without Run, Close must be called.
func New(cfg Config) (*Agent, error) {
	if cfg.Document == nil {
		return nil, errors.New("sipua: no document")
	}
	if len(cfg.Advertise) == 0 {
		return nil, errors.New("sipua: no advertised address: give the one at which phones and trunks reach this PBX")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = &buffered{from: bufio.NewReaderSize(rand.Reader, randomAhead)}
	}
	a := &Agent{cfg: cfg}
	a.doc.Store(cfg.Document)
	if cfg.Receiver != nil {
		a.SetReceiver(cfg.Receiver)
	}
	a.registrar = registrar.New(registrar.Config{
		Now: cfg.Now, Log: cfg.Log, Limits: a.limits,
		MinExpires: cfg.MinExpires, MaxExpires: cfg.MaxExpires,
	})
	if err := a.build(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := a.Load(ctx, cfg.Store); err != nil {
		a.Close()
		return nil, err
	}
	if err := a.edge.Listen(ctx, cfg.Bind, cfg.Ports); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Load reads the registrations of an earlier process and keeps new ones in the
// store from now on. New does it if it has the store; else it must be done
// before Run.
func (a *Agent) Load(ctx context.Context, store pbx.ContactStore) error {
	if store != nil {
		a.registrar.SetStore(store)
	}
	return a.registrar.Load(ctx)
}

// startTimeout bounds what New does.
const startTimeout = 30 * time.Second

// randomAhead is how many random bytes are read from the system at once: each
// call needs some two hundred, eight or sixteen at a time.
const randomAhead = 1024

// buffered reads randomness for many goroutines.
type buffered struct {
	mu   sync.Mutex
	from *bufio.Reader
}

// Read implements io.Reader.
func (b *buffered) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return io.ReadFull(b.from, p)
}

// build makes the parts, which know each other through functions.
func (a *Agent) build() error {
	var err error
	a.rings = rings.New(a.cfg.Journal, a.cfg.Log, a.cfg.Now)
	a.edge, err = edge.New(edge.Config{
		Document: a.document, Registrar: a.registrar,
		Trunk:  func(from netip.Addr) (string, bool) { return a.trunks.Match(from) },
		Owner:  func(callID, tag string) (edge.Identity, bool) { return a.legs.Owner(callID, tag) },
		Unseen: func() bool { return a.trunks.Unseen() },
		Acknowledge: func(callID, localTag, remoteTag string, seq uint32) {
			a.legs.Acknowledge(callID, localTag, remoteTag, seq)
		},
		Talks:     func(match func(netip.Addr) bool) bool { return a.legs.Talks(match) },
		Invite:    a.onInvite,
		InDialog:  a.inDialog,
		Advertise: a.cfg.Advertise, Resolver: a.cfg.Resolver, Gate: a.cfg.Gate, Banned: a.cfg.Banned,
		Keeper: a.cfg.Keeper, Ledger: a.rings,
		Now: a.cfg.Now, Rand: a.cfg.Rand, Log: a.cfg.Log,
	})
	if err != nil {
		return err
	}
	a.trunks = trunk.New(trunk.Config{Transport: a.edge, Now: a.cfg.Now, Log: a.cfg.Log, OnChange: a.cfg.OnTrunk})
	a.legs = legs.New(legs.Config{
		Sender: a.edge, Media: a.cfg.Media, Receiver: a.currentReceiver, Document: a.document,
		Fingerprint: a.cfg.Fingerprint, Trunks: a.trunks, Log: a.cfg.Log, NewID: a.edge.Token, Pick: a.edge.Pick,
		Journal: a.cfg.Journal, Reach: a.reach, Now: a.cfg.Now,
	})
	return nil
}

// SetReceiver hands in the receiver of incoming calls; until then INVITEs are
// answered with 503.
func (a *Agent) SetReceiver(r leg.Receiver) { a.receiver.Store(&r) }

func (a *Agent) currentReceiver() leg.Receiver {
	if r := a.receiver.Load(); r != nil {
		return *r
	}
	return nil
}

func (a *Agent) document() *conf.Document { return a.doc.Load() }

func (a *Agent) limits() (operating, maximum int) {
	l := a.document().Limits
	return l.RegistrationsOperating, l.RegistrationsMaximum
}

// hangUpTimeout is how long Run waits for the goodbyes of legs.
const hangUpTimeout = 5 * time.Second

// Run serves until ctx is done, then hangs up what is left and returns when
// every goroutine has ended.
func (a *Agent) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { a.registrar.Run(writing) })
	wg.Go(func() { a.rings.Run(writing) })
	ready := make(chan struct{})
	a.callAgain(ready)                            // before a CANCEL of one of them is read
	_, err := a.trunks.Apply(a.document().Trunks) // before a packet of theirs is read
	if err == nil {
		err = a.edge.Serve()
	}
	if err == nil {
		a.untilQuiet(ctx)
	}
	close(ready)
	if err == nil {
		<-ctx.Done()
	}
	a.Close()
	stop()
	wg.Wait()
	if err != nil {
		return fmt.Errorf("sipua: %w", err)
	}
	return nil
}

// Close hangs up, closes the sockets and waits for what they started. Run
// calls it.
func (a *Agent) Close() {
	a.edge.End()
	ctx, cancel := context.WithTimeout(context.Background(), hangUpTimeout)
	defer cancel()
	if err := a.legs.Close(ctx); err != nil {
		a.cfg.Log.Warn("legs did not end in time", "error", err)
	}
	a.trunks.Close()
	a.rings.Close()
	a.edge.Close()
}

// SIPAddr returns the first address that is listened on; transport is "UDP"
// or "TCP", which share address and port, "TLS" or "WSS". It is not valid while
// a transport is not served.
func (a *Agent) SIPAddr(transport string) netip.AddrPort { return a.edge.Addr(transport) }

// Apply puts a new document in force; calls keep the one they began with.
// Registrations of extensions that no longer exist end. An error of the
// listeners leaves the old one in force.
func (a *Agent) Apply(doc *conf.Document) error {
	if doc == nil {
		return errors.New("sipua: no document")
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := a.edge.Apply(ctx, doc); err != nil {
		return fmt.Errorf("sipua: %w", err)
	}
	a.doc.Store(doc)
	exists := make(map[string]bool, len(doc.Extensions))
	for i := range doc.Extensions {
		exists[doc.Extensions[i].Number] = true
	}
	a.registrar.Retain(func(extension string) bool { return exists[extension] })
	if _, err := a.trunks.Apply(doc.Trunks); err != nil {
		return fmt.Errorf("sipua: %w", err)
	}
	return nil
}

// Drain makes requests that would begin a call be answered with 503 and
// Retry-After, except to emergency numbers, until Resume; phones may still
// register, and live calls go on.
func (a *Agent) Drain() { a.edge.Drain() }

// Resume lets calls begin again after Drain.
func (a *Agent) Resume() { a.edge.Resume() }

// Idle waits until no leg is live.
func (a *Agent) Idle(ctx context.Context) error { return a.legs.Wait(ctx) }

// Trunks returns the tenant's trunks.
func (a *Agent) Trunks() *trunk.Set { return a.trunks }

// Registrar returns the tenant's bindings.
func (a *Agent) Registrar() *registrar.Registrar { return a.registrar }

// Counters returns what happened to messages so far.
func (a *Agent) Counters() *gate.Counters { return a.edge.Counters() }

// Shed returns what was refused for overload so far.
func (a *Agent) Shed() *edge.Shed { return a.edge.Shed() }

// SetLoad says who may begin a call or register anew from now on; calls that
// are up and phones that renew are not touched.
func (a *Agent) SetLoad(l load.Level) { a.edge.SetLoad(l) }

// Full is the used share of the places for server transactions.
func (a *Agent) Full() float64 { return a.edge.Full() }

// Transactions returns how many server and client transactions are live.
func (a *Agent) Transactions() (server, client int) { return a.edge.Transactions() }

// Legs returns how many legs are live.
func (a *Agent) Legs() int { return a.legs.Count() }

// Dial implements leg.Dialer.
func (a *Agent) Dial(d leg.Dial, l leg.Listener) leg.Leg { return a.legs.Dial(d, l) }

// TakeUp implements leg.Dialer.
func (a *Agent) TakeUp(id pbx.LegID, l leg.Listener) (leg.Leg, bool) { return a.legs.TakeUp(id, l) }

// EndRest hangs up the legs of an earlier process that no call has taken up.
func (a *Agent) EndRest() { a.legs.EndRest() }

// Leave lets calls that would begin wait for the process that takes over.
func (a *Agent) Leave() { a.edge.Leave() }

// HandOver leaves the answered legs to another process, without a word to
// their peers, and makes Run return. The sockets are closed; the trunks' and
// phones' registrations stay.
func (a *Agent) HandOver() {
	a.edge.Leave()
	a.legs.HandOver()
	a.trunks.Leave()
}

// reach returns where a phone is found whose connection may have ended: there
// still, or by the registration of the same phone; of one that does not name
// itself, by one that came from the same host in the same way.
func (a *Agent) reach(phone edge.Identity, was edge.Hop) (edge.Hop, bool) {
	if a.edge.Connected(was) {
		return was, true
	}
	for _, c := range a.Contacts(phone.Extension) {
		to := edge.Hop{Transport: c.Transport, Addr: c.Source}
		same := c.InstanceID == phone.Instance
		if phone.Instance == "" || c.InstanceID == "" {
			same = strings.EqualFold(c.Transport, was.Transport) && c.Source.Addr().Unmap() == was.Addr.Addr().Unmap()
		}
		if same && to != was {
			return to, true
		}
	}
	return edge.Hop{}, false
}

// Contacts implements leg.Dialer. The binding of a phone whose TCP connection
// is gone leads to where the phone said that it listens.
func (a *Agent) Contacts(extension string) []pbx.Contact {
	all := a.registrar.Contacts(extension)
	for i := range all {
		all[i].Source = a.edge.Place(&all[i])
	}
	return all
}

// TrunkUp implements leg.Dialer.
func (a *Agent) TrunkUp(name string) bool { return a.trunks.Up(name) && !a.trunks.Full(name) }

// onInvite takes an INVITE without a To tag that passed admission.
func (a *Agent) onInvite(req *sip.Request, tx *txn.Server, id edge.Identity) {
	a.legs.Invite(req, tx, id)
}

// inDialog takes a request inside a dialog; an ACK has no transaction.
func (a *Agent) inDialog(req *sip.Request, tx *txn.Server) { a.legs.InDialog(req, tx) }
