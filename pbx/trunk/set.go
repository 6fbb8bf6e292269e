package trunk

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// Config is what a Set needs from outside.
type Config struct {
	Transport Transport
	Now       func() time.Time // nil = time.Now
	Log       *slog.Logger     // nil = silent
	Rand      func() float64   // in [0,1), for jitter and weights; nil = math/rand/v2
	// OnChange is told each change of a trunk's status, its number of calls
	// excepted, from the trunk's goroutine. It must return at once and must
	// not call the Set's Apply or Close. May be nil.
	OnChange func(Status)
	// OptionsEvery is the pause between two OPTIONS to one host; 0 = 30 s.
	OptionsEvery time.Duration
	// LookupEvery is the pause between two look-ups of one name; 0 = 60 s.
	LookupEvery time.Duration
}

// Status is what people see of one trunk.
type Status struct {
	Name       string `json:"name"`
	Up         bool   `json:"up"`         // takes calls
	Registered bool   `json:"registered"` // holds a binding at the carrier
	Host       string `json:"host"`       // the host that calls try first
	Text       string `json:"text"`       // one English sentence, without times
	Calls      int    `json:"calls"`      // acquired now
}

// Set holds all trunks of a tenant. Its methods may be called from any
// goroutine; those that read take no lock.
type Set struct {
	cfg    Config
	mu     sync.Mutex // serialises Apply, Close and the rebuilding of the matcher
	closed bool
	left   bool // carriers keep our registrations
	wg     sync.WaitGroup
	view   atomic.Pointer[view]
	match  atomic.Pointer[matcher]
}

// view is the immutable list of trunks.
type view struct {
	byName map[string]*entry
	sorted []*entry // by name
}

// entry is one trunk: what the document says, who owns it, and its calls. The
// counter outlives the owner, since calls do.
type entry struct {
	trunk conf.Trunk
	owner *owner
	calls *atomic.Int64
}

// New returns an empty Set; Apply fills it.
func New(cfg Config) *Set {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.OptionsEvery = cmp.Or(cfg.OptionsEvery, 30*time.Second)
	cfg.LookupEvery = cmp.Or(cfg.LookupEvery, time.Minute)
	s := &Set{cfg: cfg}
	s.view.Store(&view{})
	s.match.Store(&matcher{})
	return s
}

// ErrClosed is what Apply returns after Close.
var ErrClosed = errors.New("the trunks are closed")

// Plan says what Apply does with one trunk.
type Plan string

// The plans, by how much of a running trunk they touch.
const (
	PlanNone    Plan = "none"    // nothing changed
	PlanUpdate  Plan = "update"  // rules changed; registration and health stay
	PlanRestart Plan = "restart" // hosts or credentials changed
	PlanStart   Plan = "start"   // new
)

// PlanFor compares two versions of one trunk.
func PlanFor(old, wanted conf.Trunk) Plan {
	if reflect.DeepEqual(old, wanted) {
		return PlanNone
	}
	same := old.Register == wanted.Register && old.Username == wanted.Username &&
		old.Password == wanted.Password && old.Realm == wanted.Realm && slices.Equal(old.Hosts, wanted.Hosts)
	if same {
		return PlanUpdate
	}
	return PlanRestart
}

// Apply makes the Set hold exactly these trunks and returns what it did with
// each name; trunks that are gone are stopped and not listed. Calls in
// progress keep their count. It does not wait for carriers.
func (s *Set) Apply(trunks []conf.Trunk) (map[string]Plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	old := s.view.Load().byName
	next := &view{byName: make(map[string]*entry, len(trunks))}
	plans := make(map[string]Plan, len(trunks))
	var fresh, replaced []*owner
	for _, t := range trunks {
		if _, twice := next.byName[t.Name]; twice {
			continue // conf.Validate refuses this; the first one counts
		}
		e := &entry{trunk: t, calls: new(atomic.Int64)}
		plans[t.Name] = PlanStart
		if o, ok := old[t.Name]; ok {
			e.calls = o.calls
			e.owner = o.owner
			plans[t.Name] = PlanFor(o.trunk, t)
		}
		if p := plans[t.Name]; p == PlanStart || p == PlanRestart {
			if e.owner != nil {
				replaced = append(replaced, e.owner)
			}
			e.owner = newOwner(&s.cfg, t, s.publish)
			fresh = append(fresh, e.owner)
		}
		next.byName[t.Name] = e
	}
	next.sorted = slices.SortedFunc(maps.Values(next.byName), func(a, b *entry) int {
		return cmp.Compare(a.trunk.Name, b.trunk.Name)
	})
	s.view.Store(next)
	s.match.Store(newMatcher(next.sorted))
	for _, o := range replaced {
		// The successor uses the same contact: removing the binding would
		// remove its registration too, unless it is another account.
		o.stop(next.byName[o.trunk.Name].trunk.Username != o.trunk.Username)
	}
	for name, e := range old {
		if _, stays := next.byName[name]; !stays {
			e.owner.stop(true)
		}
	}
	for _, o := range fresh {
		s.wg.Go(o.run)
	}
	return plans, nil
}

// Leave is Close for a set that goes on in another process: registrations with
// carriers stay.
func (s *Set) Leave() { s.end(false) }

// Close unregisters and stops every trunk and waits for all goroutines; it
// takes two seconds at most for carriers that do not answer.
func (s *Set) Close() { s.end(true) }

func (s *Set) end(unregister bool) {
	s.mu.Lock()
	s.closed = true
	for _, e := range s.view.Load().sorted {
		e.owner.stop(unregister && !s.left)
	}
	s.left = s.left || !unregister
	s.mu.Unlock()
	s.wg.Wait()
}

// publish is called by owners when the addresses of a host changed.
func (s *Set) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.match.Store(newMatcher(s.view.Load().sorted))
}

// Hosts returns the hosts of a trunk in order of trial now: the host that
// holds the registration, then the healthy, the unknown, and last those that
// are down; nil for an unknown trunk. Hosts of equal health come in configured
// order, or by chance of their weights where these differ.
func (s *Set) Hosts(trunk string) []Host {
	e, ok := s.view.Load().byName[trunk]
	if !ok {
		return nil
	}
	state := e.owner.load()
	out := make([]Host, 0, len(state.hosts))
	for _, i := range order(state.hosts, state.registeredAt(s.cfg.Now()), s.cfg.Rand) {
		out = append(out, state.hosts[i])
	}
	return out
}

// Trunk returns what the document says of a trunk.
func (s *Set) Trunk(name string) (conf.Trunk, bool) {
	e, ok := s.view.Load().byName[name]
	if !ok {
		return conf.Trunk{}, false
	}
	return e.trunk, true
}

// Up reports whether the trunk can be expected to take a call. A trunk that
// registers is up while it is registered, or while a host answers and has not
// refused the credentials; a trunk without registration is up until all its
// hosts are proven down. It says nothing about MaxCalls: see Full.
func (s *Set) Up(trunk string) bool {
	e, ok := s.view.Load().byName[trunk]
	return ok && e.owner.load().up(s.cfg.Now())
}

// Full reports whether the trunk carries MaxCalls calls.
func (s *Set) Full(trunk string) bool {
	e, ok := s.view.Load().byName[trunk]
	return ok && e.trunk.MaxCalls > 0 && e.calls.Load() >= int64(e.trunk.MaxCalls)
}

// Acquire counts one call, in either direction, on the trunk. It reports
// false if the trunk does not exist or carries MaxCalls calls already;
// otherwise release must be called when the call is over (more often does no
// harm).
func (s *Set) Acquire(trunk string) (release func(), ok bool) {
	e, found := s.view.Load().byName[trunk]
	if !found {
		return func() {}, false
	}
	if n := e.calls.Add(1); e.trunk.MaxCalls > 0 && n > int64(e.trunk.MaxCalls) {
		e.calls.Add(-1)
		return func() {}, false
	}
	var once sync.Once
	return func() { once.Do(func() { e.calls.Add(-1) }) }, true
}

// Match returns the trunk that a packet from source belongs to: one of its
// hosts' addresses, else the longest of the AllowedCIDRs that holds it. It
// takes no lock and does not allocate.
func (s *Set) Match(source netip.Addr) (trunk string, ok bool) {
	return s.match.Load().match(source)
}

// Unseen reports whether Match does not know addresses of a host yet: its name
// was not resolved since the trunk began, half a minute ago at most.
func (s *Set) Unseen() bool { return s.cfg.Now().Before(s.match.Load().unseen) }

// Networks returns every network that Match knows, in order.
func (s *Set) Networks() []netip.Prefix {
	m := s.match.Load()
	var list []netip.Prefix
	for a := range m.exact {
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	for i := range m.networks {
		list = append(list, m.networks[i].prefix)
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return list
}

// PermitRealm reports whether a challenge with this realm, in a response from
// one of the trunk's hosts, may be answered with the trunk's password. See
// the package comment.
func (s *Set) PermitRealm(trunk, realm string) bool {
	e, ok := s.view.Load().byName[trunk]
	return ok && e.owner.permitRealm(realm)
}

// Failed tells that a host of the trunk did not answer an INVITE in time: it
// counts as one missed OPTIONS and is asked again at once. It never blocks.
func (s *Set) Failed(trunk string, h conf.TrunkHost) {
	if e, ok := s.view.Load().byName[trunk]; ok {
		e.owner.suspect(h)
	}
}

// Status returns all trunks by name.
func (s *Set) Status() []Status {
	v := s.view.Load()
	now := s.cfg.Now()
	out := make([]Status, 0, len(v.sorted))
	for _, e := range v.sorted {
		st := e.owner.load().status(e.trunk.Name, now)
		st.Calls = int(e.calls.Load())
		out = append(out, st)
	}
	return out
}
