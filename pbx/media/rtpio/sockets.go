package rtpio

import "github.com/dipcast/dipcast/pbx/media/rtpio/ports"

// Sockets keeps descriptors for the process that comes after this one. A nil
// one keeps nothing.
type Sockets = ports.Sockets

// Hold implements media.Port.
func (p *Port) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return
	}
	if err := p.pair.Hold(p.pool.sockets); err != nil {
		p.pool.log.Error("rtp sockets cannot be held for the next process; the port is bound anew then", "local", p.local, "error", err)
	}
}
