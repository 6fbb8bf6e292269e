package call

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
)

// world is everything around an engine: phones, trunks and the event sink.
// Its legs answer the engine from the test's goroutine only.
type world struct {
	mu       sync.Mutex
	contacts map[string][]pbx.Contact
	down     map[string]bool
	dialled  []*fakeLeg
	events   []pbx.Event
	// onDial is called before each new leg, outside the lock.
	onDial func(*fakeLeg)
	// autoEnd makes legs tell LegOver as soon as they are ended.
	autoEnd bool
}

func newWorld(extensions ...string) *world {
	w := &world{contacts: make(map[string][]pbx.Contact), down: make(map[string]bool), autoEnd: true}
	for _, x := range extensions {
		w.register(x, "phone")
	}
	return w
}

func (w *world) register(extension, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.contacts[extension] = append(w.contacts[extension], pbx.Contact{ID: extension + "-" + name, Extension: extension})
}

func (w *world) Contacts(extension string) []pbx.Contact {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.contacts[extension])
}

func (w *world) TrunkUp(trunk string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.down[trunk]
}

func (w *world) beforeDial(f func(*fakeLeg)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onDial = f
}

// fail takes trunks down.
func (w *world) fail(trunks ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range trunks {
		w.down[t] = true
	}
}

func (w *world) Dial(d leg.Dial, l leg.Listener) leg.Leg {
	f := &fakeLeg{id: d.Leg, dial: d, listener: l, world: w}
	w.mu.Lock()
	onDial := w.onDial
	w.mu.Unlock()
	if onDial != nil {
		onDial(f)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialled = append(w.dialled, f)
	return f
}

func (w *world) TakeUp(pbx.LegID, leg.Listener) (leg.Leg, bool) { return nil, false }

func (w *world) Handle(e pbx.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// all returns the events of that type so far.
func (w *world) all(t pbx.EventType) []pbx.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []pbx.Event
	for _, e := range w.events {
		if e.Type == t {
			out = append(out, e)
		}
	}
	return out
}

// legs returns the legs that were dialled so far.
func (w *world) legs() []*fakeLeg {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dialled)
}

// to returns the last leg that was dialled to an extension or outside number.
func (w *world) to(t *testing.T, number string) *fakeLeg {
	t.Helper()
	for _, f := range slices.Backward(w.legs()) {
		if f.dial.Target.Contact.Extension == number || f.dial.Target.Number == number {
			return f
		}
	}
	t.Fatalf("no leg was dialled to %s", number)
	return nil
}

// fakeLeg is a leg whose peer is the test. It is its own media port.
type fakeLeg struct {
	id       pbx.LegID
	dial     leg.Dial
	listener leg.Listener
	world    *world

	mu      sync.Mutex
	did     []string
	ended   *pbx.Cause
	over    bool
	hears   media.Port
	playing media.Source
	digits  []rune
	events  bool // its peer takes RFC 4733 events
	shown   []pbx.Party
	tap     media.Tap
	prefers []string
	speaks  string // the codec that its peer and we settled
}

func (f *fakeLeg) ID() pbx.LegID     { return f.id }
func (f *fakeLeg) SIPCallID() string { return "sip-" + string(f.id) }
func (f *fakeLeg) Media() media.Port { return (*fakePort)(f) }
func (f *fakeLeg) Ring()             { f.note("ring") }
func (f *fakeLeg) Progress()         { f.note("progress") }
func (f *fakeLeg) Answer()           { f.note("answer") }

func (f *fakeLeg) Prefer(codec string) {
	f.note("prefer " + codec)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prefers = append(f.prefers, codec)
}

func (f *fakeLeg) Present(p pbx.Party) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shown = append(f.shown, p)
}

func (f *fakeLeg) SendDigit(d rune) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.digits = append(f.digits, d)
}

func (f *fakeLeg) End(c pbx.Cause) {
	f.mu.Lock()
	first := f.ended == nil
	if first {
		f.ended = &c
	}
	f.mu.Unlock()
	if first && f.world.autoEnd {
		f.hangUp(c)
	}
}

// hangUp tells that the leg is over, once.
func (f *fakeLeg) hangUp(c pbx.Cause) {
	f.mu.Lock()
	first := !f.over
	f.over = true
	f.mu.Unlock()
	if first {
		f.listener.LegOver(f.id, c, pbx.Quality{PacketsIn: 7})
	}
}

func (f *fakeLeg) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, what)
}

func (f *fakeLeg) cause() *pbx.Cause {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

func (f *fakeLeg) has(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.did, what)
}

// heardBy returns the leg whose peer hears this one, nil if none.
func (f *fakeLeg) heardBy() *fakeLeg {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hears == nil {
		return nil
	}
	return (*fakeLeg)(f.hears.(*fakePort))
}

func (f *fakeLeg) plays() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.playing == nil {
		return ""
	}
	return string(f.playing.(sound))
}

type fakePort fakeLeg

func (*fakePort) Local() netip.AddrPort              { return netip.AddrPort{} }
func (*fakePort) Apply(media.Stream)                 {}
func (*fakePort) Hold()                              {}
func (*fakePort) Save() media.PortState              { return media.PortState{} }
func (p *fakePort) Quality() pbx.Quality             { return pbx.Quality{Codec: p.speaks} }
func (*fakePort) SendDigit(rune, time.Duration) bool { return true }
func (*fakePort) Close()                             {}

func (p *fakePort) TakesKeys() bool { return p.events }

func (p *fakePort) Tap(t media.Tap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tap = t
}

func (p *fakePort) Hear(to media.Port) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hears = to
}

func (p *fakePort) Play(s media.Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.playing = s
}

// sound is a source that is only a name.
type sound string

func (sound) Read([]int16) bool { return false }

type sounds struct{}

func (sounds) Sound(name string) media.Source { return sound(name) }

// document is the company that the tests call.
func document() *conf.Document {
	return &conf.Document{
		Version: conf.Version, Generation: "1",
		Tenant:    conf.Tenant{Name: "acme", TimeZone: "UTC"},
		Limits:    conf.Limits{ConcurrentCalls: 100},
		Numbering: conf.Numbering{Country: "KR", AreaCode: "02", OutsidePrefix: "9", Emergency: []string{"112", "119"}},
		Outbound:  conf.Outbound{Policy: "Domestic"},
		Extensions: []conf.Extension{
			{Number: "101", DisplayName: "김하늘", WorksUser: "haneul@acme.example", Mobile: "010-1234-5678", DIDs: []string{"025550101"}, AutoAnswer: true},
			{Number: "102", DisplayName: "이바다", WorksUser: "bada@acme.example", Mobile: "010-8765-4321"},
			{Number: "103", NoAnswer: conf.Forward{After: conf.Duration(10 * time.Second), To: "102"}},
			{Number: "104", WorksUser: "san@acme.example", NoAnswer: conf.Forward{To: "010-2222-3333"}},
		},
		Groups: []conf.Group{
			{Number: "600", DisplayName: "영업", Strategy: conf.RingAll, Members: []string{"101", "102"}, Timeout: conf.Duration(25 * time.Second)},
			{Number: "601", Strategy: conf.Sequential, Members: []string{"101", "102"}, Timeout: conf.Duration(15 * time.Second)},
		},
		Trunks: []conf.Trunk{
			{Name: "one", Numbers: []string{"025550100", "025550101"}, CallerID: conf.CallerID{Default: "025550100", Permitted: []string{"02555*"}}},
			{Name: "two", CallerID: conf.CallerID{Default: "025550200"}},
		},
		Flows: []conf.Flow{{Name: "main", Numbers: []string{"025550100"}, Open: conf.Action{Dial: "600"}}},
	}
}
