package edge

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/registrar"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// maxBindings bounds the Contacts of one REGISTER, maxPath its Path headers.
const (
	maxBindings = 20
	maxPath     = 8
)

// register answers a REGISTER whose sender is proven (RFC 3261 §10.3).
func (e *Edge) register(ext *conf.Extension, m *gate.Message, f *gate.Flow) {
	to, ok := gate.ParseURI(m.To.URI)
	if !ok || to.User != ext.Number {
		e.answer(m, f, 403, "Forbidden (To is not the authenticated extension)")
		return
	}
	if e.elsewhere(to.Host) {
		e.answer(m, f, 404, "Not Found (this is not the registrar of that domain)")
		return
	}
	q, fault := readRegister(ext, m)
	if fault != "" {
		e.gate.Counters.Malformed.Add(1)
		e.answer(m, f, 400, "Bad Request ("+fault+")")
		return
	}
	q.Source, q.Transport = f.Remote, f.Transport
	if !e.room(e.cfg.Registrar.Renews(q)) {
		e.refuse(m, f)
		return
	}
	answer := func(res registrar.Result) {
		if res.Status == 503 {
			e.refuse(m, f)
			return
		}
		f.Answer(m, &gate.Reply{
			Status: res.Status, Reason: res.Reason, Headers: e.registered(q, &res), Tag: e.gate.Tag(m),
		})
	}
	e.cfg.Registrar.Register(q, func(res registrar.Result) {
		if res.Status == 403 && e.forget(ext.Number) {
			e.cfg.Registrar.Register(q, answer)
			return
		}
		answer(res)
	})
}

// forget removes an extension's bindings whose connection has ended and reports whether there were any. They are kept as long as there is room, since
// the phone may still listen; but one that starts anew, each time from another
// port, must not shut itself out.
func (e *Edge) forget(extension string) bool {
	dead := func(c pbx.Contact) bool {
		return c.Extension == extension && c.Transport != "UDP" && e.gate.Open(c.Transport, c.Source) == nil
	}
	if !slices.ContainsFunc(e.cfg.Registrar.Contacts(extension), dead) {
		return false
	}
	e.cfg.Registrar.Gone(dead)
	return true
}

// elsewhere reports whether a host is the name of somebody else's domain (RFC
// 3261 §10.3). Phones may know us by any of our addresses, also by one that a
// NAT gives us.
func (e *Edge) elsewhere(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil && !strings.EqualFold(host, e.look().doc.Tenant.Domain)
}

// readRegister reads what a REGISTER asks for.
func readRegister(ext *conf.Extension, m *gate.Message) (*registrar.Request, string) {
	q := &registrar.Request{
		Extension: ext.Number, Expires: seconds(m.Get("expires")), CallID: m.CallID, CSeq: m.CSeq,
		UserAgent: clean(m.Get("user-agent")), MaxContacts: ext.MaxContacts, Path: m.List("path"),
	}
	contacts := m.List("contact")
	if len(contacts) > maxBindings || len(q.Path) > maxPath {
		return nil, "too many Contact or Path values"
	}
	for _, text := range contacts {
		if text == "*" {
			q.All = true
			continue
		}
		b, ok := readContact(text)
		if !ok {
			return nil, "a Contact is malformed"
		}
		q.Bindings = append(q.Bindings, b)
	}
	return q, ""
}

func readContact(text string) (registrar.Binding, bool) {
	a, ok := gate.ParseAddr(text)
	if !ok {
		return registrar.Binding{}, false
	}
	// Headers in a Contact URI would become headers of our requests.
	uri, _, _ := strings.Cut(a.URI, "?")
	if u, ok := gate.ParseURI(uri); !ok || u.Scheme == "tel" {
		return registrar.Binding{}, false
	}
	b := registrar.Binding{URI: uri, Expires: -1, Q: 1}
	if v, ok := a.Params.Get("expires"); ok {
		b.Expires = seconds(v)
	}
	if v, ok := a.Params.Get("q"); ok {
		q, err := strconv.ParseFloat(v, 32)
		if err != nil || !(q >= 0 && q <= 1) {
			return b, false
		}
		b.Q = float32(q)
	}
	b.InstanceID, _ = a.Params.Get("+sip.instance")
	if v, ok := a.Params.Get("reg-id"); ok && b.InstanceID != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil || n == 0 {
			return b, false
		}
		b.RegID = int(n)
	}
	return b, len(b.URI) <= 512 && len(b.InstanceID) <= 256
}

// seconds reads delta-seconds; a malformed value counts as not there (RFC
// 3261 §10.2.1.1), an overlarge one as very long.
func seconds(s string) time.Duration {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return -1
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		n = 1<<31 - 1
	}
	return time.Duration(n) * time.Second
}

// registered makes the headers of the answer.
func (e *Edge) registered(q *registrar.Request, res *registrar.Result) []gate.Header {
	var out []gate.Header
	if res.MinExpires > 0 {
		out = append(out, gate.Header{Name: "Min-Expires", Value: strconv.Itoa(int(res.MinExpires / time.Second))})
	}
	if res.Status != 200 {
		return out
	}
	now := e.cfg.Now()
	flows := false
	for i := range res.Contacts {
		c := &res.Contacts[i]
		out = append(out, gate.Header{Name: "Contact", Value: contactValue(c, now)})
		flows = flows || (c.RegID > 0 && c.CallID == q.CallID)
	}
	for _, p := range q.Path {
		out = append(out, gate.Header{Name: "Path", Value: p})
	}
	if flows {
		out = append(out, gate.Header{Name: "Require", Value: "outbound"}, gate.Header{Name: "Flow-Timer", Value: "120"})
	}
	return append(out, gate.Header{Name: "Supported", Value: "path, outbound"})
}

func contactValue(c *pbx.Contact, now time.Time) string {
	left := max(0, int((c.Expires.Sub(now)+time.Second-1)/time.Second))
	v := "<" + c.URI + ">;expires=" + strconv.Itoa(left)
	if c.Q < 1 {
		v += ";q=" + strconv.FormatFloat(float64(c.Q), 'f', -1, 32)
	}
	if c.InstanceID != "" {
		v += `;+sip.instance="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(c.InstanceID) + `"`
	}
	if c.RegID > 0 {
		v += ";reg-id=" + strconv.Itoa(c.RegID)
	}
	return v
}
