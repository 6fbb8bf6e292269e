package srtp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/media"
)

// random is KeySize octets that a test may know.
func random(seed byte) []byte {
	b := make([]byte, KeySize)
	for i := range b {
		b[i] = seed + byte(i)
	}
	return b
}

func packet(seq uint16, payload string) []byte {
	b := make([]byte, 12, 1600)
	b[0], b[1] = 0x80, 8
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[8:], 0xABCD)
	return append(b, payload...)
}

func pair(t *testing.T, suite string) (*Sealer, *Opener) {
	t.Helper()
	key := KeyFor(suite, random(1))
	s, err := NewSealer(suite, key)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOpener(suite, key)
	if err != nil {
		t.Fatal(err)
	}
	return s, o
}

func seal(t *testing.T, s *Sealer, seq uint16) []byte {
	t.Helper()
	b, err := s.RTP(packet(seq, fmt.Sprint("payload ", seq)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t *testing.T, o *Opener, b []byte, seq uint16) {
	t.Helper()
	plain, err := o.RTP(bytes.Clone(b))
	if err != nil || !bytes.Equal(plain, packet(seq, fmt.Sprint("payload ", seq))) {
		t.Errorf("packet %d: %q, %v", seq, plain, err)
	}
}

func TestEverySuite(t *testing.T) {
	for _, suite := range []string{AES80, AES32, GCM} {
		t.Run(suite, func(t *testing.T) {
			s, o := pair(t, suite)
			for _, seq := range []uint16{65533, 65535, 65534, 0, 1} { // reordered, over the end of the numbers
				b := seal(t, s, seq)
				if bytes.Contains(b, []byte("payload")) {
					t.Fatal("the payload is in the clear")
				}
				open(t, o, b, seq)
			}
			report := []byte{0x80, 201, 0, 1, 0, 0, 0xAB, 0xCD}
			sealed, err := s.RTCP(report)
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := o.RTCP(sealed); err != nil || !bytes.Equal(plain, report) {
				t.Errorf("report %x, %v", plain, err)
			}
			if _, err := o.RTCP(sealed); err == nil {
				t.Error("a report was taken twice")
			}
		})
	}
}

// TestHostilePackets: none is taken, and a hundred of them do not keep the next
// good one from being taken.
func TestHostilePackets(t *testing.T) {
	s, o := pair(t, AES80)
	good := seal(t, s, 7)
	open(t, o, good, 7)
	for i := range 100 {
		bad := bytes.Clone(seal(t, s, uint16(8+i)))
		bad[len(bad)-1-i%10] ^= 1
		if _, err := o.RTP(bad); err == nil {
			t.Fatal("a forged packet was taken")
		}
	}
	for _, b := range [][]byte{nil, {0x80}, good, packet(9, "in the clear"), good[:14]} {
		if _, err := o.RTP(bytes.Clone(b)); err == nil {
			t.Errorf("%x was taken", b)
		}
	}
	open(t, o, seal(t, s, 200), 200)
}

// TestAnotherProcess: both ends go on after a restart, also over the end of the
// sequence numbers and when it is not known how far the stream has got.
func TestAnotherProcess(t *testing.T) {
	const rolled = 3 << 16
	for _, tc := range []struct {
		name       string
		near       uint32 // what was saved, with what is guessed
		sent, then uint16
	}{
		{"in the midst", rolled | 1000, 900, 1100},
		{"the guess is over the end, the packet before it", rolled, 65500, 65520},
		{"the packet is over the end, the guess before it", rolled - 20, 65500, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, o := pair(t, AES80)
			prior := uint32(rolled)
			if tc.sent > 60000 {
				prior -= 1 << 16
			}
			s.Resume(0xABCD, prior|uint32(tc.sent), 5)
			o.Resume(0xABCD, prior|uint32(tc.sent))
			open(t, o, seal(t, s, tc.sent), tc.sent)

			other, err := NewOpener(AES80, KeyFor(AES80, random(1)))
			if err != nil {
				t.Fatal(err)
			}
			other.Resume(0xABCD, tc.near)
			forged := seal(t, s, tc.then-1)
			forged[20] ^= 1
			if _, err := other.RTP(forged); err == nil {
				t.Fatal("a forged packet was taken")
			}
			again, err := NewSealer(AES80, KeyFor(AES80, random(1)))
			if err != nil {
				t.Fatal(err)
			}
			again.Resume(0xABCD, tc.near, 1000)
			sealed := seal(t, again, tc.then)
			open(t, o, sealed, tc.then)     // the phone, which knows of nothing
			open(t, other, sealed, tc.then) // and our own other end
		})
	}
}

// TestIndex: what one process has counted is what the next one needs, whether
// it went round, began anew with a new key, or never saw a packet.
func TestIndex(t *testing.T) {
	s, o := pair(t, AES80)
	if s.Index(0xABCD) != 0 || o.Index(0xABCD) != 0 {
		t.Error("packets were counted before the first")
	}
	for _, seq := range []uint16{65534, 65535, 0, 1} {
		open(t, o, seal(t, s, seq), seq)
	}
	if got, want := s.Index(0xABCD), uint32(1<<16|1); got != want || o.Index(0xABCD) != want {
		t.Errorf("sealed %#x, opened %#x, want %#x", got, o.Index(0xABCD), want)
	}
	if s.Index(1) != 0 {
		t.Error("another stream has the index")
	}
	next, err := NewSealer(AES80, KeyFor(AES80, random(1)))
	if err != nil {
		t.Fatal(err)
	}
	next.Resume(0xABCD, s.Index(0xABCD)+10, 5)
	if got := next.Index(0xABCD); got != 1<<16|11 {
		t.Errorf("%#x after it was told so, want %#x", got, 1<<16|11)
	}
}

// TestOtherSealOfTheSameKey: both suites make the same key stream of a key, so
// that the counter must go on.
func TestOtherSealOfTheSameKey(t *testing.T) {
	s, _ := pair(t, AES80)
	seal(t, s, 65535)
	first := seal(t, s, 7) // counted as 65,543
	other, err := NewSealer(AES32, KeyFor(AES32, random(1)))
	if err != nil {
		t.Fatal(err)
	}
	other.Follow(s)
	if again := seal(t, other, 7); !bytes.Equal(again[12:20], first[12:20]) {
		t.Error("the counter began anew")
	}
}

func TestKeys(t *testing.T) {
	for _, tc := range []struct {
		suite string
		key   media.Key
		want  string
	}{
		{"AES_256_CM_HMAC_SHA1_80", KeyFor(AES80, random(1)), "want AES_CM_128_HMAC_SHA1_80"},
		{AES80, "!", "no base64"},
		{AES80, KeyFor(GCM, random(1)), "of 28 octets: want 30"},
		{GCM, KeyFor(AES80, random(1)), "of 30 octets: want 28"},
	} {
		if Serves(tc.suite, tc.key) {
			t.Errorf("%s serves a key that it must not", tc.suite)
		}
		if _, err := NewSealer(tc.suite, tc.key); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("sealer: %v, want %q", err, tc.want)
		}
		if _, err := NewOpener(tc.suite, tc.key); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("opener: %v, want %q", err, tc.want)
		}
	}
	if KeyFor("NULL", random(1)) != "" || KeyFor(AES80, random(1)[:20]) != "" {
		t.Error("a key of nothing")
	}
	key := KeyFor(AES80, random(1))
	text := fmt.Sprintf("%v %s %+v %#v", key, key, media.Crypto{Local: key}, media.Crypto{Remote: key})
	if strings.Contains(text, base64.StdEncoding.EncodeToString(random(1))[:8]) {
		t.Errorf("a key is printed: %s", text)
	}
}

func TestTooLong(t *testing.T) {
	s, _ := pair(t, AES80)
	if _, err := s.RTP(make([]byte, maxSealed+1)); err == nil {
		t.Error("a packet that does not fit was sealed")
	}
}

func FuzzOpen(f *testing.F) {
	key := KeyFor(AES80, random(1))
	s, err := NewSealer(AES80, key)
	if err != nil {
		f.Fatal(err)
	}
	good, err := s.RTP(packet(1, "payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0x90, 8, 0, 1})
	o, err := NewOpener(AES80, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = o.RTP(bytes.Clone(b)) // no packet may do harm
		_, _ = o.RTCP(bytes.Clone(b))
	})
}

func BenchmarkSealAndOpen(b *testing.B) {
	key := KeyFor(AES80, random(1))
	s, err := NewSealer(AES80, key)
	if err != nil {
		b.Fatal(err)
	}
	o, err := NewOpener(AES80, key)
	if err != nil {
		b.Fatal(err)
	}
	p, seq := packet(0, strings.Repeat("x", 160)), uint16(0)
	for b.Loop() {
		seq++
		binary.BigEndian.PutUint16(p[2:], seq)
		sealed, _ := s.RTP(p)
		_, _ = o.RTP(sealed)
	}
}
