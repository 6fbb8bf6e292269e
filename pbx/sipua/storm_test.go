package sipua

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/store"
)

// A storm of phones: so many, behind so many addresses.
const (
	stormPhones  = 10_000
	stormSources = 100
	stormDomain  = "storm.example"
)

// TestTenThousandPhonesRegisterAtOnce: after a power cut they are all new, and
// after a restart all renew what the store kept. Nobody waits in vain: each is
// answered, some with a moment to come back at, and all are registered.
func TestTenThousandPhonesRegisterAtOnce(t *testing.T) {
	doc := &conf.Document{
		Version: conf.Version, Tenant: conf.Tenant{Domain: stormDomain},
		Limits: conf.Limits{Extensions: stormPhones, RegistrationsOperating: stormPhones, RegistrationsMaximum: 2 * stormPhones},
	}
	for i := range stormPhones {
		doc.Extensions = append(doc.Extensions, conf.Extension{Number: strconv.Itoa(100_000 + i), MaxContacts: 2, Password: "secret"})
	}
	db, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "pbx.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	crowds := make([]*crowd, stormSources)
	for i := range crowds {
		crowds[i] = newCrowd(t, i)
	}
	for _, when := range []string{"after a power cut", "after a restart"} {
		a, err := New(Config{
			Document: doc, Advertise: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Bind: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Store: db,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		began := time.Now()
		var wg sync.WaitGroup
		var refused, again atomic.Int64
		for _, c := range crowds {
			wg.Go(func() { c.register(t, a.SIPAddr("UDP"), &refused, &again) })
		}
		wg.Wait()
		t.Logf("%s: %d phones in %s; %d answers said when to come back, %d datagrams were sent again", when, a.Registrar().Count(),
			time.Since(began).Round(time.Millisecond), refused.Load(), again.Load())
		if n := a.Registrar().Count(); n != stormPhones {
			t.Errorf("%s %d phones are registered", when, n)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// crowd are the phones behind one address.
type crowd struct {
	conn   *net.UDPConn
	first  int
	seq    uint32
	phones map[string]*hopeful
}

// hopeful is a phone that is not registered yet.
type hopeful struct {
	text string    // its last request
	seq  uint32    // and its number
	due  time.Time // when it is sent again
	wait time.Duration
}

func newCrowd(t *testing.T, n int) *crowd {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n+1))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	return &crowd{conn: conn, first: 100_000 + n*stormPhones/stormSources}
}

// request is what a phone sends; proof is empty or its Authorization.
func (c *crowd) request(user, proof string) (text string, seq uint32) {
	c.seq++
	at := c.conn.LocalAddr().String()
	return fmt.Sprintf("REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s-%d;rport\r\nFrom: <sip:%s@%s>;tag=t\r\nTo: <sip:%s@%s>\r\n"+
		"Call-ID: %s\r\nCSeq: %d REGISTER\r\nMax-Forwards: 70\r\nContact: <sip:%s@%s>\r\nExpires: 3600\r\n%sContent-Length: 0\r\n\r\n",
		stormDomain, at, user, c.seq, user, stormDomain, user, stormDomain, user, c.seq, user, at, proof), c.seq
}

// ask sends the next request of a phone.
func (c *crowd) ask(to netip.AddrPort, user, proof string) {
	p := c.phones[user]
	p.text, p.seq = c.request(user, proof)
	p.wait = 0
	c.send(to, p)
}

// timerT1 is when a phone sends again what was not answered (RFC 3261 §17.1.2.2).
const timerT1 = 500 * time.Millisecond

// register lets all phones register at once and returns when all are.
func (c *crowd) register(t *testing.T, to netip.AddrPort, refused, again *atomic.Int64) {
	c.phones = make(map[string]*hopeful)
	for i := range stormPhones / stormSources {
		user := strconv.Itoa(c.first + i)
		c.phones[user] = &hopeful{}
		c.ask(to, user, "")
	}
	limit := time.Now().Add(2 * time.Minute)
	buf := make([]byte, 4096)
	for len(c.phones) > 0 {
		now := time.Now()
		if now.After(limit) {
			t.Errorf("%d phones behind one address are not registered", len(c.phones))
			return
		}
		next := now.Add(timerT1)
		for _, p := range c.phones {
			if !now.Before(p.due) {
				again.Add(1)
				c.send(to, p)
			}
			if p.due.Before(next) {
				next = p.due
			}
		}
		if err := c.conn.SetReadDeadline(next); err != nil {
			t.Error(err)
			return
		}
		n, _, err := c.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			continue // the moment has come to send again
		}
		if m := gate.Scan(buf[:n]); m != nil {
			c.take(t, to, m, refused)
		}
	}
}

// send sends a phone's request; each time that nothing comes it waits longer.
func (c *crowd) send(to netip.AddrPort, p *hopeful) {
	p.wait = min(4*time.Second, max(timerT1, 2*p.wait))
	p.due = time.Now().Add(p.wait)
	_, _ = c.conn.WriteToUDPAddrPort([]byte(p.text), to) // a full queue drops it
}

// take goes by one answer.
func (c *crowd) take(t *testing.T, to netip.AddrPort, m *gate.Message, refused *atomic.Int64) {
	p := c.phones[m.CallID]
	if p == nil || m.CSeq != p.seq {
		return // the answer to what was sent twice, or before
	}
	switch m.Status {
	case 200:
		delete(c.phones, m.CallID)
	case 401:
		for _, v := range m.Values("www-authenticate") {
			ch, ok := digest.ParseChallenge(v)
			if !ok || ch.Algorithm != "MD5" {
				continue
			}
			proof := "Authorization: " + digest.Answer(ch, m.CallID, "secret", "REGISTER", "sip:"+stormDomain, "c", 1) + "\r\n"
			c.ask(to, m.CallID, proof)
		}
	case 503:
		after, err := strconv.Atoi(m.Get("retry-after"))
		if err != nil || after < 1 || after > 90 {
			t.Errorf("a phone is told to come back after %q", m.Get("retry-after"))
		}
		refused.Add(1)
		p.text, p.seq = c.request(m.CallID, "")
		p.wait, p.due = 0, time.Now().Add(time.Duration(after)*time.Second)
	default:
		t.Errorf("a phone is answered %d", m.Status)
	}
}
