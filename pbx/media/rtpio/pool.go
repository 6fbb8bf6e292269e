package rtpio

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/convert"
	"github.com/dipcast/dipcast/pbx/media/dtls"
	"github.com/dipcast/dipcast/pbx/media/rtpio/drop"
	"github.com/dipcast/dipcast/pbx/media/rtpio/ports"
	"github.com/dipcast/dipcast/pbx/media/rtpio/report"
)

// Defaults of Config.
const (
	DefaultSilence = 30 * time.Second
	DefaultRest    = 60 * time.Second
)

// Errors of Allocate.
var (
	ErrNoPorts = ports.ErrNone
	ErrClosed  = errors.New("the media plane is closed")
)

// Config says where a pool listens. Zero fields have the defaults named.
type Config struct {
	// From..To are the ports, both included; each port takes an even one for
	// RTP and the next for RTCP. Both 0: the kernel chooses.
	From, To int
	// Bind lists the addresses to listen on, at most one of each family;
	// empty: every address of the families in Advertise, or of IPv4.
	Bind []netip.Addr
	// Advertise lists the addresses that Local tells, at most one of each
	// family; a family without one tells its bind address.
	Advertise []netip.Addr
	// Silence is how long a peer may send nothing: 0 = 30 s.
	Silence time.Duration
	// Rest is how long a freed port stays unused: 0 = 60 s, negative = not at all.
	Rest time.Duration
	// Now is the clock: nil = time.Now.
	Now func() time.Time
	// Ticks drives the pacer; nil = every 20 ms. Tests drive it by hand.
	Ticks <-chan time.Time
	// Random yields unpredictable numbers for SSRCs, sequence numbers and
	// ports, from any goroutine; nil = from crypto/rand.
	Random func() uint64
	// Sockets keeps the sockets of held ports for the next process; nil = none
	// does, a restored port is bound anew.
	Sockets Sockets
	// Identity is the certificate for handshakes; nil: streams with DTLS get no
	// keys.
	Identity *dtls.Identity
	// Crew converts between codecs; nil = one of the pool's own. The pool
	// closes it.
	Crew *convert.Crew
	Log  *slog.Logger // nil = none
}

// Drops are the packets that were not used.
type Drops = drop.Counts

// Pool hands out ports. It implements media.Allocator.
type Pool struct {
	families [2]ports.Family // IPv4, IPv6
	silence  time.Duration
	now      func() time.Time
	start    time.Time
	random   func() uint64
	log      *slog.Logger
	sockets  Sockets // may be nil
	identity *dtls.Identity
	sources  atomic.Uint64
	crew     *convert.Crew // runs codecs; has no goroutine while nothing is converted

	pacer   pacer
	wg      sync.WaitGroup // the pacer and the ports
	leaving atomic.Bool    // to another process: see Leave

	mu      sync.Mutex
	closed  bool
	kernel  bool // the kernel chooses the ports
	numbers *ports.Stock
	shelf   *ports.Shelf
	ports   []*Port
	pollers []*poller
	past    Drops // of the ports that are closed
}

var _ media.Allocator = (*Pool)(nil)

// NewPool checks the configuration. No port is opened, and nothing runs but a
// goroutine that waits, before it is asked for.
func NewPool(cfg Config) (*Pool, error) {
	p := &Pool{
		silence: cfg.Silence, now: cfg.Now, random: cfg.Random, log: cfg.Log, sockets: cfg.Sockets, identity: cfg.Identity,
		kernel: cfg.From == 0 && cfg.To == 0,
	}
	var err error
	if p.families, err = ports.Families(cfg.Bind, cfg.Advertise); err != nil {
		return nil, err
	}
	if !p.kernel && (cfg.From < 1024 || cfg.To > 65535 || cfg.To < cfg.From+cfg.From&1+1) {
		return nil, fmt.Errorf("RTP ports %d..%d: want a range within 1024..65535 that holds an even port and the next", cfg.From, cfg.To)
	}
	p.defaults()
	rest := cfg.Rest
	if rest == 0 {
		rest = DefaultRest
	}
	p.shelf = ports.NewShelf(0, 0, p.random)
	if !p.kernel {
		p.numbers = ports.NewStock(cfg.From, cfg.To, max(rest, 0), p.random)
		p.shelf = ports.NewShelf(p.numbers.Left(), ports.OpenFiles(), p.random)
	}
	p.crew = cfg.Crew
	if p.crew == nil {
		p.crew = convert.NewCrew(runtime.GOMAXPROCS(0), nil)
	}
	p.start = p.now()
	p.sources.Store(p.random()) // no name of a stream that an earlier process gave comes again
	p.pacer.init(cfg.Ticks)
	start := p.clock()
	p.wg.Go(func() { p.pace(start) })
	return p, nil
}

func (p *Pool) defaults() {
	if p.silence <= 0 {
		p.silence = DefaultSilence
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.random == nil {
		p.random = unpredictable
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
}

func unpredictable() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (Go 1.24)
	return binary.BigEndian.Uint64(b[:])
}

// Allocate implements media.Allocator: it opens a port pair on the family of
// peer. A number that another program uses is passed over. Errors: ErrNoPorts,
// ErrClosed, no address of that family.
func (p *Pool) Allocate(peer netip.Addr, n media.Notices) (media.Port, error) {
	f, err := p.familyOf(peer)
	if err != nil {
		return nil, err
	}
	pair, err := p.bind(f)
	if err != nil {
		return nil, err
	}
	port := p.newPort(f, pair, n)
	if err := p.enter(port); err != nil {
		p.putBack(pair.Number)
		return nil, err
	}
	port.mu.Lock()
	defer port.mu.Unlock()
	port.receive()
	return port, nil
}

// familyOf chooses the family for a peer.
func (p *Pool) familyOf(peer netip.Addr) (*ports.Family, error) {
	if !peer.IsValid() {
		for i := range p.families {
			if p.families[i].Bind.IsValid() {
				return &p.families[i], nil
			}
		}
	}
	f := &p.families[ports.Index(peer)]
	if !f.Bind.IsValid() {
		return nil, fmt.Errorf("media for %s: no address of that family is advertised: add one to the network's advertised addresses", peer)
	}
	return f, nil
}

// enter gives a port its poller and puts it into the list. On an error its
// sockets are closed: ErrClosed, no descriptors left.
func (p *Pool) enter(port *Port) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		err = ErrClosed
	case port.pair.Polled:
		port.poller = p.pollers[0]
	default:
		port.poller, err = p.assign()
	}
	if err != nil {
		port.pair.Close()
		return err
	}
	port.poller.ports++
	p.ports = append(p.ports, port)
	p.wg.Add(1)
	if len(p.ports) == 1 {
		p.pacer.stir()
	}
	return nil
}

func (p *Pool) newPort(f *ports.Family, pair *ports.Pair, n media.Notices) *Port {
	port := &Port{pool: p, pair: pair, notices: n, rtp: pair.RTP, rtcp: pair.RTCP}
	port.local = netip.AddrPortFrom(f.Advertise, pair.RTP.Local().Port())
	r := p.random()
	port.output.Start(uint32(r), uint16(p.random()), uint32(r>>32))
	port.control.cname = report.NewName(p.random)
	port.control.schedule(p.clock(), p.random)
	return port
}

// bind returns a pair of sockets, one that was laid aside or a new one. The
// kernel is asked without the pool's lock: a call must not wait for the sockets
// of all others.
func (p *Pool) bind(f *ports.Family) (*ports.Pair, error) {
	if p.kernel {
		return f.AnyPair()
	}
	if pair := p.another(f); pair != nil {
		return pair, nil
	}
	for tries := p.stock(); tries > 0; tries-- {
		number, ok := p.take()
		if !ok {
			break
		}
		pair, err := f.Pair(number)
		if err == nil {
			pair.Number = number
			return pair, nil
		}
		p.putBack(number)
		if !ports.InUse(err) {
			return nil, err
		}
	}
	return nil, ErrNoPorts
}

// stock is how many numbers take can give.
func (p *Pool) stock() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.numbers.Left()
}

func (p *Pool) take() (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.numbers.Take(p.clock())
}

// reserve takes a certain number; 0 if it does not belong to the stock, false
// if a port has it, or its sockets are laid aside.
func (p *Pool) reserve(number uint16) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.ContainsFunc(p.ports, func(o *Port) bool { return o.local.Port() == number }) || p.shelf.Has(number) {
		return 0, false
	}
	if p.kernel || !p.numbers.Remove(number) {
		return 0, true
	}
	return number, true
}

func (p *Pool) putBack(number uint16) {
	if number == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.numbers.Put(number, p.clock())
}

// InUse returns how many ports (pairs) are open.
func (p *Pool) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ports)
}

// Drops sums up what the ports, open and closed, did not use.
func (p *Pool) Drops() Drops {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := p.past
	for _, port := range p.ports {
		sum.Add(port.Drops())
	}
	return sum
}

// Lateness is how late the media plane has run at worst in the last second or
// so: packets that waited longer in their sockets than they should, frames that
// were sent late. More than a few milliseconds is too much work for the
// machine.
func (p *Pool) Lateness() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := p.pacer.lateness.Max(p.clock())
	for _, o := range p.pollers {
		late = max(late, o.Lateness())
	}
	return late
}

// Close closes every port and waits for every goroutine of the pool.
func (p *Pool) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.pacer.stop()
	}
	ports, pollers, aside := slices.Clone(p.ports), p.pollers, p.shelf.All()
	p.mu.Unlock()
	p.discard(pollers, aside)
	for _, port := range ports {
		port.Close()
	}
	p.crew.Close()
	p.wg.Wait()
	for _, o := range pollers {
		o.Close()
	}
}

// Leave is Close for a process whose calls go on in the next one: no peer is
// told that its stream ends, and sockets that are held stay so.
func (p *Pool) Leave() {
	p.leaving.Store(true)
	p.Close()
}

// open appends the open ports to a slice.
func (p *Pool) open(ports []*Port) []*Port {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(ports, p.ports...)
}

// leave takes a port that is being closed out of the list.
func (p *Pool) leave(port *Port) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range p.ports {
		if o == port {
			last := len(p.ports) - 1
			p.ports[i], p.ports[last] = p.ports[last], nil
			p.ports = p.ports[:last]
			break
		}
	}
}

// gone takes the number and the figures of a port whose sockets are closed.
func (p *Pool) gone(port *Port) {
	defer p.wg.Done()
	d := port.Drops()
	p.mu.Lock()
	port.poller.ports--
	p.past.Add(d)
	if port.pair.Number != 0 {
		p.numbers.Put(port.pair.Number, p.clock())
	}
	p.mu.Unlock()
	port.tellForeign(d)
}

// nextSource names a stream towards the outputs; 0 is never given.
func (p *Pool) nextSource() uint64 {
	for {
		if n := p.sources.Add(1); n != 0 {
			return n
		}
	}
}

// clock is the time since the start in nanoseconds, beginning at one second so
// that 0 can mean never.
func (p *Pool) clock() int64 { return int64(p.now().Sub(p.start) + time.Second) }

// ntp is a time of clock as an NTP timestamp (RFC 3550 §4). It follows the
// clock of the start, so that a step of the wall clock changes no delay.
func (p *Pool) ntp(now int64) uint64 {
	const since1900 = 2208988800
	t := p.start.Add(time.Duration(now) - time.Second)
	return uint64(t.Unix()+since1900)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
