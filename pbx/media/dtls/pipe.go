package dtls

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v5/deadline"
)

// The bounds of what one peer may make us do.
const (
	maxWaiting = 32  // packets that wait to be read
	maxPackets = 256 // packets of a handshake, and of what follows it
)

// pipe is the network as pion sees it: what Take was given, and Send. It is a
// net.PacketConn with one peer.
type pipe struct {
	in       chan []byte
	left     atomic.Int32 // packets that may still come
	send     func([]byte)
	mute     atomic.Bool
	deadline *deadline.Deadline
	closed   chan struct{}
	once     sync.Once
}

func newPipe(send func([]byte)) *pipe {
	p := &pipe{in: make(chan []byte, maxWaiting), send: send, deadline: deadline.New(), closed: make(chan struct{})}
	p.left.Store(maxPackets)
	return p
}

// put hands a copy of a packet to the reader. It never blocks.
func (p *pipe) put(b []byte) {
	if p.left.Add(-1) < 0 {
		return
	}
	select {
	case p.in <- append(make([]byte, 0, len(b)), b...):
	default: // the peer sends it again
	}
}

// ReadFrom implements net.PacketConn.
func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case packet := <-p.in:
		return copy(b, packet), peer{}, nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	case <-p.deadline.Done():
		return 0, nil, os.ErrDeadlineExceeded
	}
}

// WriteTo implements net.PacketConn.
func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	if !p.mute.Load() {
		p.send(b)
	}
	return len(b), nil
}

// Close implements net.PacketConn.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// LocalAddr implements net.PacketConn.
func (p *pipe) LocalAddr() net.Addr { return peer{} }

// SetDeadline implements net.PacketConn; nothing that is written waits.
func (p *pipe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (p *pipe) SetReadDeadline(t time.Time) error {
	p.deadline.Set(t)
	return nil
}

// SetWriteDeadline implements net.PacketConn.
func (*pipe) SetWriteDeadline(time.Time) error { return nil }

// peer is the address of the only one who is there.
type peer struct{}

// Network implements net.Addr.
func (peer) Network() string { return "udp" }

// String implements net.Addr.
func (peer) String() string { return "peer" }
