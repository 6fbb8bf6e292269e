package gate

import (
	"container/list"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/sipua/gate/websocket"
)

// stream is one connection. Whoever sends leaves the message in its queue; a
// goroutine writes as long as there is something to write, and the reader's
// goroutine waits for it at the end. So a peer that does not read holds up
// nobody but itself.
type stream struct {
	raw    net.Conn // of TCP: who closes it from outside waits for nobody
	conn   net.Conn // what messages are written to; raw, or TLS over it
	way    way
	name   string // whom we connected to over TLS; empty: the peer connected
	flow   *Flow
	gate   *Gate
	proven bool          // under streams.mu
	place  *list.Element // among the unproven; under streams.mu
	half   *list.Element // among those whose handshake is not over; under streams.mu
	ready  atomic.Bool   // messages may be sent
	trust  atomic.Bool   // proven, for the reader
	gone   atomic.Bool

	mu      sync.Mutex
	queue   []byte
	writing bool
	ended   bool
	writer  sync.WaitGroup
}

var errGone = errors.New("the connection has ended")

func (st *stream) prove() {
	if st.trust.Swap(true) {
		return
	}
	if st.way.tls != nil {
		st.gate.Refund(st.flow.Remote.Addr(), 1) // the handshake
	}
	st.gate.streams.mu.Lock()
	defer st.gate.streams.mu.Unlock()
	st.gate.streams.settle(st)
}

// send leaves one message to be written. A peer that leaves too much unread
// loses its connection.
func (st *stream) send(b []byte) error { return st.put(websocket.Message, b) }

// put is send for each kind of frame; only a WebSocket has others than messages.
func (st *stream) put(kind websocket.Kind, b []byte) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return errGone
	}
	if len(st.queue)+len(b) > st.gate.streams.limits.Backlog {
		st.ended = true
		_ = st.raw.Close() // its reader notices
		return fmt.Errorf("%w: the peer does not read", errGone)
	}
	if st.way.webSocket() {
		st.queue = websocket.Append(st.queue, kind, b)
	} else {
		st.queue = append(st.queue, b...)
	}
	if !st.writing {
		st.writing = true
		st.writer.Go(st.write)
	}
	return nil
}

// write writes until nothing is left.
func (st *stream) write() {
	for {
		st.mu.Lock()
		b := st.queue
		st.queue = nil
		if len(b) == 0 {
			st.writing = false
			st.mu.Unlock()
			return
		}
		st.mu.Unlock()
		err := st.conn.SetWriteDeadline(time.Now().Add(st.gate.streams.limits.Write))
		if err == nil {
			_, err = st.conn.Write(b)
		}
		if err != nil {
			// Half a message may be out: nothing may follow it.
			st.mu.Lock()
			st.ended, st.queue = true, nil
			st.mu.Unlock()
			_ = st.raw.Close() // its reader notices
		}
	}
}

// finish takes no more messages and waits until the last one is written.
func (st *stream) finish() {
	st.gone.Store(true)
	st.mu.Lock()
	st.ended = true
	st.mu.Unlock()
	st.writer.Wait()
}
