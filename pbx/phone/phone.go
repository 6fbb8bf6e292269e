package phone

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/phone/digest"
)

// Config is what a phone is.
type Config struct {
	User        string // user part of the address of record; the digest's user name
	Password    string
	DisplayName string
	// Domain is the host of the address of record; empty = Server's host, or
	// the phone's own address without a Server.
	Domain string
	// Server is the registrar and proxy, "host:port" ("host" alone means port
	// 5060). Empty: calls go straight to the address that is dialled.
	Server string
	// Transport is "UDP" (default), "TCP", "TLS" or "WSS". Over the last two the
	// phone listens nowhere: it needs a Server, and is reached over its own
	// connection (RFC 5626, RFC 7118).
	Transport string
	// Roots are whom the server's certificate, which must be for Domain, may be
	// from; nil = the system's.
	Roots  *x509.CertPool
	Listen string // "127.0.0.1:0" (default), "[::1]:0"
	// Codecs in order of preference, "PCMA" and "PCMU"; empty = both.
	Codecs []string
	// Digest forces an algorithm, "MD5" or "SHA-256"; empty = the strongest offered.
	Digest     string
	AutoAnswer bool // answer at once
	// NoDTMF offers no telephone events, so that keys go by INFO.
	NoDTMF bool
	// NoRefresh lets a registration lapse.
	NoRefresh bool
	Log       *slog.Logger // nil = silent
	// Notify is told what happens, from the goroutine in which it happens; it
	// must return at once. May be nil.
	Notify func(Event)
}

// Event is one thing that happened, for people.
type Event struct {
	Call *Call // nil if it concerns the phone
	Kind EventKind
	Text string
}

// EventKind says what happened.
type EventKind string

// The events of a phone and its calls.
const (
	EventRegistered EventKind = "registered"
	EventFailed     EventKind = "registration-failed"
	EventIncoming   EventKind = "incoming"
	EventRinging    EventKind = "ringing"
	EventEarlyMedia EventKind = "early-media"
	EventAnswered   EventKind = "answered"
	EventHeld       EventKind = "held"    // by the peer
	EventResumed    EventKind = "resumed" // by the peer
	EventShown      EventKind = "shown"   // the peer's name or number changed
	EventEnded      EventKind = "ended"
)

// Phone is one SIP phone. Its methods may be called from any goroutine.
type Phone struct {
	cfg       Config
	log       *slog.Logger
	laws      []codec.Law
	transport string
	addr      netip.AddrPort // where we listen, our Contact
	host      string         // of Contact and Via, if we listen nowhere
	server    netip.AddrPort // zero = none
	domain    string

	tp     *sip.TransportLayer
	tx     *sip.TransactionLayer
	closer interface{ Close() error }

	ctx      context.Context //nolint:containedctx // the life of the phone and of its goroutines
	cancel   context.CancelFunc
	wg       sync.WaitGroup // everything but the reader
	reader   sync.WaitGroup
	incoming chan *Call

	mu      sync.Mutex // guards what follows
	closed  bool
	calls   map[string]*Call // by Call-ID and local tag
	binding binding
}

// New opens the phone's socket. Errors name the wrong field of the
// configuration, or say why the address cannot be listened on.
func New(cfg Config) (*Phone, error) {
	p := &Phone{
		cfg: cfg, log: cfg.Log,
		incoming: make(chan *Call, 64),
		calls:    make(map[string]*Call),
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	secure := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots, ServerName: cmp.Or(cfg.Domain, hostOf(p.server))}
	p.tp = sip.NewTransportLayer(net.DefaultResolver, sip.NewParser(), secure, sip.WithTransportLayerLogger(p.log),
		sip.WithTransportLayerReadFilter(p.filter))
	p.tx = sip.NewTransactionLayer(p.tp, sip.WithTransactionLayerLogger(p.log),
		sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {}))
	p.tx.OnRequest(p.handle)
	if err := p.listen(); err != nil {
		p.cancel()
		return nil, err
	}
	p.domain = cmp.Or(cfg.Domain, hostOf(p.server), uriHost(p.addr.Addr()))
	return p, nil
}

func hostOf(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return uriHost(a.Addr())
}

func (p *Phone) check() error {
	p.transport = strings.ToUpper(cmp.Or(p.cfg.Transport, "UDP"))
	switch p.transport {
	case "UDP", "TCP":
	case "TLS", "WSS":
		if p.cfg.Server == "" {
			return fmt.Errorf("transport %q: needs a server", p.cfg.Transport)
		}
	default:
		return fmt.Errorf("transport %q: must be UDP, TCP, TLS or WSS", p.cfg.Transport)
	}
	if d := p.cfg.Digest; d != "" && !digest.Known(d) {
		return fmt.Errorf("digest %q: must be %s or %s", d, digest.MD5, digest.SHA256)
	}
	for _, name := range p.cfg.Codecs {
		law, ok := codec.LawOf(name)
		if !ok {
			return fmt.Errorf("codec %q: must be PCMA or PCMU", name)
		}
		p.laws = append(p.laws, law)
	}
	if len(p.laws) == 0 {
		p.laws = []codec.Law{codec.ALaw, codec.ULaw}
	}
	if p.cfg.Server == "" {
		return nil
	}
	var err error
	if p.server, err = resolve(p.cfg.Server); err != nil {
		return fmt.Errorf("server %q: %w", p.cfg.Server, err)
	}
	return nil
}

// resolve takes "host:port", "host" or an address; names are looked up.
func resolve(server string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = strings.Trim(server, "[]"), "5060"
	}
	a, err := net.ResolveUDPAddr("udp", net.JoinHostPort(host, port))
	if err != nil {
		return netip.AddrPort{}, err
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

func (p *Phone) listen() error {
	want := cmp.Or(p.cfg.Listen, "127.0.0.1:0")
	if p.secure() {
		return p.listenNowhere(want)
	}
	var lc net.ListenConfig
	if p.transport == "UDP" {
		c, err := lc.ListenPacket(p.ctx, "udp", want)
		if err != nil {
			return fmt.Errorf("listen %q: %w", want, err)
		}
		p.closer = c
		p.addr, err = resolve(c.LocalAddr().String())
		// sipgo knows the socket only from its first read on; a request sent
		// before would open another one.
		reading := &readyConn{PacketConn: c, ready: make(chan struct{})}
		p.reader.Go(func() { _ = p.tp.ServeUDP(reading) })
		<-reading.ready
		return err
	}
	l, err := lc.Listen(p.ctx, "tcp", want)
	if err != nil {
		return fmt.Errorf("listen %q: %w", want, err)
	}
	p.closer = l
	p.addr, err = resolve(l.Addr().String())
	p.reader.Go(func() { _ = p.tp.ServeTCP(l) })
	return err
}

// readyConn tells when its first read begins.
type readyConn struct {
	net.PacketConn
	ready chan struct{}
	once  sync.Once
}

// ReadFrom implements net.PacketConn.
func (c *readyConn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.once.Do(func() { close(c.ready) })
	return c.PacketConn.ReadFrom(b)
}

// Addr returns where the phone listens.
func (p *Phone) Addr() netip.AddrPort { return p.addr }

// Incoming yields the calls that arrive; each must be answered or rejected.
func (p *Phone) Incoming() <-chan *Call { return p.incoming }

// WaitIncoming returns the next call that arrives.
func (p *Phone) WaitIncoming(ctx context.Context) (*Call, error) {
	select {
	case c := <-p.incoming:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no call came for %s: %w", p.cfg.User, context.Cause(ctx))
	case <-p.ctx.Done():
		return nil, errClosed
	}
}

var errClosed = errors.New("the phone is closed")

// Calls returns the calls that are not over.
func (p *Phone) Calls() []*Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*Call, 0, len(p.calls))
	for _, c := range p.calls {
		out = append(out, c)
	}
	return out
}

// farewell is how long Close gives peers to answer BYE and CANCEL.
const farewell = 2 * time.Second

// Close hangs up every call, closes the socket and waits for all goroutines.
// It does not unregister.
func (p *Phone) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.wg.Wait()
		return
	}
	p.closed = true
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, farewell)
	var bye sync.WaitGroup
	for _, c := range p.Calls() {
		bye.Go(func() { _ = c.Hangup(ctx) })
	}
	bye.Wait()
	cancel()
	p.vanish()
}

// Vanish closes the phone's socket without a word to anybody, as a phone does
// whose cable is pulled, and waits for all goroutines.
func (p *Phone) Vanish() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.vanish()
}

func (p *Phone) vanish() {
	p.cancel()
	for _, c := range p.Calls() {
		c.end(Cause{Text: "the phone was closed"}, nil)
	}
	p.tx.Close()
	p.wg.Wait()
	// sipgo handles each message in a goroutine that nobody can wait for, and
	// one that finds no socket would open another. No message passes the
	// filter any more; those that had passed it get time to find the socket.
	<-time.After(settle)
	p.tx.Close()
	if p.closer != nil {
		_ = p.closer.Close()
	}
	_ = p.tp.Close()
	p.reader.Wait()
}

// settle is how long messages that were read already may take to be handled.
const settle = 20 * time.Millisecond

// filter drops what arrives after the end.
func (p *Phone) filter(_ sip.TransportReadProps, data []byte) ([]byte, error) {
	select {
	case <-p.ctx.Done():
		// An error would be logged as if something were wrong.
		return nil, nil
	default:
		return data, nil
	}
}

// spawn runs f in a goroutine that Close waits for; it reports false after
// Close.
func (p *Phone) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Go(f)
	return true
}

// enter counts a goroutine of sipgo that serves a request, so that Close waits
// for it; it reports false after Close.
func (p *Phone) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Add(1)
	return true
}

func (p *Phone) notify(e Event) {
	p.log.Debug("phone", "user", p.cfg.User, "event", string(e.Kind), "text", e.Text)
	if p.cfg.Notify != nil {
		p.cfg.Notify(e)
	}
}

func (p *Phone) keep(c *Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[c.key()] = c
}

func (p *Phone) forget(c *Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.calls, c.key())
}

func (p *Phone) find(callID, localTag string) *Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[callID+" "+localTag]
}
