package rtpio

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
)

// reportEvery is the mean time between two reports (RFC 3550 §6.2); each is
// drawn from half to one and a half of it.
const reportEvery = 5 * time.Second

// Sanity of what a peer reports.
const (
	maxControl  = 1200 // octets
	maxRTT      = 10 * time.Second
	controlCost = int64(time.Second) / 10 // ten packets a second, a burst of fifty
)

// control is the RTCP side of a port. The figures of the peer's reports and
// the state of ours are under the mutex; no RTP packet takes it.
type control struct {
	due    atomic.Int64 // when the next report is sent, in nanoseconds
	source atomic.Pointer[netip.AddrPort]
	cname  string

	mu       sync.Mutex
	ended    bool
	tokens   int64
	at       int64
	lostOut  uint64
	jitter   uint32
	rtt      time.Duration
	reporter uint32 // the SSRC of the last sender report
	lsr      uint32 // the middle of its NTP time
	lsrAt    int64  // when it came
	expected uint32 // at our last report
	received uint32
	about    uint32 // the SSRC that those two are of
	sent     uint64 // packets sent at our last report
}

// newName draws a short-term canonical name (RFC 7022 §4.2).
func newName(random func() uint64) string {
	b := binary.BigEndian.AppendUint64(nil, random())
	b = binary.BigEndian.AppendUint32(b, uint32(random()))
	return base64.StdEncoding.EncodeToString(b)
}

func (c *control) quality(q *pbx.Quality, khz uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q.LostOut, q.JitterOut, q.RoundTrip = c.lostOut, stream.Duration(c.jitter, khz), c.rtt
}

// schedule draws the time of the next report.
func (c *control) schedule(now int64, random func() uint64) {
	c.due.Store(now + int64(reportEvery)/2 + int64(random()%uint64(reportEvery)))
}

// handleControl takes a packet of the RTCP socket.
func (p *Port) handleControl(b []byte, from netip.AddrPort, now int64) {
	s := p.settings.Load()
	switch {
	case s == nil:
		p.drops.early.Add(1)
	case len(b) > maxControl || !isControl(b):
		p.drops.malformed.Add(1)
	default:
		p.takeControl(b, from, now)
	}
}

// handleMuxed takes an RTCP packet of the RTP socket (RFC 5761).
func (p *Port) handleMuxed(s *settings, b []byte, from netip.AddrPort, now int64) {
	if !s.stream.RTCPMux || len(b) > maxControl {
		p.drops.unknown.Add(1)
		return
	}
	p.takeControl(b, from, now)
}

// takeControl believes only the host that the media comes from. What a peer
// says never ends anything: a BYE is left to the signalling.
func (p *Port) takeControl(b []byte, from netip.AddrPort, now int64) {
	d := p.dest.Load()
	if d == nil || from.Addr() != d.rtp.Addr() && from != d.rtcp {
		p.drops.foreign.Add(1)
		return
	}
	if !p.control.spend(now) {
		p.drops.flood.Add(1)
		return
	}
	b, ok := p.openedControl(b)
	if !ok {
		return
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		p.drops.malformed.Add(1)
		return
	}
	if old := p.control.source.Load(); old == nil || *old != from {
		p.control.source.Store(&from)
	}
	for _, packet := range packets {
		switch r := packet.(type) {
		case *rtcp.SenderReport:
			p.control.sender(r.SSRC, r.NTPTime, now)
			p.heard(r.Reports, now)
		case *rtcp.ReceiverReport:
			p.heard(r.Reports, now)
		}
	}
}

func (c *control) spend(now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == 0 {
		c.tokens = 50 * controlCost
	}
	c.tokens = min(50*controlCost, c.tokens+now-c.at)
	c.at = now
	if c.tokens < controlCost {
		return false
	}
	c.tokens -= controlCost
	return true
}

func (c *control) sender(ssrc uint32, ntp uint64, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reporter, c.lsr, c.lsrAt = ssrc, uint32(ntp>>16), now
}

// heard takes what the peer says of our stream (RFC 3550 §6.4.1).
func (p *Port) heard(reports []rtcp.ReceptionReport, now int64) {
	c := &p.control
	for i := range reports {
		r := &reports[i]
		if r.SSRC != p.output.SSRC {
			continue
		}
		c.mu.Lock()
		if r.TotalLost < 1<<23 { // negative: more came than was sent
			c.lostOut = uint64(r.TotalLost)
		}
		c.jitter = r.Jitter
		if r.LastSenderReport != 0 {
			units := uint32(p.pool.ntp(now)>>16) - r.LastSenderReport - r.Delay
			if rtt := time.Duration(units) * time.Second >> 16; rtt <= maxRTT {
				c.rtt = rtt
			}
		}
		c.mu.Unlock()
	}
}

// report sends a compound packet: a sender or receiver report, our canonical
// name and, at the end, BYE. It sends nothing where nothing was ever said.
func (p *Port) report(now int64, bye bool) {
	p.control.schedule(now, p.pool.random)
	to, ok := p.reportTo()
	if !ok || p.output.Packets.Load() == 0 && p.intake.Figures.Packets.Load() == 0 {
		return
	}
	if !p.output.ClaimOrEnded() {
		return
	}
	ntp := p.pool.ntp(now)
	timestamp := p.output.Next(now)
	p.output.Release()
	reports := p.reception(now)
	ssrc, sent := p.output.SSRC, p.output.Packets.Load()
	packets := make([]rtcp.Packet, 0, 3)
	if p.control.sending(sent) {
		packets = append(packets, &rtcp.SenderReport{
			SSRC: ssrc, NTPTime: ntp, RTPTime: timestamp,
			PacketCount: uint32(sent), OctetCount: uint32(p.output.Octets.Load()), Reports: reports,
		})
	} else {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: ssrc, Reports: reports})
	}
	packets = append(packets, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: p.control.cname}},
	}}})
	if bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{ssrc}})
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		p.drops.unsent.Add(1)
		return
	}
	p.sendReport(b, to)
}

func (p *Port) sendReport(b []byte, to netip.AddrPort) {
	b, ok := p.sealedControl(b)
	if !ok {
		p.drops.unsent.Add(1)
		return
	}
	socket, addr := p.rtcp, poll.AddrOf(to)
	if s := p.settings.Load(); s.stream.RTCPMux {
		socket = p.rtp
	}
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	if !p.control.ended && socket.Send(b, &addr) != nil {
		p.drops.unsent.Add(1)
	}
}

// end forbids further reports: the sockets are closed.
func (c *control) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// reportTo is where reports go: to SDP's address, or to where the peer's own
// come from.
func (p *Port) reportTo() (netip.AddrPort, bool) {
	s, d := p.settings.Load(), p.dest.Load()
	if s == nil || d == nil {
		return netip.AddrPort{}, false
	}
	if d.rtcp.IsValid() {
		return d.rtcp, true
	}
	if from := p.control.source.Load(); from != nil && d.learnt && from.Addr() == d.rtp.Addr() {
		return *from, true
	}
	return netip.AddrPort{}, false
}

// sending reports whether packets were sent since the last report.
func (c *control) sending(sent uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	more := sent != c.sent
	c.sent = sent
	return more
}

// reception is our report of the peer's stream (RFC 3550 §6.4.1, A.3).
func (p *Port) reception(now int64) []rtcp.ReceptionReport {
	f, c := &p.intake.Figures, &p.control
	if f.Packets.Load() == 0 {
		return nil
	}
	ssrc, expected, received := f.SSRC.Load(), f.Expected.Load(), f.Received.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ssrc != c.about {
		c.about, c.expected, c.received = ssrc, 0, 0
	}
	r := rtcp.ReceptionReport{
		SSRC:               ssrc,
		FractionLost:       fraction(expected-c.expected, received-c.received),
		TotalLost:          min(uint32(max(0, int64(expected)-int64(received))), 1<<23-1),
		LastSequenceNumber: f.Highest.Load(),
		Jitter:             f.Jitter.Load(),
	}
	c.expected, c.received = expected, received
	if c.lsr != 0 && c.reporter == ssrc {
		r.LastSenderReport = c.lsr
		r.Delay = uint32((now - c.lsrAt) << 16 / int64(time.Second))
	}
	return []rtcp.ReceptionReport{r}
}

// fraction is the share of expected packets that did not come, in 1/256.
func fraction(expected, received uint32) uint8 {
	if expected == 0 || received >= expected || expected > 1<<24 {
		return 0
	}
	return uint8(min(255, (expected-received)<<8/expected))
}
