package report

import (
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"

	"github.com/pion/rtcp"

	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
)

// Sanity of what a peer reports.
const (
	maxRTT     = 10 * time.Second
	packetCost = int64(time.Second) / 10 // ten packets a second, a burst of fifty
)

// Ledger are the figures of both directions. The zero value has none.
type Ledger struct {
	mu       sync.Mutex
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

// NewName draws a short-term canonical name (RFC 7022 §4.2).
func NewName(random func() uint64) string {
	b := binary.BigEndian.AppendUint64(nil, random())
	b = binary.BigEndian.AppendUint32(b, uint32(random()))
	return base64.StdEncoding.EncodeToString(b)
}

// Spend takes one incoming packet's share of what the peer may send, or
// reports false if it sends too much.
func (l *Ledger) Spend(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == 0 {
		l.tokens = 50 * packetCost
	}
	l.tokens = min(50*packetCost, l.tokens+now-l.at)
	l.at = now
	if l.tokens < packetCost {
		return false
	}
	l.tokens -= packetCost
	return true
}

// Sender takes the head of a sender report of the peer.
func (l *Ledger) Sender(ssrc uint32, ntp uint64, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reporter, l.lsr, l.lsrAt = ssrc, uint32(ntp>>16), now
}

// Heard takes what the peer says of our stream (RFC 3550 §6.4.1); ntp is our
// time.
func (l *Ledger) Heard(r *rtcp.ReceptionReport, ntp uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.TotalLost < 1<<23 { // negative: more came than was sent
		l.lostOut = uint64(r.TotalLost)
	}
	l.jitter = r.Jitter
	if r.LastSenderReport == 0 {
		return
	}
	units := uint32(ntp>>16) - r.LastSenderReport - r.Delay
	if rtt := time.Duration(units) * time.Second >> 16; rtt <= maxRTT {
		l.rtt = rtt
	}
}

// Of returns what the peer said last of our stream: packets lost, jitter in
// timestamp units, and the time there and back.
func (l *Ledger) Of() (lost uint64, jitter uint32, rtt time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lostOut, l.jitter, l.rtt
}

// Restore sets what Of returns, and how many packets were sent when we
// reported last.
func (l *Ledger) Restore(lost uint64, jitter uint32, rtt time.Duration, sent uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lostOut, l.jitter, l.rtt, l.sent = lost, jitter, rtt, sent
}

// Sending reports whether packets were sent since the last report.
func (l *Ledger) Sending(sent uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	more := sent != l.sent
	l.sent = sent
	return more
}

// Reception is our report of the peer's stream (RFC 3550 §6.4.1, A.3), none
// before it has begun.
func (l *Ledger) Reception(f *stream.Figures, now int64) []rtcp.ReceptionReport {
	if f.Packets.Load() == 0 {
		return nil
	}
	ssrc, expected, received := f.SSRC.Load(), f.Expected.Load(), f.Received.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	if ssrc != l.about {
		l.about, l.expected, l.received = ssrc, 0, 0
	}
	r := rtcp.ReceptionReport{
		SSRC:               ssrc,
		FractionLost:       fraction(expected-l.expected, received-l.received),
		TotalLost:          min(uint32(max(0, int64(expected)-int64(received))), 1<<23-1),
		LastSequenceNumber: f.Highest.Load(),
		Jitter:             f.Jitter.Load(),
	}
	l.expected, l.received = expected, received
	if l.lsr != 0 && l.reporter == ssrc {
		r.LastSenderReport = l.lsr
		r.Delay = uint32((now - l.lsrAt) << 16 / int64(time.Second))
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
