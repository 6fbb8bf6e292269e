package gate

import (
	"bufio"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// StreamLimits bound TCP connections. Zero fields mean the defaults.
type StreamLimits struct {
	Total     int           // connections, 2048; an eighth more for trunks
	PerSource int           // connections of one source that have not proven themselves, 32
	Header    int           // bytes of one message's headers, 16384
	Body      int           // bytes of one message's body, 65536
	Unproven  time.Duration // in which the peer must have proven who it is, 30 s
	Idle      time.Duration // idle time after that, 2 h
	Message   time.Duration // from the first to the last byte of a message, 10 s
	Write     time.Duration // until a peer that does not read is given up, 5 s
	Backlog   int           // bytes that may wait to be written, 262144
}

func (l StreamLimits) withDefaults() StreamLimits {
	number := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	length := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	number(&l.Total, 2048)
	number(&l.PerSource, 32)
	number(&l.Header, 16384)
	number(&l.Body, 65536)
	number(&l.Backlog, 1<<18)
	length(&l.Unproven, 30*time.Second)
	length(&l.Idle, 2*time.Hour)
	length(&l.Message, 10*time.Second)
	length(&l.Write, 5*time.Second)
	return l
}

// streams is the table of open TCP connections.
type streams struct {
	limits StreamLimits

	mu       sync.Mutex
	closed   bool
	open     map[netip.AddrPort]*stream
	unproven map[netip.Addr]int
	waiting  *list.List // of *stream, unproven ones, the oldest at the back
}

func (s *streams) init(l StreamLimits) {
	s.limits = l.withDefaults()
	s.open = make(map[netip.AddrPort]*stream)
	s.unproven = make(map[netip.Addr]int)
	s.waiting = list.New()
}

func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, st := range s.open {
		_ = st.conn.Close() // its reader notices
	}
}

// add takes a connection in, or reports that there is no room. Where strangers
// have taken all of it the oldest of them goes: phones prove who they are at
// once, those who only sit there never do.
func (s *streams) add(st *stream, proven bool) (ok bool, evicted *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	source := Network(st.flow.Remote.Addr())
	// Trunks find room when strangers have taken all of it.
	room := s.limits.Total
	if proven {
		room += s.limits.Total/8 + 1
	}
	if s.closed || !proven && s.unproven[source] >= s.limits.PerSource {
		return false, nil
	}
	if len(s.open) >= room {
		oldest := s.waiting.Back()
		if oldest == nil {
			return false, nil
		}
		evicted, _ = oldest.Value.(*stream)
		delete(s.open, evicted.flow.Remote)
		s.settle(evicted)
	}
	if !proven {
		s.unproven[source]++
		st.place = s.waiting.PushFront(st)
	}
	st.proven = proven
	s.open[st.flow.Remote] = st
	return true, evicted
}

func (s *streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[st.flow.Remote] == st {
		delete(s.open, st.flow.Remote)
	}
	s.settle(st)
}

// settle takes the stream off its source's share; s.mu is held.
func (s *streams) settle(st *stream) {
	if st.proven {
		return
	}
	st.proven = true
	s.waiting.Remove(st.place)
	source := Network(st.flow.Remote.Addr())
	if s.unproven[source]--; s.unproven[source] <= 0 {
		delete(s.unproven, source)
	}
}

func (s *streams) find(to netip.AddrPort) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[to]
}

// ServeTCP accepts connections until Close.
func (g *Gate) ServeTCP(l net.Listener) error {
	return g.start(l, func() { g.accept(l) })
}

func (g *Gate) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors: the connection waits in the backlog
			// until another one ends.
			t := time.NewTimer(50 * time.Millisecond)
			<-t.C
			continue
		}
		source := flowOf(conn).Remote.Addr()
		trusted := g.cfg.Trusted(source)
		if !trusted && g.bans.Source(Network(source), g.cfg.Now()) {
			g.Counters.Banned.Add(1)
			_ = conn.Close() // was never served
			continue
		}
		if _, err := g.serveStream(conn, trusted); err != nil {
			g.Counters.Turned.Add(1)
		}
	}
}

var errFull = errors.New("no room for one more TCP connection")

// serveStream starts the connection's reader.
func (g *Gate) serveStream(conn net.Conn, proven bool) (*Flow, error) {
	f := flowOf(conn)
	st := &stream{conn: conn, flow: f, table: &g.streams}
	f.stream = st
	st.trust.Store(proven)
	ok, evicted := g.streams.add(st, proven)
	if !ok {
		_ = conn.Close() // was never served
		return nil, errFull
	}
	if evicted != nil {
		g.Counters.Turned.Add(1)
		_ = evicted.conn.Close() // its reader notices
	}
	g.Counters.Streams.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		_ = conn.Close() // was never served
		g.streams.remove(st)
		g.Counters.Streams.Add(-1)
		return nil, ErrClosed
	}
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		g.readStream(st)
	}()
	return f, nil
}

func flowOf(conn net.Conn) *Flow {
	local, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	remote, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	return &Flow{
		Transport: "TCP",
		Local:     netip.AddrPortFrom(local.Addr().Unmap(), local.Port()),
		Remote:    netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()),
	}
}

func (g *Gate) readStream(st *stream) {
	defer func() {
		st.finish()
		_ = st.conn.Close() // the peer may have closed it already
		g.streams.remove(st)
		g.Counters.Streams.Add(-1)
		g.cfg.Handler.Closed(st.flow)
	}()
	cut := newFramer(st.conn, g.streams.limits)
	until := time.Now().Add(g.streams.limits.Unproven)
	// Whatever a stranger sends, and however slowly, its time runs out.
	within := func(d time.Duration) error {
		end := time.Now().Add(d)
		if !st.trust.Load() && end.After(until) {
			end = until
		}
		return st.conn.SetReadDeadline(end)
	}
	for {
		if err := within(g.streams.limits.Idle); err != nil {
			return
		}
		message, err := cut.next(func() error { return within(g.streams.limits.Message) })
		switch {
		case errors.Is(err, errPing):
			g.keepAlive([]byte("\r\n\r\n"), st.flow)
		case err == nil:
			g.message(message, st.flow)
		default:
			// Without a sane Content-Length nobody knows where the next
			// message begins: say what is wrong and end the connection.
			if len(message) > 0 {
				g.message(message, st.flow)
			}
			return
		}
	}
}

// Stream returns the flow to a peer over TCP: the open connection, or a new
// one.
func (g *Gate) Stream(ctx context.Context, to netip.AddrPort) (*Flow, error) {
	if st := g.streams.find(to); st != nil {
		return st.flow, nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	f, err := g.serveStream(conn, true)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	return f, nil
}

// OpenStream returns the open connection to a peer, nil if there is none.
func (g *Gate) OpenStream(to netip.AddrPort) *Flow {
	if st := g.streams.find(to); st != nil {
		return st.flow
	}
	return nil
}

// framer cuts a stream into messages (RFC 3261 §18.3).
type framer struct {
	r      *bufio.Reader
	limits StreamLimits
	buf    []byte
}

var (
	errPing  = errors.New("keep-alive")
	errFrame = errors.New("the stream cannot be cut into messages")
)

func newFramer(r io.Reader, l StreamLimits) *framer {
	return &framer{r: bufio.NewReaderSize(r, 4096), limits: l}
}

// next returns the next message, valid until the next call; begun is called
// when its first byte has come. errPing stands for a double CRLF. With
// errFrame comes what was read of a message that cannot be delimited.
func (f *framer) next(begun func() error) ([]byte, error) {
	if cap(f.buf) > 1<<14 {
		f.buf = nil // one large message must not hold memory for ever
	}
	f.buf = f.buf[:0]
	empty, partial := 0, false
	for {
		line, err := f.r.ReadSlice('\n')
		if len(f.buf) == 0 && len(line) > 0 {
			if err := begun(); err != nil {
				return nil, err
			}
		}
		if len(f.buf) == 0 && string(line) == "\r\n" {
			if empty++; empty == 2 {
				return nil, errPing
			}
			continue
		}
		f.buf = append(f.buf, line...)
		if len(f.buf) > f.limits.Header {
			return f.buf, errFrame
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if string(line) == "\r\n" && !partial {
			break
		}
		partial = err != nil // the buffer was full, the line goes on
	}
	n, ok := bodyLength(f.buf)
	if !ok || n > f.limits.Body {
		return f.buf, errFrame
	}
	head := len(f.buf)
	f.buf = append(f.buf, make([]byte, n)...)
	if _, err := io.ReadFull(f.r, f.buf[head:]); err != nil {
		return nil, err
	}
	return f.buf, nil
}

// bodyLength reads Content-Length, which every message on a stream must have
// once; a message without it has no body as far as can be known.
func bodyLength(head []byte) (int, bool) {
	m := &Message{text: string(head)}
	_, rest, _ := strings.Cut(m.text, "\r\n")
	m.scanHeaders(rest)
	values := m.Values("content-length")
	switch len(values) {
	case 0:
		return 0, true
	case 1:
		return parseLength(values[0])
	}
	return 0, false
}
