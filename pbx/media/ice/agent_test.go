package ice

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
)

var (
	wifi   = netip.MustParseAddrPort("192.0.2.7:4000")
	mobile = netip.MustParseAddrPort("198.51.100.7:5000")
	six    = netip.MustParseAddrPort("[2001:db8::7]:6000")
)

func exchanged() media.ICE {
	return media.ICE{
		Local:  media.ICECredentials{Ufrag: "ours", Password: "our-password-of-22-chars"},
		Remote: media.ICECredentials{Ufrag: "them", Password: "their-password-22-chars"},
	}
}

// request is a check as another implementation makes it.
type request struct {
	username, password string
	priority           uint32
	nominates          bool
	extra, after       []stun.Setter // before MESSAGE-INTEGRITY, after it
	unsigned, unproven bool          // without MESSAGE-INTEGRITY, without FINGERPRINT
	kind               stun.MessageType
}

func good() request {
	return request{username: "ours:them", password: "our-password-of-22-chars", priority: 100, kind: stun.BindingRequest}
}

func (r request) build(t testing.TB) []byte {
	t.Helper()
	m := stun.New()
	set := []stun.Setter{
		r.kind, stun.TransactionID, stun.NewUsername(r.username),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{byte(r.priority >> 24), byte(r.priority >> 16), byte(r.priority >> 8), byte(r.priority)}},
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: make([]byte, 8)},
		stun.RawAttribute{Type: 0xC057, Value: make([]byte, 5)}, // a browser's own, which need not be understood
	}
	if r.nominates {
		set = append(set, useCandidate())
	}
	set = append(set, r.extra...)
	if !r.unsigned {
		set = append(set, stun.NewShortTermIntegrity(r.password))
	}
	set = append(set, r.after...)
	if !r.unproven {
		set = append(set, stun.Fingerprint)
	}
	if err := m.Build(set...); err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

func useCandidate() stun.Setter { return stun.RawAttribute{Type: stun.AttrUseCandidate} }

// answered reads an answer with another implementation.
func answered(t *testing.T, b []byte) *stun.Message {
	t.Helper()
	m := stun.New()
	if _, err := m.Write(b); err != nil {
		t.Fatalf("the answer cannot be read: %v", err)
	}
	if err := stun.NewShortTermIntegrity("our-password-of-22-chars").Check(m); err != nil {
		t.Error(err)
	}
	if err := stun.Fingerprint.Check(m); err != nil {
		t.Error(err)
	}
	return m
}

func TestChecksAreAnswered(t *testing.T) {
	for _, from := range []netip.AddrPort{wifi, six} {
		a := New(exchanged())
		b := good().build(t)
		answer, ok := a.Take(b, from, 1)
		if !ok || a.Selected() != from || !a.Valid(from) || a.Valid(mobile) {
			t.Fatalf("%v: %v, chosen %v", from, ok, a.Selected())
		}
		m := answered(t, answer)
		var where stun.XORMappedAddress
		if err := where.GetFrom(m); err != nil || !where.IP.Equal(net.IP(from.Addr().AsSlice())) || where.Port != int(from.Port()) {
			t.Errorf("mapped to %v, %v, want %v", where, err, from)
		}
		if m.Type != stun.BindingSuccess || !bytes.Equal(m.TransactionID[:], b[8:20]) {
			t.Errorf("%v", m)
		}
	}
}

func TestWhatIsNoCheckOfThePeer(t *testing.T) {
	for name, change := range map[string]func(*request){
		"without MESSAGE-INTEGRITY": func(r *request) { r.unsigned = true },
		"a wrong password":          func(r *request) { r.password = "their-password-22-chars" },
		"another user":              func(r *request) { r.username = "ours:somebody" },
		"the user turned round":     func(r *request) { r.username = "them:ours" },
		"without FINGERPRINT":       func(r *request) { r.unproven = true },
		"an indication":             func(r *request) { r.kind = stun.NewType(stun.MethodBinding, stun.ClassIndication) },
		"an answer":                 func(r *request) { r.kind = stun.BindingSuccess },
		"another method":            func(r *request) { r.kind = stun.NewType(stun.MethodAllocate, stun.ClassRequest) },
	} {
		t.Run(name, func(t *testing.T) {
			a, r := New(exchanged()), good()
			change(&r)
			if answer, ok := a.Take(r.build(t), wifi, 1); answer != nil || ok || a.Selected().IsValid() || a.Valid(wifi) {
				t.Errorf("%v, answer %x", ok, answer)
			}
		})
	}
	for i := range good().build(t) { // one bit is wrong somewhere
		a, b := New(exchanged()), good().build(t)
		b[i] ^= 1
		if _, ok := a.Take(b, wifi, 1); ok {
			t.Errorf("with octet %d changed it is taken", i)
		}
	}
}

// TestWhatIsAddedBehindTheSignatureIsNotBelieved: anybody on the way could.
func TestWhatIsAddedBehindTheSignatureIsNotBelieved(t *testing.T) {
	a := New(exchanged())
	a.Take(request{username: "ours:them", password: "our-password-of-22-chars", priority: 9, nominates: true, kind: stun.BindingRequest}.build(t), wifi, 1)
	r := good()
	r.after = []stun.Setter{useCandidate()}
	if _, ok := a.Take(r.build(t), mobile, 2); !ok || a.Selected() != wifi {
		t.Errorf("%v, chosen %v", ok, a.Selected())
	}
}

func TestRequestsThatAreAnsweredWithAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		extra stun.Setter
		want  stun.ErrorCode
	}{
		"the peer wants to be led":             {stun.RawAttribute{Type: stun.AttrICEControlled, Value: make([]byte, 8)}, stun.CodeRoleConflict},
		"an attribute that must be understood": {stun.RawAttribute{Type: 0x7001, Value: []byte("x")}, stun.CodeUnknownAttribute},
	} {
		t.Run(name, func(t *testing.T) {
			a, r := New(exchanged()), good()
			r.extra = []stun.Setter{tc.extra}
			answer, _ := a.Take(r.build(t), wifi, 1)
			m := answered(t, answer)
			var code stun.ErrorCodeAttribute
			if err := code.GetFrom(m); err != nil || code.Code != tc.want || a.Valid(wifi) {
				t.Errorf("%v, %v", code, err)
			}
			var unknown stun.UnknownAttributes
			if err := unknown.GetFrom(m); tc.want == stun.CodeUnknownAttribute && (err != nil || len(unknown) != 1 || unknown[0] != 0x7001) {
				t.Errorf("unknown %v, %v", unknown, err)
			}
		})
	}
}

// step is a check of the peer and what is chosen after it.
type step struct {
	from      netip.AddrPort
	priority  uint32
	nominates bool
	after     time.Duration
	want      netip.AddrPort
}

func TestWhichSourceIsChosen(t *testing.T) {
	const soon, late = 50 * time.Millisecond, 10 * time.Second
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"the one of the higher priority before any is nominated", []step{{wifi, 1, false, soon, wifi}, {mobile, 2, false, soon, mobile}, {wifi, 1, false, soon, mobile}}},
		{"the nominated one", []step{{wifi, 9, false, soon, wifi}, {mobile, 1, true, soon, mobile}, {wifi, 9, false, soon, mobile}}},
		{"the one that is nominated once and then only kept alive", []step{{wifi, 1, true, soon, wifi}, {mobile, 9, false, soon, wifi}, {wifi, 1, false, soon, wifi}, {mobile, 9, false, soon, wifi}}},
		{"of several nominated the highest priority", []step{{wifi, 1, true, soon, wifi}, {mobile, 2, true, soon, mobile}, {wifi, 1, true, soon, mobile}}},
		{"another one later, with the first kept alive", []step{{wifi, 9, true, soon, wifi}, {wifi, 9, false, soon, wifi}, {mobile, 1, true, soon, mobile}, {wifi, 9, false, soon, mobile}}},
		{"another one when the first is gone", []step{{wifi, 9, true, soon, wifi}, {mobile, 1, true, late, mobile}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, now := New(exchanged()), int64(time.Hour)
			for i, s := range tt.steps {
				r := good()
				r.priority, r.nominates = s.priority, s.nominates
				now += int64(s.after)
				a.Take(r.build(t), s.from, now)
				if a.Selected() != s.want {
					t.Fatalf("step %d: chosen %v, want %v", i, a.Selected(), s.want)
				}
			}
		})
	}
}

// TestManySources: a peer that comes from ever other ports costs no memory and
// loses neither the chosen source nor the newest.
func TestManySources(t *testing.T) {
	a, r := New(exchanged()), good()
	r.nominates = true
	a.Take(r.build(t), wifi, 1)
	for i := range 100 {
		from := netip.AddrPortFrom(mobile.Addr(), uint16(1000+i))
		a.Take(good().build(t), from, int64(2+i))
		if !a.Valid(from) || a.Selected() != wifi {
			t.Fatalf("source %d: valid %v, chosen %v", i, a.Valid(from), a.Selected())
		}
	}
}

func TestAnotherProcessGoesOn(t *testing.T) {
	a := New(exchanged())
	a.Resume(wifi, 1)
	r := good()
	r.nominates = true
	if _, ok := a.Take(r.build(t), wifi, 2); !ok || a.Selected() != wifi {
		t.Errorf("%v, chosen %v", ok, a.Selected())
	}
	if _, ok := a.Take(r.build(t), mobile, 3); !ok || a.Selected() != wifi {
		t.Error("a source that is still nominated lost its place")
	}
	a.Take(good().build(t), wifi, 4)
	if a.Take(r.build(t), mobile, 5); a.Selected() != mobile {
		t.Errorf("chosen %v", a.Selected())
	}
}

func TestACheckCostsNoAllocation(t *testing.T) {
	a, b := New(exchanged()), good().build(t)
	n := testing.AllocsPerRun(100, func() {
		if answer, _ := a.Take(b, six, 1); answer == nil {
			t.Fatal("no answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a check", n)
	}
}

func FuzzTake(f *testing.F) {
	f.Add(good().build(f))
	r := good()
	r.nominates, r.after = true, []stun.Setter{useCandidate()}
	f.Add(r.build(f))
	r.extra = []stun.Setter{stun.RawAttribute{Type: 0x7001, Value: []byte("x")}}
	f.Add(r.build(f))
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42})
	f.Fuzz(func(t *testing.T, b []byte) {
		a := New(exchanged())
		was := bytes.Clone(b)
		bounded.Run(t, len(b), func() {
			answer, ok := a.Take(b, wifi, 1)
			if (answer != nil) != ok || a.Selected().IsValid() && !ok {
				t.Fatalf("%v with answer %x", ok, answer)
			}
		})
		if !bytes.Equal(b, was) {
			t.Fatal("the packet was changed")
		}
		m := stun.New()
		if _, err := m.Write(b); err != nil && a.Selected().IsValid() {
			t.Fatalf("a check that is no STUN: %v", err)
		}
	})
}
