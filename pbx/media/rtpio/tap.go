package rtpio

import (
	"time"

	"github.com/dipcast/dipcast/pbx/media"
)

// tap is who listens to a port.
type tap struct{ to media.Tap }

// Tap implements media.Port.
func (p *Port) Tap(t media.Tap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t == nil || p.closed.Load() {
		p.tap.Store(nil)
		return
	}
	p.tap.Store(&tap{to: t})
}

// hear gives the tap a packet.
func (t *tap) hear(side media.Side, f media.Format, timestamp uint32, now int64, payload []byte) {
	if t != nil {
		t.to.Audio(side, f, timestamp, time.Duration(now), payload)
	}
}
