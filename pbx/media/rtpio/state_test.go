package rtpio

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/rtpio/ports"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// shelf keeps sockets as a parent process would.
type shelf struct {
	mu   sync.Mutex
	kept map[string][]*os.File
}

func newShelf(t testing.TB) *shelf {
	s := &shelf{kept: make(map[string][]*os.File)}
	t.Cleanup(func() {
		for _, files := range s.kept {
			closeFiles(files)
		}
	})
	return s
}

func (s *shelf) Take(name string) []*os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return duplicates(s.kept[name])
}

func (s *shelf) Keep(name string, files ...*os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	closeFiles(s.kept[name])
	s.kept[name] = duplicates(files)
}

func (s *shelf) Drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	closeFiles(s.kept[name])
	delete(s.kept, name)
}

func (s *shelf) names() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept)
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// duplicates are files of the same sockets.
func duplicates(files []*os.File) (list []*os.File) {
	for _, f := range files {
		fd, err := syscall.Dup(int(f.Fd()))
		if err != nil {
			panic(err)
		}
		list = append(list, os.NewFile(uintptr(fd), f.Name()))
	}
	return list
}

// overJSON is the state as the next process reads it.
func overJSON(t *testing.T, s media.PortState) (out media.PortState) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(out); !bytes.Equal(again, b) {
		t.Fatalf("the state changed on paper:\n%s\n%s", b, again)
	}
	return out
}

// restored takes both ports of a call up in another pool, whose clock begins
// where that of the first stands.
func restored(t *testing.T, cfg Config, at *bench, a, b media.PortState) (next *bench, pa, pb *Port) {
	t.Helper()
	next = newBench(t, cfg)
	next.clock.advance(time.Duration(at.clock.ns.Load()))
	for i, s := range []media.PortState{a, b} {
		p, err := next.Restore(overJSON(t, s), media.Notices{})
		if err != nil {
			t.Fatal(err)
		}
		if p.Local() != s.Local {
			t.Errorf("local %v, want %v", p.Local(), s.Local)
		}
		if i == 0 {
			pa = p.(*Port)
		} else {
			pb = p.(*Port)
		}
	}
	pa.Hear(pb)
	pb.Hear(pa)
	return next, pa, pb
}

func TestRestoredRelayGoesOnExactly(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	pb.Play(tone.For(tone.Silence(), 60*time.Millisecond)) // so that the numbers are not those of the phone
	b.tick(5)
	b.settle()
	z.hear(3)
	a.send(frame)
	z.receive()
	sa, sb := pa.Save(), pb.Save()
	var last received
	for range 3000 { // a minute that nobody saved
		b.clock.advance(frameTime)
		a.send(frame)
		last = z.receive()
	}
	b.Leave()
	a.packet(frame) // said to nobody
	b.clock.advance(time.Second)
	_, na, nb := restored(t, Config{}, b, sa, sb)
	a.send(frame)
	r := z.receive()
	want := last.header
	want.seq += 2
	want.timestamp += 320
	if r.header != want {
		t.Errorf("%+v, want %+v: the stream does not go on as if nothing had been", r.header, want)
	}
	a.send(frame)
	if r := z.receive(); r.seq != want.seq+1 || r.marker {
		t.Errorf("%+v after %+v", r.header, want)
	}
	if q := na.Quality(); q.PacketsIn != 3 || q.LostIn != 0 {
		t.Errorf("quality %+v: want 3 packets in, those that are known, and none lost", q)
	}
	if s := nb.Save(); s.Out.SSRC != sb.Out.SSRC || s.Out.Highest>>16 != (sb.Out.Highest+3003)>>16 || uint16(s.Out.Highest) != r.seq+1 {
		t.Errorf("saved again: %+v, the first time %+v", s.Out, sb.Out)
	}
}

func TestRestoredPortNeverGoesBack(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	a.send(frame)
	z.receive()
	sa, sb := pa.Save(), pb.Save()
	a.header.ssrc, a.header.seq = 0xF00, 7 // another stream, which nobody saved
	b.clock.advance(time.Second)
	var last received
	for range 400 {
		b.clock.advance(frameTime)
		a.send(frame)
		last = z.receive()
	}
	b.Leave()
	b.clock.advance(time.Second)
	_, na, _ := restored(t, Config{}, b, sa, sb)
	a.send(frame)
	until(t, "it is there", func() bool { return na.Quality().PacketsIn > 1 })
	var r received
	for r = z.receive(); r.seq == last.seq; r = z.receive() { // until the first packet of the second life
	}
	if ahead := int16(r.seq - last.seq); ahead <= 0 || ahead > 200 {
		t.Errorf("sequence %d after %d: want ahead, but not far", r.seq, last.seq)
	}
	if ahead := int32(r.timestamp - last.timestamp); ahead < 8000 || ahead > 16000 {
		t.Errorf("timestamp rose by %d in a second", ahead)
	}
	if r.ssrc != last.ssrc || !r.marker {
		t.Errorf("%+v after %+v", r.header, last.header)
	}
}

func TestRestoredPeerStaysLocked(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	s := a.stream()
	s.Remote = netip.MustParseAddrPort("10.11.12.13:4000") // behind a NAT
	s.Signalling = loopback4
	pa.Apply(s)
	for range 3 {
		a.send(frame)
	}
	z.receive()
	sa, sb := pa.Save(), pb.Save()
	b.Leave()
	_, na, _ := restored(t, Config{}, b, sa, sb)
	thief := newPeer(t, elsewhere, codec.ALaw)
	thief.to = na.Local()
	for range 20 {
		thief.header.ssrc = a.header.ssrc
		thief.send(frame)
	}
	until(t, "the thief is refused", func() bool { return na.Drops().Foreign == 20 })
	z.send(frame) // goes to the phone before it has said a word
	a.receive()
	a.send(frame)
	z.receive()
}

func TestHeldSocketsCarryPacketsOver(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	kept := newShelf(t)
	b := newBench(t, Config{Sockets: kept})
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	a.send(frame)
	first := z.receive()
	pa.Hold()
	pb.Hold()
	pb.Hold()
	sa, sb := pa.Save(), pb.Save()
	b.Leave()
	for range 10 { // while nobody is there
		a.send(frame)
	}
	_, na, _ := restored(t, Config{Sockets: kept}, b, sa, sb)
	last := first.seq
	for range 10 {
		if r := z.receive(); r.seq != last+1 {
			t.Fatalf("sequence %d after %d", r.seq, last)
		}
		last++
	}
	if got := kept.names(); got != 2 {
		t.Errorf("%d pairs held, want 2", got)
	}
	na.Close()
	until(t, "the closed port is let go", func() bool { return kept.names() == 1 })
}

func TestRestoreOfWhatIsTaken(t *testing.T) {
	from := freeRange(t, 8)
	cfg := Config{From: from, To: from + 7, Bind: []netip.Addr{loopback4}}
	b := newBench(t, cfg)
	p := b.port(t, loopback4, media.Notices{})
	s := p.Save()
	if _, err := b.Restore(s, media.Notices{}); err == nil || !strings.Contains(err.Error(), s.Local.String()) {
		t.Errorf("error %v, want one that names the port", err)
	}
	other := newBench(t, cfg)
	if _, err := other.Restore(s, media.Notices{}); !ports.InUse(err) {
		t.Errorf("error %v, want address in use", err)
	}
	b.Leave()
	if _, err := other.Restore(s, media.Notices{}); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the restored number is not given to anybody else
		if got := other.port(t, loopback4, media.Notices{}).Local(); got == s.Local {
			t.Errorf("%v was given twice", got)
		}
	}
	if _, err := other.Allocate(loopback4, media.Notices{}); !errors.Is(err, ErrNoPorts) {
		t.Errorf("error %v, want ErrNoPorts", err)
	}
	s.Local = netip.AddrPort{}
	if _, err := other.Restore(s, media.Notices{}); err == nil {
		t.Error("a state without an address was restored")
	}
	other.Close()
	if _, err := other.Restore(p.Save(), media.Notices{}); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestSaveWorksAfterClose(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	a.say(tone.Silence(), 1)
	z.receive()
	pa.Close()
	if s := pa.Save(); s.Quality.PacketsIn != 1 || s.Peer != addr(a.rtp) || s.In.SSRC != a.header.ssrc {
		t.Errorf("saved %+v", s)
	}
}
