package rtpio

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
	"github.com/dipcast/dipcast/pbx/media/rtpio/report"
)

// reportEvery is the mean time between two reports (RFC 3550 §6.2); each is
// drawn from half to one and a half of it.
const reportEvery = 5 * time.Second

// maxControl is the largest packet that is read, in octets.
const maxControl = 1200

// control is the RTCP side of a port.
type control struct {
	due    atomic.Int64 // when the next report is sent, in nanoseconds
	source atomic.Pointer[netip.AddrPort]
	cname  string
	ledger report.Ledger

	mu    sync.Mutex // while a report is sent
	ended bool
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
		p.drops.Early.Add(1)
	case len(b) > maxControl || !isControl(b):
		p.drops.Malformed.Add(1)
	default:
		p.takeControl(b, from, now)
	}
}

// handleMuxed takes an RTCP packet of the RTP socket (RFC 5761).
func (p *Port) handleMuxed(s *settings, b []byte, from netip.AddrPort, now int64) {
	if !s.stream.RTCPMux || len(b) > maxControl {
		p.drops.Unknown.Add(1)
		return
	}
	p.takeControl(b, from, now)
}

// takeControl believes only the host that the media comes from. What a peer
// says never ends anything: a BYE is left to the signalling.
func (p *Port) takeControl(b []byte, from netip.AddrPort, now int64) {
	d := p.dest.Load()
	if d == nil || from.Addr() != d.RTP.Addr() && from != d.RTCP {
		p.drops.Foreign.Add(1)
		return
	}
	if !p.control.ledger.Spend(now) {
		p.drops.Flood.Add(1)
		return
	}
	b, ok := p.settings.Load().cipher.OpenControl(b)
	if !ok {
		p.drops.Sealed.Add(1)
		return
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		p.drops.Malformed.Add(1)
		return
	}
	if old := p.control.source.Load(); old == nil || *old != from {
		p.control.source.Store(&from)
	}
	for _, packet := range packets {
		switch r := packet.(type) {
		case *rtcp.SenderReport:
			p.control.ledger.Sender(r.SSRC, r.NTPTime, now)
			p.heard(r.Reports, now)
		case *rtcp.ReceiverReport:
			p.heard(r.Reports, now)
		}
	}
}

// heard takes what the peer says of our stream.
func (p *Port) heard(reports []rtcp.ReceptionReport, now int64) {
	for i := range reports {
		if r := &reports[i]; r.SSRC == p.output.SSRC {
			p.control.ledger.Heard(r, p.pool.ntp(now))
		}
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
	l, sent := &p.control.ledger, p.output.Packets.Load()
	b, err := report.Compound{
		SSRC: p.output.SSRC, Sends: l.Sending(sent), NTP: ntp, Time: timestamp, Packets: uint32(sent), Octets: uint32(p.output.Octets.Load()),
		Reports: l.Reception(&p.intake.Figures, now), Name: p.control.cname, Bye: bye,
	}.Marshal()
	if err != nil {
		p.drops.Unsent.Add(1)
		return
	}
	p.sendReport(b, to)
}

func (p *Port) sendReport(b []byte, to netip.AddrPort) {
	b, ok := p.settings.Load().cipher.SealControl(b)
	if !ok {
		p.drops.Unsent.Add(1)
		return
	}
	socket, addr := p.rtcp, poll.AddrOf(to)
	if s := p.settings.Load(); s.stream.RTCPMux {
		socket = p.rtp
	}
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	if !p.control.ended && socket.Send(b, &addr) != nil {
		p.drops.Unsent.Add(1)
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
	if s == nil || d == nil || s.shake != nil && !s.stream.RTCPMux { // the peer would want a handshake of its own there
		return netip.AddrPort{}, false
	}
	if d.RTCP.IsValid() {
		return d.RTCP, true
	}
	if from := p.control.source.Load(); from != nil && d.Learnt && from.Addr() == d.RTP.Addr() {
		return *from, true
	}
	return netip.AddrPort{}, false
}
