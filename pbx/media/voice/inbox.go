package voice

import (
	"sync/atomic"

	"github.com/dipcast/dipcast/pbx/media/codec"
)

// places is how many packets wait for the next frame: a third of a second.
const places = 16

// maxPayload is the size of the largest payload that is taken, in octets.
const maxPayload = 1500

// Packet is one RTP packet of audio.
type Packet struct {
	Source    uint64    // names the stream; another one begins anew
	Law       codec.Law // of G.711; 0 otherwise
	Seq       uint16
	Timestamp uint32
	Payload   []byte
}

// inbox is a ring between the goroutine that receives and the one that plays.
// Only the first moves head, only the second moves tail.
type inbox struct {
	ring       [places]Packet
	head, tail atomic.Uint32
	overrun    atomic.Uint64
}

// put copies a packet; it reports false when nobody takes them out.
func (b *inbox) put(p *Packet) bool {
	head := b.head.Load()
	if len(p.Payload) > maxPayload || head-b.tail.Load() == places {
		b.overrun.Add(1)
		return false
	}
	slot := &b.ring[head%places]
	kept := append(slot.Payload[:0], p.Payload...) //nolint:gocritic // the slot's own room
	*slot = *p
	slot.Payload = kept
	b.head.Store(head + 1)
	return true
}

// take hands each waiting packet to use, which must not keep it.
func (b *inbox) take(use func(*Packet)) {
	tail := b.tail.Load()
	for head := b.head.Load(); tail != head; tail++ {
		use(&b.ring[tail%places])
		b.tail.Store(tail + 1)
	}
}
