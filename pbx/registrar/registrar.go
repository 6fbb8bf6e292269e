package registrar

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// Config is what a Registrar needs from outside.
type Config struct {
	Store pbx.ContactStore // nil = in memory alone
	Now   func() time.Time
	Log   *slog.Logger
	// Limits returns the numbers of bindings above which a warning is logged
	// and new ones are refused; 0 = none.
	Limits func() (operating, maximum int)
	// MinExpires, MaxExpires and DefaultExpires bound how long a binding
	// lives; 0 = 60 s, 1 h, 1 h.
	MinExpires, MaxExpires, DefaultExpires time.Duration
	// Waiting is how many answers may wait for the store; 0 = 4096.
	Waiting int
}

// batcher is a store that writes several extensions in one transaction.
type batcher interface {
	SaveAll(ctx context.Context, all map[string][]pbx.Contact) error
}

// Counters tell what happened; they only grow, but for Bindings.
type Counters struct {
	Bindings      atomic.Int64
	Accepted      atomic.Uint64
	Refused       atomic.Uint64
	Expired       atomic.Uint64
	StoreFailures atomic.Uint64
	OverOperating atomic.Uint64 // new bindings above the operating limit
}

// Registrar holds the bindings of one tenant.
type Registrar struct {
	Counters Counters

	cfg  Config
	wake chan struct{}

	mu      sync.Mutex
	aors    map[string][]pbx.Contact // by extension; slices are never changed in place
	dirty   map[string]bool          // changed since the last write began
	flying  map[string][]pbx.Contact // being written now
	waiting []waiting
	total   int
	warned  bool
	loaded  bool // the store has been read
}

// waiting is an answer that is given when its extension is written.
type waiting struct {
	extension string
	give      func()
}

// New returns a registrar without bindings.
func New(cfg Config) *Registrar {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&cfg.MinExpires, time.Minute)
	set(&cfg.MaxExpires, time.Hour)
	set(&cfg.DefaultExpires, time.Hour)
	if cfg.Waiting == 0 {
		cfg.Waiting = 4096
	}
	if cfg.Limits == nil {
		cfg.Limits = func() (int, int) { return 0, 0 }
	}
	return &Registrar{
		cfg: cfg, wake: make(chan struct{}, 1),
		aors: make(map[string][]pbx.Contact), dirty: make(map[string]bool),
	}
}

// SetStore keeps registrations in a store; it is called before Load and Run.
func (r *Registrar) SetStore(s pbx.ContactStore) { r.cfg.Store = s }

// Load takes the bindings of an earlier process from the store. If the store
// fails those that it returns all the same are taken, and the rest is read when
// it works again.
func (r *Registrar) Load(ctx context.Context) error {
	if r.cfg.Store == nil {
		return nil
	}
	contacts, err := r.cfg.Store.Load(ctx, r.cfg.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range contacts {
		r.merge(c, err != nil)
	}
	if err != nil {
		return fmt.Errorf("load registrations: %w", err)
	}
	r.loaded = true
	return nil
}

// merge adds a binding of an earlier process, unless its phone or extension has
// said something newer to this one; r.mu is held. A binding that the store may
// not have is written.
func (r *Registrar) merge(c pbx.Contact, dirty bool) {
	now := r.aors[c.Extension]
	changed := r.dirty[c.Extension]
	if changed && len(now) == 0 || slices.ContainsFunc(now, func(o pbx.Contact) bool { return o.ID == c.ID || sameURI(o.URI, c.URI) }) {
		return
	}
	r.put(c.Extension, append(slices.Clone(now), c))
	if dirty || changed {
		r.dirty[c.Extension] = true
	}
}

// Contacts returns the unexpired bindings of an extension, most preferred
// first, the newest first among equals. The caller must not change them.
func (r *Registrar) Contacts(extension string) []pbx.Contact {
	now := r.cfg.Now()
	r.mu.Lock()
	all := r.aors[extension]
	r.mu.Unlock()
	out := make([]pbx.Contact, 0, len(all))
	for _, c := range all {
		if c.Expires.After(now) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b pbx.Contact) int {
		switch {
		case a.Q > b.Q:
			return -1
		case a.Q < b.Q:
			return 1
		}
		return b.Expires.Compare(a.Expires)
	})
	return out
}

// Count returns how many bindings there are.
func (r *Registrar) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// Any reports whether an unexpired binding matches. It looks at all of them.
func (r *Registrar) Any(match func(*pbx.Contact) bool) bool {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, contacts := range r.aors {
		for i := range contacts {
			if contacts[i].Expires.After(now) && match(&contacts[i]) {
				return true
			}
		}
	}
	return false
}

// Gone removes the bindings that match: those of a connection that has ended.
func (r *Registrar) Gone(match func(pbx.Contact) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for extension, contacts := range r.aors {
		r.drop(extension, contacts, match)
	}
	r.signal()
}

// Retain removes the bindings of extensions that no longer exist.
func (r *Registrar) Retain(exists func(extension string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for extension := range r.aors {
		if !exists(extension) {
			r.put(extension, nil)
			r.dirty[extension] = true
		}
	}
	r.signal()
}

// drop removes the contacts that match; r.mu is held.
func (r *Registrar) drop(extension string, contacts []pbx.Contact, match func(pbx.Contact) bool) int {
	if !slices.ContainsFunc(contacts, match) {
		return 0
	}
	left := slices.DeleteFunc(slices.Clone(contacts), match)
	r.put(extension, left)
	r.dirty[extension] = true
	return len(contacts) - len(left)
}

// put replaces an extension's bindings; r.mu is held.
func (r *Registrar) put(extension string, contacts []pbx.Contact) {
	r.total += len(contacts) - len(r.aors[extension])
	r.Counters.Bindings.Store(int64(r.total))
	if len(contacts) == 0 {
		delete(r.aors, extension)
		return
	}
	r.aors[extension] = contacts
}

func (r *Registrar) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// sweepEvery is how often expired bindings are taken out of memory; they
// count as gone from the instant they expire.
const sweepEvery = 5 * time.Second

// Run writes and sweeps until ctx is done; then it writes what is left.
func (r *Registrar) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.wake:
			r.flush(context.WithoutCancel(ctx))
		case <-tick.C:
			r.sweep()
			r.flush(context.WithoutCancel(ctx))
		case <-ctx.Done():
			r.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

func (r *Registrar) sweep() {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for extension, contacts := range r.aors {
		n := r.drop(extension, contacts, func(c pbx.Contact) bool { return !c.Expires.After(now) })
		r.Counters.Expired.Add(uint64(n))
	}
}

// storeTimeout is how long phones wait for a store that hangs.
const storeTimeout = 3 * time.Second

// maxBatch is how many extensions are written in one transaction. A batch that
// a slow disk does not take in time is written again, so it must not grow with
// all that has changed meanwhile.
const maxBatch = 500

// flush writes everything that changed, and gives the answers that waited.
func (r *Registrar) flush(ctx context.Context) {
	unread := r.read(ctx)
	for more := true; more; {
		batch, answers := r.take()
		if len(batch) > 0 && r.cfg.Store != nil {
			limited, cancel := context.WithTimeout(ctx, storeTimeout)
			err := unread // it must be read before: a write replaces what is there
			if err == nil {
				err = r.save(limited, batch)
			}
			cancel()
			if err != nil {
				answers = append(answers, r.failed(batch, err)...)
			}
		}
		r.mu.Lock()
		r.flying = nil
		more = len(r.waiting) > 0
		r.mu.Unlock()
		for _, answer := range answers {
			answer.give()
		}
	}
}

// read reads a store that failed when it was first read.
func (r *Registrar) read(ctx context.Context) error {
	r.mu.Lock()
	loaded := r.loaded
	r.mu.Unlock()
	if loaded {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return r.Load(limited)
}

// take returns the bindings that are written next, and the answers that then
// need not wait any more.
func (r *Registrar) take() (batch map[string][]pbx.Contact, answers []waiting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch = make(map[string][]pbx.Contact)
	for extension := range r.dirty {
		if len(batch) == maxBatch {
			break
		}
		batch[extension] = r.aors[extension]
		delete(r.dirty, extension)
	}
	r.flying = batch
	later := r.waiting[:0]
	for _, w := range r.waiting {
		if r.dirty[w.extension] {
			later = append(later, w)
		} else {
			answers = append(answers, w)
		}
	}
	clear(r.waiting[len(later):])
	r.waiting = later
	return batch, answers
}

func (r *Registrar) save(ctx context.Context, batch map[string][]pbx.Contact) error {
	if b, ok := r.cfg.Store.(batcher); ok {
		return b.SaveAll(ctx, batch)
	}
	for _, extension := range slices.Sorted(maps.Keys(batch)) {
		if err := r.cfg.Store.Save(ctx, extension, batch[extension]); err != nil {
			return err
		}
	}
	return nil
}

// failed keeps what could not be written for the next round, and returns the
// answers that wait for the rest: no phone waits for a store that does not
// write.
func (r *Registrar) failed(batch map[string][]pbx.Contact, err error) []waiting {
	if n := r.Counters.StoreFailures.Add(1); n&(n-1) == 0 {
		r.cfg.Log.Error("registrations are not written and would not survive a restart", "error", err, "times", n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for extension := range batch {
		r.dirty[extension] = true
	}
	answers := r.waiting
	r.waiting = nil
	return answers
}

// sameURI reports whether two contact URIs name the same place: case counts
// in the user part alone.
func sameURI(a, b string) bool {
	ua, ha, oka := strings.Cut(a, "@")
	ub, hb, okb := strings.Cut(b, "@")
	if !oka || !okb {
		return strings.EqualFold(a, b)
	}
	return ua == ub && strings.EqualFold(ha, hb)
}
