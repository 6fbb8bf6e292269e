package observer_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/pbx/conf"
)

const token = "the-token-of-acme"

// network is one without wires, so that a fake clock rules it: addresses
// answer, refuse or say nothing.
type network struct {
	t *testing.T

	mu      sync.Mutex
	hosts   map[string]*pbx
	dialled []string
	open    int // dials under way
	highest int
	servers sync.WaitGroup
}

func newNetwork(t *testing.T) *network {
	return &network{t: t, hosts: map[string]*pbx{}}
}

// host adds a PBX.
func (n *network) host(address string, p *pbx) *pbx {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[address] = p
	return p
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialled = append(n.dialled, address)
	p := n.hosts[address]
	n.open++
	n.highest = max(n.highest, n.open)
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.open--
		n.mu.Unlock()
	}()
	switch {
	case p == nil:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case p.is(silent):
		<-ctx.Done()
		return nil, ctx.Err()
	}
	client, server := net.Pipe()
	l := &oneConn{conn: server, closed: make(chan struct{})}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: time.Hour, ErrorLog: log.New(io.Discard, "", 0)}
	srv.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed || s == http.StateHijacked {
			l.Close()
		}
	}
	n.servers.Go(func() { _ = srv.Serve(l) })
	return client, nil
}

// oneConn is a listener of one connection.
type oneConn struct {
	mu     sync.Mutex
	conn   net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	c := l.conn
	l.conn = nil
	l.mu.Unlock()
	if c != nil {
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// state is how a pbx behaves.
type state int

const (
	answers state = iota
	silent        // accepts no connection
	hangs         // takes the request and says nothing
)

// pbx is a PBX's admin listener. Handle replaces what it answers.
type pbx struct {
	mu     sync.Mutex
	state  state
	report conf.Report
	handle http.HandlerFunc
	asked  []time.Time
	seen   []*http.Request
	bodies []string
	ended  int // requests whose client went away
}

func newPBX(generation string) *pbx {
	return &pbx{report: conf.Report{
		Version: conf.ReportVersion, Tenant: "ns/acme", Program: "1.0", Generation: generation, DatabaseUp: true,
	}}
}

func (p *pbx) is(s state) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state == s
}

// change changes what it answers from now on.
func (p *pbx) change(f func(*pbx)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

// times returns when it was asked since the last call.
func (p *pbx) times() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.asked
	p.asked = nil
	return t
}

func (p *pbx) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.asked = append(p.asked, time.Now())
	p.seen = append(p.seen, r)
	p.bodies = append(p.bodies, string(body))
	how, handle, report := p.state, p.handle, p.report
	p.mu.Unlock()
	switch {
	case how == hangs:
		<-r.Context().Done()
		p.change(func(p *pbx) { p.ended++ })
	case handle != nil:
		handle(w, r)
	case r.Header.Get("Authorization") != "Bearer "+token:
		http.Error(w, "unauthorized", http.StatusUnauthorized)
	default:
		_ = json.NewEncoder(w).Encode(report)
	}
}

// watch is an observer at work, and whom it told of.
type watch struct {
	*observer.Observer
	stop func()

	mu   sync.Mutex
	told []time.Time
}

var acme = types.NamespacedName{Namespace: "ns", Name: "acme"}

// target of acme's PBX.
func target() observer.Target {
	return observer.Target{Tenant: acme, URL: observer.AdminURL("10.0.0.1", 20018), Token: token, Instance: "pod/1"}
}

func with(change func(*observer.Target)) observer.Target {
	t := target()
	change(&t)
	return t
}

// start has an observer work until the test ends; the jitter is none.
func start(t *testing.T, n *network, opts observer.Options) *watch {
	t.Helper()
	w := &watch{}
	opts.Dial = n.dial
	if opts.Random == nil {
		opts.Random = func() float64 { return 0.5 }
	}
	opts.Changed = func(types.NamespacedName) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, time.Now())
	}
	w.Observer = observer.New(opts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Start(ctx) }()
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the observer ended with %v", err)
			}
			n.servers.Wait()
		})
	}
	t.Cleanup(w.stop)
	return w
}

// tells returns how often Changed was called since the last call.
func (w *watch) tells() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.told)
	w.told = nil
	return n
}

// pass lets the fake clock go on.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *watch) want(t *testing.T, reachable bool, generation, text string) {
	t.Helper()
	seen, ok := w.Report(acme)
	if !ok {
		t.Fatal("nothing is known")
	}
	got := ""
	if seen.Report != nil {
		got = seen.Report.Generation
	}
	if seen.Reachable != reachable || got != generation || !strings.Contains(seen.Error, text) || (text == "") != (seen.Error == "") {
		t.Errorf("observed %+v with generation %q; want reachable %t, %q, error %q", seen, got, reachable, generation, text)
	}
}

// closedPort is a port of loopback where nobody listens.
func closedPort(t *testing.T) int32 {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no TCP address")
	}
	return int32(addr.Port)
}
