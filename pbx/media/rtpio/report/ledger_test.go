package report

import (
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
)

func TestFraction(t *testing.T) {
	tests := []struct {
		expected, received uint32
		want               uint8
	}{{0, 0, 0}, {100, 100, 0}, {100, 120, 0}, {100, 50, 128}, {100, 0, 255}, {4, 3, 64}, {1 << 31, 0, 0}}
	for _, tt := range tests {
		if got := fraction(tt.expected, tt.received); got != tt.want {
			t.Errorf("fraction(%d, %d) = %d, want %d", tt.expected, tt.received, got, tt.want)
		}
	}
}

func TestWhatThePeerSays(t *testing.T) {
	const second = uint64(1) << 32 // of NTP
	for _, tt := range []struct {
		name string
		said rtcp.ReceptionReport
		lost uint64
		rtt  time.Duration
	}{
		{"all", rtcp.ReceptionReport{TotalLost: 7, Jitter: 80, LastSenderReport: 1 << 16, Delay: 1 << 15}, 7, 500 * time.Millisecond},
		{"no report of ours came", rtcp.ReceptionReport{TotalLost: 7, Jitter: 80, Delay: 1 << 15}, 7, 0},
		{"more came than was sent", rtcp.ReceptionReport{TotalLost: 1<<24 - 3, Jitter: 80}, 0, 0},
		{"a delay that cannot be", rtcp.ReceptionReport{Jitter: 80, LastSenderReport: 1 << 17, Delay: 5}, 0, 0},
	} {
		var l Ledger
		l.Heard(&tt.said, 2*second)
		if lost, jitter, rtt := l.Of(); lost != tt.lost || jitter != 80 || rtt != tt.rtt {
			t.Errorf("%s: %d lost, jitter %d, round trip %v, want %d, 80, %v", tt.name, lost, jitter, rtt, tt.lost, tt.rtt)
		}
	}
}

func TestWhatWeSay(t *testing.T) {
	var l Ledger
	var f stream.Figures
	if got := l.Reception(&f, 0); got != nil {
		t.Errorf("%+v of a stream that has not begun", got)
	}
	f.Packets.Store(90)
	f.SSRC.Store(5)
	f.Expected.Store(100)
	f.Received.Store(90)
	l.Sender(5, 3<<32, 0)
	first := l.Reception(&f, int64(2*time.Second))[0]
	if first.TotalLost != 10 || first.FractionLost != 25 || first.LastSenderReport != 3<<16 || first.Delay != 2<<16 {
		t.Errorf("first %+v", first)
	}
	f.Expected.Store(200)
	f.Received.Store(190)
	if next := l.Reception(&f, 0)[0]; next.TotalLost != 10 || next.FractionLost != 0 {
		t.Errorf("none was lost since: %+v", next)
	}
	f.SSRC.Store(6) // which has sent no report
	if next := l.Reception(&f, 0)[0]; next.LastSenderReport != 0 || next.FractionLost != 12 {
		t.Errorf("another stream: %+v", next)
	}
}

func TestSpend(t *testing.T) {
	var l Ledger
	now, taken := int64(time.Second), 0
	for range 100 {
		if l.Spend(now) {
			taken++
		}
	}
	if taken != 50 {
		t.Errorf("%d packets at once were taken, want 50", taken)
	}
	if !l.Spend(now+packetCost) || l.Spend(now+packetCost) {
		t.Error("a tenth of a second is worth one packet")
	}
}
