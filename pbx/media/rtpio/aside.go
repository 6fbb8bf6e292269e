package rtpio

import (
	"log/slog"

	"github.com/dipcast/dipcast/pbx/media/rtpio/ports"
)

// layAside keeps the sockets of a port that was closed open for another call;
// false if they are to be closed. Nobody sends on them any more, as in end; what
// the poller is just reading is the port's last packet. Only the first
// poller's: two that are half busy cost more than one.
func (p *Port) layAside() bool {
	pool, now := p.pool, p.pool.clock()
	if p.pair.Number == 0 {
		return false
	}
	p.output.End()
	p.control.end()
	if p.poller.Add(p.rtp, p.pair) != nil || p.poller.Add(p.rtcp, p.pair) != nil {
		return false
	}
	d := p.Drops()
	pool.mu.Lock()
	kept := !pool.closed && p.poller == pool.pollers[0] && pool.shelf.Put(p.pair, now)
	if kept {
		p.poller.ports--
		pool.past.Add(d)
	}
	pool.mu.Unlock()
	if kept {
		p.tellForeign(d)
		pool.wg.Done()
	}
	return kept
}

// another draws a pair that was laid aside; nil if there are too few.
func (p *Pool) another(f *ports.Family) *ports.Pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.shelf.Len() == 0 || p.pollers[0].ports >= crowd {
		return nil
	}
	pair := p.shelf.Take(f, p.clock())
	if pair != nil && pair.RTP.Connected() {
		p.pollers[0].Do(pair.RTP.Disconnect) // from the peer of the call before
	}
	return pair
}

// tidy closes what was laid aside and is not wanted any more. It is the pacer's.
func (p *Pool) tidy(now int64) {
	p.mu.Lock()
	pollers, aside := p.pollers, p.shelf.Stale(now)
	p.mu.Unlock()
	p.discard(pollers, aside)
}

// discard closes pairs that were laid aside, in the poller's goroutine as
// Port.end does.
func (p *Pool) discard(pollers []*poller, pairs []*ports.Pair) {
	if len(pairs) == 0 {
		return
	}
	if !p.leaving.Load() {
		for _, pair := range pairs {
			pair.LetGo(p.sockets)
		}
	}
	p.wg.Add(1)
	pollers[0].Do(func() {
		for _, pair := range pairs {
			pollers[0].Remove(pair.RTP)
			pollers[0].Remove(pair.RTCP)
			pair.Close()
		}
		go func() { // which may wait for the lock
			defer p.wg.Done()
			for _, pair := range pairs {
				p.putBack(pair.Number)
			}
		}()
	})
}

// watches reports whether the pacer has to look now and then.
func (p *Pool) watches() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ports) > 0 || p.shelf.Len() > 0
}

// tellForeign logs that others than the peer sent packets.
func (p *Port) tellForeign(d Drops) {
	if d.Foreign > 0 || d.Forged > 0 {
		p.pool.log.Info("rtp from foreign sources was refused during a call",
			slog.Any("local", p.local), slog.Uint64("foreign", d.Foreign), slog.Uint64("forged", d.Forged))
	}
}
