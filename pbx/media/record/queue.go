package record

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
)

const (
	chunkSize  = 4096 - 16 // octets of packets; a chunk fills 4 KiB
	packetHead = 16        // octets before each payload
	// maxPayload is more than fits into one Ethernet frame.
	maxPayload = 1500
)

// packet is one packet as a tap met it. Its payload lies in a chunk.
type packet struct {
	at      time.Duration // when it came or went, by the recorder's clock
	stamp   uint32        // RTP timestamp
	format  media.Format
	payload []byte
}

// chunk is a piece of a queue.
type chunk struct {
	next   atomic.Pointer[chunk]
	filled atomic.Uint32
	data   [chunkSize]byte
}

// memory is the chunks of all queues, bounded together: a disk that stands
// still for a while costs memory and then audio, never a call.
type memory struct {
	free sync.Pool
	live atomic.Int64
	most int64
}

// get returns an empty chunk, nil if all are in use.
func (m *memory) get() *chunk {
	if m.live.Add(1) > m.most {
		m.live.Add(-1)
		return nil
	}
	if c, ok := m.free.Get().(*chunk); ok {
		return c
	}
	return new(chunk)
}

func (m *memory) put(c *chunk) {
	c.next.Store(nil)
	c.filled.Store(0)
	m.free.Put(c)
	m.live.Add(-1)
}

// queue carries packets from one producer to one consumer without locks. The
// producer may be another goroutine each time, as long as there is one at a
// time.
type queue struct {
	first atomic.Pointer[chunk] // where the consumer begins
	last  *chunk                // the producer's
	here  *chunk                // the consumer's
	read  uint32                // octets of here that were taken
}

// put adds a packet. It reports false if there is no memory for it.
func (q *queue) put(m *memory, format media.Format, stamp uint32, at time.Duration, payload []byte) bool {
	need := uint32(packetHead + len(payload))
	c := q.last
	if c == nil || c.filled.Load()+need > chunkSize {
		if c = m.get(); c == nil {
			return false
		}
		if q.last == nil {
			q.first.Store(c)
		} else {
			q.last.next.Store(c)
		}
		q.last = c
	}
	filled := c.filled.Load()
	b := c.data[filled : filled+need]
	binary.LittleEndian.PutUint64(b, uint64(at))
	binary.LittleEndian.PutUint32(b[8:], stamp)
	binary.LittleEndian.PutUint16(b[12:], uint16(len(payload)))
	b[14] = byte(format)
	copy(b[packetHead:], payload)
	c.filled.Store(filled + need) // from here on the consumer sees it
	return true
}

// peek returns the oldest packet. Its payload is valid until drop.
func (q *queue) peek(m *memory) (p packet, ok bool) {
	if q.here == nil {
		if q.here = q.first.Load(); q.here == nil {
			return packet{}, false
		}
	}
	for q.read == q.here.filled.Load() {
		next := q.here.next.Load()
		if next == nil {
			return packet{}, false
		}
		if q.read < q.here.filled.Load() {
			break // filled up between the two looks
		}
		m.put(q.here)
		q.here, q.read = next, 0
	}
	b := q.here.data[q.read:]
	n := binary.LittleEndian.Uint16(b[12:])
	return packet{
		at:      time.Duration(binary.LittleEndian.Uint64(b)),
		stamp:   binary.LittleEndian.Uint32(b[8:]),
		format:  media.Format(b[14]),
		payload: b[packetHead : packetHead+int(n)],
	}, true
}

// drop takes the packet that peek returned off the queue.
func (q *queue) drop(p packet) { q.read += uint32(packetHead + len(p.payload)) }

// close gives all memory back. Neither side may use the queue after.
func (q *queue) close(m *memory) {
	c := q.here
	if c == nil {
		c = q.first.Load()
	}
	for c != nil {
		next := c.next.Load()
		m.put(c)
		c = next
	}
	q.here, q.last = nil, nil
	q.first.Store(nil)
}
