package dtls

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/srtp"
	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func identity(t testing.TB) *Identity {
	t.Helper()
	i, err := NewIdentity(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// side is one end of a handshake and what became of it.
type side struct {
	*Handshake
	keys media.Crypto
	err  error
	done chan struct{}
	stop context.CancelFunc
}

// run starts the side; it ends with the test.
func (s *side) run(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	s.done, s.stop = make(chan struct{}), stop
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.keys, s.err = s.Run(ctx)
		close(s.done)
		if s.err == nil {
			s.Linger(ctx)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-over
	})
}

// two connects two sides; carry may lose or change what goes from the active
// one to the passive one and back.
func two(t *testing.T, active, passive Config, carry func(toPassive bool, b []byte) bool) (a, p *side) {
	t.Helper()
	a, p = &side{}, &side{}
	active.Active = true
	active.Send = func(b []byte) {
		if carry == nil || carry(true, b) {
			p.Take(b)
		}
	}
	passive.Send = func(b []byte) {
		if carry == nil || carry(false, b) {
			a.Take(b)
		}
	}
	a.Handshake, p.Handshake = New(active), New(passive)
	p.run(t)
	a.run(t)
	return a, p
}

func (s *side) wait(t *testing.T) (media.Crypto, error) {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Fatal("the handshake does not end")
	}
	return s.keys, s.err
}

// wantKeys fails unless both sides have keys, each other's.
func wantKeys(t *testing.T, a, p *side) {
	t.Helper()
	ka, err := a.wait(t)
	if err != nil {
		t.Fatalf("active: %v", err)
	}
	kp, err := p.wait(t)
	if err != nil {
		t.Fatalf("passive: %v", err)
	}
	if ka.Suite != srtp.GCM || ka != (media.Crypto{Suite: kp.Suite, Local: kp.Remote, Remote: kp.Local}) || !srtp.Serves(ka.Suite, ka.Local) || ka.Local == ka.Remote {
		t.Error("the keys are not each other's")
	}
}

func TestBothSidesGetTheSameKeys(t *testing.T) {
	for name, proven := range map[string]bool{"with a cookie": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			x, y := identity(t), identity(t)
			a, p := two(t, Config{Identity: x, Peer: y.Fingerprint()}, Config{Identity: y, Peer: x.Fingerprint(), Proven: proven}, nil)
			wantKeys(t, a, p)
		})
	}
}

// TestTheFirstOfEachKindIsLost: each flight is sent again, the last one, too.
func TestTheFirstOfEachKindIsLost(t *testing.T) {
	x, y := identity(t), identity(t)
	type kind struct {
		toPassive            bool
		record, epoch, first byte
	}
	var mu sync.Mutex
	seen := map[kind]bool{}
	a, p := two(t, Config{Identity: x, Peer: y.Fingerprint()}, Config{Identity: y, Peer: x.Fingerprint(), Proven: true}, func(toPassive bool, b []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		k := kind{toPassive, b[0], b[4], b[13]}
		was := seen[k]
		seen[k] = true
		return was
	})
	wantKeys(t, a, p)
}

func TestAnotherCertificateThanTold(t *testing.T) {
	x, y, other := identity(t), identity(t), identity(t)
	t.Run("of who begins", func(t *testing.T) {
		_, p := two(t, Config{Identity: other, Peer: y.Fingerprint()}, Config{Identity: y, Peer: x.Fingerprint(), Proven: true}, nil)
		if keys, err := p.wait(t); !errors.Is(err, ErrFingerprint) || keys != (media.Crypto{}) {
			t.Errorf("%v", err)
		}
	})
	t.Run("of who waits", func(t *testing.T) {
		a, _ := two(t, Config{Identity: x, Peer: y.Fingerprint()}, Config{Identity: other, Peer: x.Fingerprint(), Proven: true}, nil)
		if keys, err := a.wait(t); !errors.Is(err, ErrFingerprint) || keys != (media.Crypto{}) {
			t.Errorf("%v", err)
		}
	})
}

// TestNoiseBeforeAndAmong: what is no handshake does not keep the peer from
// making its own.
func TestNoiseBeforeAndAmong(t *testing.T) {
	x, y := identity(t), identity(t)
	noise := [][]byte{{22}, {22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1}, make([]byte, 1500), []byte("no handshake at all")}
	var passive atomic.Pointer[Handshake]
	a, q := two(t, Config{Identity: x, Peer: y.Fingerprint()}, Config{Identity: y, Peer: x.Fingerprint()}, func(bool, []byte) bool {
		if h := passive.Load(); h != nil {
			for _, b := range noise {
				h.Take(b)
			}
		}
		return true
	})
	passive.Store(q.Handshake)
	wantKeys(t, a, q)
}

// TestHello tells the beginning of one try from that of another.
func TestHello(t *testing.T) {
	first := func() []byte {
		x, sent := identity(t), make(chan []byte, 1)
		s := &side{Handshake: New(Config{Identity: x, Peer: x.Fingerprint(), Active: true, Send: func(b []byte) {
			select {
			case sent <- append([]byte(nil), b...):
			default:
			}
		}})}
		s.run(t)
		defer s.stop()
		return <-sent
	}
	a, b := first(), first()
	ra, ok := Hello(a)
	rb, also := Hello(b)
	if !ok || !also || ra == rb {
		t.Errorf("%x, %v and %x, %v", ra, ok, rb, also)
	}
	rest := append([]byte(nil), a...)
	rest[21] = 1 // a later fragment
	for _, b := range [][]byte{nil, a[:40], rest, append([]byte{23}, a[1:]...)} {
		if _, ok := Hello(b); ok {
			t.Errorf("%x is taken for a beginning", b)
		}
	}
}

// TestAPeerThatIsSilent gets no more than a bounded time, or is given up with
// its call.
func TestAPeerThatIsSilent(t *testing.T) {
	x := identity(t)
	s := &side{Handshake: New(Config{Identity: x, Peer: x.Fingerprint(), Active: true, Send: func([]byte) {}})}
	s.run(t)
	s.stop()
	if _, err := s.wait(t); err == nil {
		t.Error("keys of nobody")
	}
	for range 10 * maxPackets { // of which nobody reads any
		s.Take(make([]byte, 1500))
	}
	if n := len(s.pipe.in); n > maxWaiting {
		t.Errorf("%d packets wait", n)
	}
}

func TestFingerprints(t *testing.T) {
	i := identity(t)
	der := i.certificate.Certificate[0]
	if f := i.Fingerprint(); !strings.HasPrefix(f, "sha-256 ") || len(f) != len("sha-256 ")+95 || !matches(der, f) {
		t.Errorf("%q", f)
	}
	for _, told := range []string{"", "sha-256", "sha-256 00", "md5 " + i.Fingerprint()[8:], "sha-1 " + i.Fingerprint()[8:], "sha-384 " + i.Fingerprint()[8:], identity(t).Fingerprint()} {
		if matches(der, told) {
			t.Errorf("%q is taken for ours", told)
		}
	}
	var none *Identity
	if none.Fingerprint() != "" {
		t.Error("nobody has a fingerprint")
	}
}

func FuzzTake(f *testing.F) {
	hello := make(chan []byte, 1)
	ctx, stop := context.WithCancel(context.Background())
	x := identity(f)
	h := New(Config{Identity: x, Peer: x.Fingerprint(), Active: true, Send: func(b []byte) {
		select {
		case hello <- append([]byte(nil), b...):
		default:
		}
	}})
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = h.Run(ctx)
	}()
	f.Add(<-hello)
	stop()
	<-over
	f.Add([]byte{22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		answered := make(chan struct{}, maxPackets)
		p := New(Config{Identity: x, Peer: x.Fingerprint(), Proven: true, Send: func([]byte) { answered <- struct{}{} }})
		ctx, stop := context.WithCancel(context.Background())
		over := make(chan struct{})
		bounded.Run(t, 1<<14+len(b), func() {
			p.Take(b)
			p.Take(b)
			go func() {
				defer close(over)
				if _, err := p.Run(ctx); err == nil {
					t.Error("keys of a peer without a certificate")
				}
			}()
			for len(p.pipe.in) > 0 { // until both were read
				select {
				case <-over:
					return
				case <-answered:
				case <-time.After(time.Millisecond):
				}
			}
		})
		stop()
		<-over
	})
}
