package rtpio

import (
	"log/slog"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// newCipher returns the first and the last stage of a port whose stream is
// SRTP, nil for plain RTP; old may be nil.
func (p *Port) newCipher(keys media.Crypto, old *srtp.Cipher) *srtp.Cipher {
	c, err := srtp.NewCipher(keys, old)
	if err != nil {
		p.pool.log.Error("a call's audio cannot be encrypted and is not carried", slog.Any("local", p.local), slog.Any("error", err))
	}
	return c
}

// resume takes the counters over that an earlier process has reached.
func (p *Port) resume(c *srtp.Cipher, s *media.PortState, now time.Time) {
	out, in := p.output.Save(p.pool.clock()), &p.intake.Figures
	c.ResumeOut(out.SSRC, srtp.Near(s.Out.Index, s.Out.Highest, out.Highest), uint32(now.Unix())&0x7FFFFFFF)
	if p.intake.Source() != 0 {
		c.ResumeIn(in.SSRC.Load(), srtp.Near(s.In.Index, s.In.Highest, in.Highest.Load()))
	}
}
