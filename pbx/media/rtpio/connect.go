package rtpio

import (
	"math"
	"time"

	"github.com/dipcast/dipcast/pbx/media/rtpio/learn"
)

// never is a time that does not come.
const never = math.MaxInt64

// quiet is how long a peer may send nothing until its port is open to others
// again: one that has moved, or is to be displaced.
const quiet = int64(time.Second)

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
	p.intake.connectAt = never
	if d := p.dest.Load(); d != nil && d.learnt && d.epoch == p.intake.epoch {
		p.rtp.Connect(&d.to)
	}
}

// firm says when a source that was believed now may be connected to.
func firm(l *learn.Learner, now int64) int64 {
	if after := l.Firm(); after < never-now {
		return now + after
	}
	return never
}

// loose opens the RTP socket to everybody.
func (p *Port) loose() {
	p.rtp.Disconnect()
	p.intake.connectAt = firm(&p.intake.learner, p.pool.clock())
}
