package txn

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// Errors of the table.
var (
	ErrFull   = errors.New("too many SIP transactions")
	ErrClosed = errors.New("the SIP transaction table is closed")
	errTwice  = errors.New("a transaction with that branch exists")
)

// Layer is the table. Its methods may be called from any goroutine.
type Layer struct {
	places Places
	now    func() time.Time

	mu      sync.Mutex
	closed  bool
	server  map[string]*Server
	settled settled
	client  map[string]*Client
	wg      sync.WaitGroup

	buffers sync.Pool // of *bytes.Buffer, in which messages are written
}

// Places are those for live server transactions.
type Places struct {
	All       int // at a time
	Important int // of them, that ordinary requests may not take
	Help      int // of these, that nothing may take but calls for help
}

// Rank says which places a request may take.
type Rank int

// The ranks, from the least.
const (
	Ordinary  Rank = iota
	Important      // of trunks, or inside a live dialog
	Help           // of a phone that calls an emergency number
)

// room is how many places may be taken before a request of that rank is
// refused.
func (p Places) room(r Rank) int {
	switch r {
	case Help:
		return p.All
	case Important:
		return p.All - p.Help
	}
	return p.All - p.Important
}

// New returns an empty table. Twice as many transactions as may live are
// remembered for 32 to 64 s when they are settled.
func New(places Places, now func() time.Time) *Layer {
	return &Layer{
		places: places, now: now, settled: settled{limit: 2 * places.All},
		server: make(map[string]*Server), client: make(map[string]*Client),
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

// Send writes a request outside any transaction.
func (l *Layer) Send(req *sip.Request, f *gate.Flow) error {
	b := l.write(req)
	defer l.buffers.Put(b)
	return f.Send(b.Bytes())
}

// write writes a message into a buffer, which belongs to the caller until it is
// put back.
func (l *Layer) write(m sip.Message) *bytes.Buffer {
	b, ok := l.buffers.Get().(*bytes.Buffer)
	if !ok {
		b = new(bytes.Buffer)
	}
	b.Reset()
	m.StringWrite(b)
	return b
}

// bytes returns a message as it is written.
func (l *Layer) bytes(m sip.Message) []byte {
	b := l.write(m)
	defer l.buffers.Put(b)
	return bytes.Clone(b.Bytes())
}

// Len returns how many server and client transactions are live; settled ones
// are not.
func (l *Layer) Len() (server, client int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.server), len(l.client)
}

// Matches reports whether a request belongs to a server transaction: a
// retransmission, the ACK of a refusal, or a CANCEL (RFC 3261 §17.2.3, §9.2).
func (l *Layer) Matches(m *gate.Message) bool {
	s, _, ok := l.find(m)
	return s != nil || ok
}

// Origin returns where the INVITE that a CANCEL names came from, not valid
// without one. What the CANCEL says of itself can be read or guessed by others:
// some phones count their branches.
func (l *Layer) Origin(m *gate.Message) netip.Addr {
	s, _, _ := l.find(m)
	if s == nil {
		return netip.Addr{}
	}
	return s.from.Addr()
}

// find returns the live transaction that a request belongs to, or the answer
// of the settled one. An ACK of a 2xx belongs to no settled one, whatever its
// branch is.
func (l *Layer) find(m *gate.Message) (s *Server, r remembered, ok bool) {
	method := m.Method
	if method == "ACK" || method == "CANCEL" {
		method = "INVITE"
	}
	var room [keyRoom]byte
	key := serverKey(room[:0], m, method)
	l.mu.Lock()
	defer l.mu.Unlock()
	if s = l.server[string(key)]; s == nil && m.Method != "ACK" {
		r, ok = l.settled.find(key, l.now())
	}
	return s, r, ok
}

// Receive hands a request to the transaction that it belongs to and reports
// whether there was one.
func (l *Layer) Receive(m *gate.Message) bool {
	s, r, ok := l.find(m)
	if s != nil {
		s.receive(m)
		return true
	}
	if ok && r.text != nil {
		_ = r.way.Send(r.text) // the peer sends its request again
	}
	return ok
}

// Begin starts a server transaction and calls serve, which must not block. An
// INVITE that is not answered for a moment gets a 100.
func (l *Layer) Begin(m *gate.Message, f *gate.Flow, rank Rank, serve func(*Server)) error {
	return l.begin(m, f.For(m), f.Remote, f.Transport == "UDP", rank, serve)
}

func (l *Layer) begin(m *gate.Message, way sender, from netip.AddrPort, datagram bool, rank Rank, serve func(*Server)) error {
	s := &Server{
		l: l, key: string(serverKey(nil, m, m.Method)), way: way, from: from, m: m,
		invite: m.Method == "INVITE", datagram: datagram,
	}
	if err := l.addServer(s, rank); err != nil {
		return err
	}
	serve(s)
	s.await()
	return nil
}

func (l *Layer) addServer(s *Server, rank Rank) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.server[s.key] != nil:
		return errTwice
	case len(l.server) >= l.places.room(rank):
		return ErrFull
	}
	l.server[s.key] = s
	return nil
}

// Go runs f in a goroutine that Close awaits, for what cannot begin yet.
func (l *Layer) Go(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.wg.Go(f)
	}
}

// Close ends every transaction; who waits for an answer is told.
func (l *Layer) Close() {
	l.mu.Lock()
	l.closed = true
	all := make([]interface{ Terminate() }, 0, len(l.server)+len(l.client))
	for _, s := range l.server {
		all = append(all, s)
	}
	for _, c := range l.client {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, tx := range all {
		tx.Terminate()
	}
	l.wg.Wait()
}

// keyRoom is room for a usual key: it need not be on the heap to be looked up.
const keyRoom = 192

// serverKey appends the name of a server transaction (RFC 3261 §17.2.3), with
// the rule of RFC 2543 for branches without the magic cookie.
func serverKey(b []byte, m *gate.Message, method string) []byte {
	v := &m.Via
	b = append(append(b, method...), '|')
	host := v.Host
	if rest, ok := strings.CutPrefix(v.Branch, sip.RFC3261BranchMagicCookie); ok && rest != "" {
		host = strings.ToLower(host)
	} else {
		b = append(append(append(b, m.CallID...), '|'), m.From.Tag...)
		b = append(strconv.AppendUint(append(b, '|'), uint64(m.CSeq), 10), '|')
	}
	b = append(append(append(b, v.Branch...), '|'), host...)
	return strconv.AppendInt(append(b, '|'), int64(v.Port), 10)
}

// Parse makes sipgo's form of a request; f is where it came from, nil if that
// does not matter.
func Parse(m *gate.Message, f *gate.Flow) (*sip.Request, error) {
	req, err := request(m)
	if err != nil {
		return nil, err
	}
	if f != nil {
		req.SetTransport(f.Transport)
		req.SetSource(f.Remote.String())
		via := req.Via()
		if m.Via.RPort { // RFC 3581 §4
			via.Params.Add("rport", strconv.Itoa(int(f.Remote.Port())))
		}
		if a, err := netip.ParseAddr(m.Via.Host); m.Via.RPort || err != nil || a != f.Remote.Addr() {
			via.Params.Add("received", f.Remote.Addr().String())
		}
	}
	return req, nil
}
