package gate

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// StreamLimits bound connections: TCP, and TLS and WebSockets over it. Zero
// fields mean the defaults.
type StreamLimits struct {
	Total     int           // connections, 2048; an eighth more for trunks
	PerSource int           // connections of one source that have not proven themselves, 32
	Half      int           // connections whose TLS or WebSocket handshake is not over, 256
	Begun     float64       // TLS handshakes of strangers per second, twice as many at once, 200
	Header    int           // bytes of one message's headers, 16384
	Body      int           // bytes of one message's body, 65536
	Handshake time.Duration // in which both handshakes must be over, 5 s
	Unproven  time.Duration // in which the peer must have proven who it is, 30 s
	Idle      time.Duration // idle time after that, 2 h
	Quiet     time.Duration // after which a WebSocket's peer is asked whether it lives, 45 s
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
	number(&l.Half, 256)
	if l.Begun == 0 {
		l.Begun = 200
	}
	number(&l.Header, 16384)
	number(&l.Body, 65536)
	number(&l.Backlog, 1<<18)
	length(&l.Handshake, 5*time.Second)
	length(&l.Unproven, 30*time.Second)
	length(&l.Quiet, 45*time.Second)
	length(&l.Idle, 2*time.Hour)
	length(&l.Message, 10*time.Second)
	length(&l.Write, 5*time.Second)
	return l
}

// streams is the table of open connections.
type streams struct {
	limits StreamLimits

	mu       sync.Mutex
	closed   bool
	open     map[streamKey]*stream
	unproven map[netip.Addr]int
	waiting  *list.List // of *stream, unproven ones, the oldest at the back
	half     *list.List // of *stream whose handshakes are not over, likewise
}

// streamKey names a connection. One port of a peer may have one to each of our
// listeners.
type streamKey struct {
	transport, name string
	remote          netip.AddrPort
}

func (st *stream) key() streamKey { return streamKey{st.flow.Transport, st.name, st.flow.Remote} }

func (s *streams) init(l StreamLimits) {
	s.limits = l.withDefaults()
	s.open = make(map[streamKey]*stream)
	s.unproven = make(map[netip.Addr]int)
	s.waiting, s.half = list.New(), list.New()
}

func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, st := range s.open {
		_ = st.raw.Close() // its reader notices
	}
}

// add takes a connection in, or reports that there is no room. Where strangers
// have taken all of it the oldest of them goes: phones prove who they are at
// once, those who only sit there never do. Handshakes have less room, and it is
// the same with them.
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
	half := !st.ready.Load()
	switch {
	case half && s.half.Len() >= s.limits.Half:
		evicted, _ = s.half.Back().Value.(*stream)
	case len(s.open) >= room:
		oldest := s.waiting.Back()
		if oldest == nil {
			return false, nil
		}
		evicted, _ = oldest.Value.(*stream)
	}
	if evicted != nil {
		s.drop(evicted)
	}
	if !proven {
		s.unproven[source]++
		st.place = s.waiting.PushFront(st)
	}
	if half {
		st.half = s.half.PushFront(st)
	}
	st.proven = proven
	s.open[st.key()] = st
	return true, evicted
}

func (s *streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(st)
}

// drop takes the stream out of everything; s.mu is held.
func (s *streams) drop(st *stream) {
	if s.open[st.key()] == st {
		delete(s.open, st.key())
	}
	s.settle(st)
	s.whole(st)
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

// opened notes that the stream's handshakes are over.
func (s *streams) opened(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole(st)
	st.ready.Store(true)
}

// whole takes the stream off the handshakes; s.mu is held.
func (s *streams) whole(st *stream) {
	if st.half != nil {
		s.half.Remove(st.half)
		st.half = nil
	}
}

// find returns the connection of that name if messages may be sent over it.
func (s *streams) find(key streamKey) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.open[key]; st != nil && st.ready.Load() {
		return st
	}
	return nil
}
