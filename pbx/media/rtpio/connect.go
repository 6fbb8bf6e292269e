package rtpio

import "github.com/dipcast/dipcast/pbx/media/rtpio/learn"

// tie connects the RTP socket to the peer whose packet is handed over, as soon
// as nobody could displace it. What others send the kernel refuses from then on:
// it is not counted, and wakes nobody. It runs in the poller's goroutine, as
// loose does.
//
// RTCP stays open: it may come from any port of the peer's host.
func (p *Port) tie(now int64) {
	if now < p.intake.connectAt {
		return
	}
	p.intake.connectAt = learn.Never
	if d := p.dest.Load(); d != nil && d.Learnt && d.Epoch == p.intake.epoch {
		p.rtp.Connect(&d.To)
	}
}

// loose opens the RTP socket to everybody.
func (p *Port) loose() {
	p.rtp.Disconnect()
	p.intake.connectAt = p.intake.learner.Firm(p.pool.clock())
}
