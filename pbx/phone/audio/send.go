package audio

import (
	"net/netip"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
)

// The shape of a key press in frames of 20 ms.
const (
	pressFrames = 8 // 160 ms
	pauseFrames = 5 // 100 ms
	endPackets  = 3 // RFC 4733 §2.5.1.4
)

// reportFrames is how often a report is sent: each 2 s.
const reportFrames = 100

// speaker is the state of the sender's goroutine.
type speaker struct {
	packet  rtp.Packet
	frame   [codec.FrameSamples]int16
	payload [codec.FrameSamples]byte
	octets  uint32
	packets uint32
	talking bool // the last frame was audio
	press   press
}

// press is the key that is being sent.
type press struct {
	digit rune
	code  uint8
	begin uint32 // RTP timestamp
	frame int    // since the press began; 0 = none is being sent
}

func (s *Session) send() {
	defer s.drainQueue()
	sp := &speaker{}
	sp.packet.Header = rtp.Header{Version: 2, SSRC: s.ssrc, SequenceNumber: uint16(s.ssrc), Timestamp: s.ssrc >> 8}
	ticker := time.NewTicker(FrameTime)
	defer ticker.Stop()
	next := s.began
	for n := 1; ; n++ {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			// A machine that was busy gets its missed frames sent now, so
			// that the stream keeps 50 packets a second.
			for range 10 {
				s.tick(sp)
				next = next.Add(FrameTime)
				if now.Before(next.Add(FrameTime)) {
					break
				}
			}
			if now.After(next.Add(time.Second)) {
				next = now
			}
		}
		if n%reportFrames == 0 {
			s.report(sp)
		}
	}
}

// drainQueue releases whoever waits for keys or for the end of a source.
func (s *Session) drainQueue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
	if s.sending != nil {
		close(s.sending)
		s.sending = nil
	}
	s.finishSource()
}

// tick sends one frame.
func (s *Session) tick(sp *speaker) {
	s.mu.Lock()
	f := s.flow
	if sp.press.frame == 0 && len(s.queue) > 0 {
		sp.begin(s.queue[0])
		s.queue = s.queue[1:]
	}
	event := sp.press.frame > 0
	if event && sp.press.frame > pressFrames+endPackets+pauseFrames {
		sp.press = press{}
		event = false
	}
	if !event && len(s.queue) == 0 && s.sending != nil {
		close(s.sending)
		s.sending = nil
	}
	s.fill(sp)
	s.mu.Unlock()

	sp.packet.Timestamp += codec.FrameSamples
	if !f.Remote.IsValid() || !f.Send {
		sp.talking = false
		if event {
			sp.press.frame++
		}
		return
	}
	if event && f.DTMF != 0 {
		s.sendEvent(sp, f)
		return
	}
	sp.packet.Marker = !sp.talking
	sp.talking = true
	sp.packet.PayloadType = f.Law.Codec().PayloadType
	n := f.Law.Encode(sp.payload[:], sp.frame[:])
	sp.packet.Payload = sp.payload[:n]
	s.write(sp, f.Remote)
}

// fill reads the next frame of what is said; the lock is held.
func (s *Session) fill(sp *speaker) {
	if s.source == nil || !s.source.Read(sp.frame[:]) {
		clear(sp.frame[:])
		if s.source != nil {
			s.finishSource()
		}
	}
}

func (sp *speaker) begin(digit rune) {
	if code, ok := dtmf.Code(digit); ok {
		sp.press = press{digit: digit, code: code, begin: sp.packet.Timestamp + codec.FrameSamples, frame: 1}
	}
}

// sendEvent sends one packet of the press, or nothing in the pause after it.
func (s *Session) sendEvent(sp *speaker, f Flow) {
	p := &sp.press
	defer func() { p.frame++ }()
	if p.frame > pressFrames+endPackets {
		return
	}
	at := sp.packet.Timestamp
	e := dtmf.Event{Code: p.code, Volume: 10, End: p.frame > pressFrames, Duration: uint16(min(p.frame, pressFrames) * codec.FrameSamples)}
	sp.packet.Marker = p.frame == 1
	sp.packet.PayloadType = f.DTMF
	sp.packet.Timestamp = p.begin
	e.Put(sp.payload[:])
	sp.packet.Payload = sp.payload[:dtmf.Size]
	s.write(sp, f.Remote)
	sp.packet.Timestamp = at
	sp.talking = false
}

func (s *Session) write(sp *speaker, to netip.AddrPort) {
	b, err := sp.packet.Marshal()
	sp.packet.SequenceNumber++
	if err != nil {
		return
	}
	// A peer that is gone answers with ICMP; what matters is told by SIP.
	if _, err := s.rtp.WriteToUDPAddrPort(b, to); err != nil {
		return
	}
	sp.packets++
	sp.octets += uint32(len(sp.packet.Payload))
	s.mu.Lock()
	s.stats.Sent++
	s.mu.Unlock()
}

// report sends a sender report with one reception block (RFC 3550 §6.4.1).
func (s *Session) report(sp *speaker) {
	s.mu.Lock()
	to := s.flow.RTCP
	block, heard := s.in.report()
	s.mu.Unlock()
	if !to.IsValid() {
		return
	}
	sr := &rtcp.SenderReport{SSRC: s.ssrc, NTPTime: ntp(time.Now()), RTPTime: sp.packet.Timestamp, PacketCount: sp.packets, OctetCount: sp.octets}
	if heard {
		sr.Reports = []rtcp.ReceptionReport{block}
	}
	name := &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: s.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "phone"}},
	}}}
	b, err := rtcp.Marshal([]rtcp.Packet{sr, name})
	if err != nil {
		return
	}
	if _, err := s.rtcp.WriteToUDPAddrPort(b, to); err == nil {
		s.mu.Lock()
		s.stats.RTCPSent++
		s.mu.Unlock()
	}
}

// ntp returns the 64-bit time of RFC 3550 §4.
func ntp(t time.Time) uint64 {
	const from1900 = 2208988800
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}
