package gate

import (
	"container/list"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// stream is one TCP connection. Whoever sends leaves the message in its queue;
// a goroutine writes as long as there is something to write, and the reader's
// goroutine waits for it at the end. So a peer that does not read holds up
// nobody but itself.
type stream struct {
	conn   net.Conn
	flow   *Flow
	table  *streams
	proven bool          // under table.mu
	place  *list.Element // among the unproven; under table.mu
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
	st.table.mu.Lock()
	defer st.table.mu.Unlock()
	st.table.settle(st)
}

// send leaves one message to be written. A peer that leaves too much unread
// loses its connection.
func (st *stream) send(b []byte) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return errGone
	}
	if len(st.queue)+len(b) > st.table.limits.Backlog {
		st.ended = true
		_ = st.conn.Close() // its reader notices
		return fmt.Errorf("%w: the peer does not read", errGone)
	}
	st.queue = append(st.queue, b...)
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
		err := st.conn.SetWriteDeadline(time.Now().Add(st.table.limits.Write))
		if err == nil {
			_, err = st.conn.Write(b)
		}
		if err != nil {
			// Half a message may be out: nothing may follow it.
			st.mu.Lock()
			st.ended, st.queue = true, nil
			st.mu.Unlock()
			_ = st.conn.Close() // its reader notices
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
