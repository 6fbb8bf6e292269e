package audio

import (
	"errors"
	"net"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
)

// maxFill bounds the silence put in place of a gap: 2 s.
const maxFill = 2 * codec.ClockRate

// receiver follows one stream of packets; the session's lock guards it.
type receiver struct {
	seen      bool
	ssrc      uint32
	first     uint32 // extended sequence numbers
	highest   uint32
	count     uint64 // packets of the stream that are not late
	gone      uint64 // lost in streams before this one
	nextStamp uint32 // RTP timestamp at which the next audio is due
	audio     bool   // nextStamp is known
	jitter    float64
	transit   uint32
	keys      dtmf.Receiver

	lastSR     uint32 // middle 32 bits of the last sender report's NTP time
	lastSRTime time.Time
}

// take places a packet in the stream and reports whether it is new.
func (r *receiver) take(h *rtp.Header, arrived uint32) (fresh, newSource bool) {
	if !r.seen || h.SSRC != r.ssrc {
		seq := uint32(h.SequenceNumber) + 1<<16
		*r = receiver{
			seen: true, ssrc: h.SSRC, first: seq, highest: seq, count: 1, gone: r.lost(),
			transit: arrived - h.Timestamp, lastSR: r.lastSR, lastSRTime: r.lastSRTime,
		}
		return true, true
	}
	ahead := int16(h.SequenceNumber - uint16(r.highest))
	if ahead <= 0 {
		return false, false
	}
	r.highest += uint32(ahead)
	r.count++
	transit := arrived - h.Timestamp
	d := int32(transit - r.transit)
	r.transit = transit
	if d < 0 {
		d = -d
	}
	r.jitter += (float64(d) - r.jitter) / 16
	return true, false
}

// lost counts the sequence numbers that never came.
func (r *receiver) lost() uint64 {
	if !r.seen {
		return r.gone
	}
	expected := uint64(r.highest-r.first) + 1
	return r.gone + expected - min(r.count, expected)
}

// late takes a packet that came after its successors: it is not lost any more.
func (r *receiver) late() {
	if uint64(r.highest-r.first)+1 > r.count {
		r.count++
	}
}

func (r *receiver) report() (rtcp.ReceptionReport, bool) {
	if !r.seen {
		return rtcp.ReceptionReport{}, false
	}
	rr := rtcp.ReceptionReport{
		SSRC: r.ssrc, TotalLost: uint32(min(r.lost(), 0x7fffff)),
		LastSequenceNumber: r.highest, Jitter: uint32(r.jitter), LastSenderReport: r.lastSR,
	}
	if !r.lastSRTime.IsZero() {
		rr.Delay = uint32(time.Since(r.lastSRTime) * 65536 / time.Second)
	}
	return rr, true
}

func (s *Session) receive() {
	buf := make([]byte, 1500)
	var p rtp.Packet
	var samples [1500]int16
	for {
		n, _, err := s.rtp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of a peer that is gone
		}
		p = rtp.Packet{}
		if err := p.Unmarshal(buf[:n]); err != nil || p.Version != 2 {
			s.mu.Lock()
			s.stats.Malformed++
			s.mu.Unlock()
			continue
		}
		s.hear(&p, samples[:])
	}
}

// TakeGap returns the longest pause between two packets since it was last asked.
func (s *Session) TakeGap() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	gap := s.gap
	s.gap = 0
	return gap
}

// hear takes one RTP packet.
func (s *Session) hear(p *rtp.Packet, samples []int16) {
	arrived := time.Since(s.began)
	s.mu.Lock()
	defer s.mu.Unlock()
	law, event := codec.Law(0), s.flow.DTMF != 0 && p.PayloadType == s.flow.DTMF
	if c, ok := codec.Static(p.PayloadType); ok {
		law, _ = codec.LawOf(c.Name)
	}
	if law == 0 && !event && p.PayloadType != codec.PayloadComfortNoise {
		s.stats.Malformed++
		return
	}
	if s.stats.Received++; s.stats.Received > 1 {
		s.gap = max(s.gap, arrived-s.arrived)
	}
	s.arrived = arrived
	fresh, other := s.in.take(&p.Header, uint32(arrived*codec.ClockRate/time.Second))
	if other {
		s.stats.Sources++
	}
	if !fresh {
		s.stats.Late++
		s.in.late()
	}
	switch {
	case event:
		if e, err := dtmf.Parse(p.Payload); err == nil {
			if digit, ok := s.in.keys.Take(e, p.Timestamp, p.Marker, arrived); ok {
				s.Press(digit)
			}
		}
	case fresh && law != 0:
		n := law.Decode(samples, p.Payload)
		s.fillGap(p.Timestamp, p.Marker)
		s.in.nextStamp, s.in.audio = p.Timestamp+uint32(n), true
		s.heard.add(samples[:n])
	}
}

// fillGap puts silence in place of audio that was lost; the lock is held.
func (s *Session) fillGap(stamp uint32, marker bool) {
	gap := int32(stamp - s.in.nextStamp)
	if !s.in.audio || marker || gap <= 0 || gap > maxFill {
		return
	}
	s.heard.add(make([]int16, gap))
}

func (s *Session) receiveReports() {
	buf := make([]byte, 1500)
	for {
		n, _, err := s.rtcp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil {
			continue
		}
		s.mu.Lock()
		s.stats.RTCPIn++
		for _, p := range packets {
			s.takeReport(p)
		}
		s.mu.Unlock()
	}
}

func (s *Session) takeReport(p rtcp.Packet) {
	var blocks []rtcp.ReceptionReport
	switch p := p.(type) {
	case *rtcp.SenderReport:
		blocks = p.Reports
		s.in.lastSR, s.in.lastSRTime = uint32(p.NTPTime>>16), time.Now()
	case *rtcp.ReceiverReport:
		blocks = p.Reports
	}
	for _, b := range blocks {
		if b.SSRC == s.ssrc {
			s.stats.RemoteLost = uint64(b.TotalLost)
		}
	}
}
