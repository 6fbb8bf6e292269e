package audio

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

// FrameTime is the length of one RTP packet's audio.
const FrameTime = 20 * time.Millisecond

// Flow is what an offer/answer exchange settled.
type Flow struct {
	Remote  netip.AddrPort // RTP; invalid = send nothing
	RTCP    netip.AddrPort // invalid = Remote's port + 1
	Law     codec.Law
	DTMF    uint8 // payload type of telephone-event, 0 = none
	Send    bool
	Receive bool
}

// Stats are the counters of a session.
type Stats struct {
	Sent       uint64        // RTP packets
	Received   uint64        // RTP packets of audio or events
	Lost       uint64        // gaps in the received sequence numbers, as they stand now
	Late       uint64        // out of order or twice
	Malformed  uint64        // no RTP, or a payload type that was not agreed
	Sources    uint64        // synchronisation sources seen, 1 on a plain call
	Jitter     time.Duration // RFC 3550 §6.4.1
	RTCPSent   uint64
	RTCPIn     uint64
	RemoteLost uint64 // as the other side's last report says
}

// Session is one audio stream. Its methods may be called from any goroutine.
type Session struct {
	rtp, rtcp *net.UDPConn
	digits    chan rune
	stop      chan struct{}
	once      sync.Once
	wg        sync.WaitGroup
	ssrc      uint32
	began     time.Time

	mu      sync.Mutex
	arrived time.Duration // of the last packet, since began
	gap     time.Duration // the longest between two packets
	flow    Flow
	source  media.Source
	ended   chan struct{} // closed when the source came to its end
	queue   []rune        // keys to send
	sending chan struct{} // closed when the queue is empty
	stats   Stats
	in      receiver
	heard   recording
}

// Listen opens the sockets on a free pair of ports of the address and starts
// the goroutines. Errors: no ports.
func Listen(addr netip.Addr) (*Session, error) {
	rtp, rtcp, err := pair(addr)
	if err != nil {
		return nil, err
	}
	s := &Session{
		rtp: rtp, rtcp: rtcp,
		digits: make(chan rune, 64),
		stop:   make(chan struct{}),
		ssrc:   rand.Uint32(),
		began:  time.Now(),
	}
	s.heard.changed = make(chan struct{})
	s.wg.Go(s.send)
	s.wg.Go(s.receive)
	s.wg.Go(s.receiveReports)
	return s, nil
}

// pair binds an even port and the next one (RFC 3550 §11).
func pair(addr netip.Addr) (rtp, rtcp *net.UDPConn, err error) {
	for range 50 {
		a, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			return nil, nil, fmt.Errorf("RTP socket on %s: %w", addr, err)
		}
		port := localPort(a)
		other := port ^ 1
		b, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, other)))
		if err != nil {
			_ = a.Close()
			continue
		}
		if port > other {
			a, b = b, a
		}
		return a, b, nil
	}
	return nil, nil, fmt.Errorf("no two neighbouring UDP ports are free on %s", addr)
}

func localPort(c *net.UDPConn) uint16 {
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Port()
	}
	return 0
}

// Local returns the address of the RTP socket.
func (s *Session) Local() netip.AddrPort {
	if a, ok := s.rtp.LocalAddr().(*net.UDPAddr); ok {
		return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	}
	return netip.AddrPort{}
}

// Apply takes what an offer/answer exchange settled.
func (s *Session) Apply(f Flow) {
	if !f.RTCP.IsValid() && f.Remote.IsValid() {
		f.RTCP = netip.AddrPortFrom(f.Remote.Addr(), f.Remote.Port()+1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flow = f
}

// Play says the source in place of silence until it ends; nil is silence. The
// channel is closed when it came to its end or was replaced.
func (s *Session) Play(src media.Source) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishSource()
	s.source, s.ended = src, make(chan struct{})
	done := s.ended
	if src == nil || s.closed() {
		s.finishSource()
	}
	return done
}

func (s *Session) closed() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

var errClosed = errors.New("the call is over")

func (s *Session) finishSource() {
	if s.ended != nil {
		close(s.ended)
	}
	s.source, s.ended = nil, nil
}

// ErrNoEvents is what SendDTMF returns if the peer takes no telephone events.
var ErrNoEvents = errors.New("the peer did not agree to telephone-event (RFC 4733)")

// SendDTMF queues keys to be sent as RFC 4733 events. The channel is closed
// when all have been sent or the session was closed.
func (s *Session) SendDTMF(digits string) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flow.DTMF == 0 {
		return nil, ErrNoEvents
	}
	if s.closed() {
		return nil, errClosed
	}
	if s.sending == nil {
		s.sending = make(chan struct{})
	}
	s.queue = append(s.queue, []rune(digits)...)
	return s.sending, nil
}

// Digits yields the keys that the peer presses.
func (s *Session) Digits() <-chan rune { return s.digits }

// Press reports a key that came another way (INFO). Keys that nobody reads are
// dropped.
func (s *Session) Press(digit rune) {
	select {
	case s.digits <- digit:
	default:
	}
}

// Stats returns the counters so far.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Lost = s.in.lost()
	st.Jitter = time.Duration(s.in.jitter) * time.Second / codec.ClockRate
	return st
}

// Close ends the session and waits for its goroutines.
func (s *Session) Close() {
	s.once.Do(func() {
		close(s.stop)
		_ = s.rtp.Close()
		_ = s.rtcp.Close()
	})
	s.wg.Wait()
}
