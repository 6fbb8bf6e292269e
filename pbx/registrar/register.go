package registrar

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// Binding is one Contact of a REGISTER.
type Binding struct {
	URI        string
	Expires    time.Duration // negative: not said
	Q          float32
	InstanceID string
	RegID      int
}

// Request is a REGISTER whose sender is known.
type Request struct {
	Extension string
	// Bindings are the Contacts; none asks for the list. All stands for "*",
	// which removes every binding.
	Bindings []Binding
	All      bool
	// Expires is the header; negative: not there.
	Expires     time.Duration
	CallID      string
	CSeq        uint32
	Source      netip.AddrPort
	Transport   string
	Path        []string
	UserAgent   string
	MaxContacts int // 0 = no limit
}

// Result is the answer to a REGISTER.
type Result struct {
	Status     int
	Reason     string
	Contacts   []pbx.Contact // all bindings of the extension after it
	MinExpires time.Duration // with 423
}

// Register carries out a REGISTER and calls done with the answer: at once if
// nothing waits to be written, else from Run when it is on disk. Refused requests
// change nothing (RFC 3261 §10.3 step 7).
func (r *Registrar) Register(q *Request, done func(Result)) {
	r.mu.Lock()
	res, changed := r.register(q, r.cfg.Now())
	later := false
	if _, flying := r.flying[q.Extension]; r.cfg.Store != nil && (changed || flying || r.dirty[q.Extension]) {
		if len(r.waiting) >= r.cfg.Waiting {
			// The binding stays; the phone asks again and finds it there.
			res = Result{Status: 503, Reason: "Service Unavailable"}
		} else {
			r.waiting = append(r.waiting, waiting{q.Extension, func() { done(res) }})
			later = true
		}
		r.signal()
	}
	r.mu.Unlock()
	if res.Status == 200 {
		r.Counters.Accepted.Add(1)
	} else {
		r.Counters.Refused.Add(1)
	}
	if !later {
		done(res)
	}
}

// Renews reports whether a REGISTER makes no new binding: it renews those that
// are there, removes some or all, or asks for them.
func (r *Registrar) Renews(q *Request) bool {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range q.Bindings {
		b := &q.Bindings[i]
		gone := b.Expires == 0 || b.Expires < 0 && q.Expires == 0
		if !gone && !slices.ContainsFunc(r.aors[q.Extension], func(c pbx.Contact) bool { return c.Expires.After(now) && matches(&c, b) }) {
			return false
		}
	}
	return true
}

// Waiting returns how many answers wait for the store.
func (r *Registrar) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

// register computes the new bindings; r.mu is held.
func (r *Registrar) register(q *Request, now time.Time) (res Result, changed bool) {
	old := slices.DeleteFunc(slices.Clone(r.aors[q.Extension]), func(c pbx.Contact) bool { return !c.Expires.After(now) })
	next := old
	if q.All {
		if len(q.Bindings) > 0 || q.Expires != 0 {
			return Result{Status: 400, Reason: `Bad Request ("*" needs Expires: 0 and no other Contact)`}, false
		}
		next = nil
		for _, c := range old {
			if c.CallID == q.CallID && q.CSeq < c.CSeq {
				return outOfOrder(), false
			}
		}
	}
	for i := range q.Bindings {
		var refused *Result
		if next, refused = r.bind(q, &q.Bindings[i], next, now); refused != nil {
			return *refused, false
		}
	}
	if refused := r.limits(q, len(old), len(next)); refused != nil {
		return *refused, false
	}
	if changed = !slices.EqualFunc(old, next, sameContact); changed {
		r.put(q.Extension, next)
		r.dirty[q.Extension] = true
	}
	return Result{Status: 200, Reason: "OK", Contacts: next}, changed
}

func outOfOrder() Result { return Result{Status: 500, Reason: "CSeq Out Of Order"} }

// bind applies one Contact to a copy of the list (RFC 3261 §10.3 step 7).
func (r *Registrar) bind(q *Request, b *Binding, list []pbx.Contact, now time.Time) ([]pbx.Contact, *Result) {
	life, refused := r.lifetime(q, b)
	if refused != nil {
		return nil, refused
	}
	i := slices.IndexFunc(list, func(c pbx.Contact) bool { return matches(&c, b) })
	if i >= 0 && list[i].CallID == q.CallID {
		switch {
		case q.CSeq < list[i].CSeq:
			no := outOfOrder()
			return nil, &no
		case q.CSeq == list[i].CSeq:
			return list, nil // a retransmission: the same answer again
		}
	}
	list = slices.Clone(list)
	if i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if life == 0 {
		return list, nil
	}
	return append(list, pbx.Contact{
		ID: bindingID(q.Extension, b), Extension: q.Extension, URI: b.URI,
		Source: q.Source, Transport: q.Transport, Path: q.Path,
		InstanceID: b.InstanceID, RegID: b.RegID, UserAgent: q.UserAgent,
		CallID: q.CallID, CSeq: q.CSeq, Q: b.Q, Expires: now.Add(life),
	}), nil
}

// lifetime is how long the binding shall live (RFC 3261 §10.2.1.1, §10.3).
func (r *Registrar) lifetime(q *Request, b *Binding) (time.Duration, *Result) {
	d := b.Expires
	if d < 0 {
		d = q.Expires
	}
	if d < 0 {
		d = r.cfg.DefaultExpires
	}
	if d > 0 && d < r.cfg.MinExpires {
		return 0, &Result{Status: 423, Reason: "Interval Too Brief", MinExpires: r.cfg.MinExpires}
	}
	return min(d, r.cfg.MaxExpires), nil
}

// limits refuses what the extension or the tenant has no room for; r.mu is
// held.
func (r *Registrar) limits(q *Request, before, after int) *Result {
	if after <= before {
		return nil
	}
	if q.MaxContacts > 0 && after > q.MaxContacts {
		return &Result{Status: 403, Reason: "Too Many Phones For This Extension"}
	}
	operating, maximum := r.cfg.Limits()
	total := r.total - len(r.aors[q.Extension]) + after
	if maximum > 0 && total > maximum {
		return &Result{Status: 403, Reason: "Registration Limit Of This Tenant Reached"}
	}
	over := operating > 0 && total > operating
	if over {
		r.Counters.OverOperating.Add(1)
	}
	if over && !r.warned {
		r.cfg.Log.Warn("more registrations than the tenant's class is meant for", "registrations", total, "operating", operating, "maximum", maximum)
	}
	r.warned = over
	return nil
}

// matches reports whether a Contact names an existing binding: a phone that
// tells its instance is the same one whatever its URI is (RFC 5626 §6), others
// are known by their URI.
func matches(c *pbx.Contact, b *Binding) bool {
	if b.InstanceID != "" || c.InstanceID != "" {
		return c.InstanceID == b.InstanceID && c.RegID == b.RegID
	}
	return sameURI(c.URI, b.URI)
}

func sameContact(a, b pbx.Contact) bool {
	return a.ID == b.ID && a.Expires.Equal(b.Expires) && a.CSeq == b.CSeq && a.CallID == b.CallID
}

// bindingID is stable over refreshes.
func bindingID(extension string, b *Binding) string {
	name := b.URI
	if b.InstanceID != "" {
		name = b.InstanceID + "|" + strconv.Itoa(b.RegID)
	}
	h := sha256.Sum256([]byte(extension + "|" + name))
	return hex.EncodeToString(h[:12])
}
