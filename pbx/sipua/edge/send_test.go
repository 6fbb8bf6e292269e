package edge_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// names is a resolver with fixed answers.
type names struct {
	srv   map[string][]*net.SRV
	hosts map[string][]string
}

func (n *names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if r := n.srv["_"+service+"._"+proto+"."+name]; r != nil {
		return name, r, nil
	}
	return "", nil, errors.New("no such name")
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, a := range n.hosts[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	if out == nil {
		return nil, errors.New("no such name")
	}
	return out, nil
}

func TestResolve(t *testing.T) {
	b := newBed(t, func(c *edge.Config) {
		c.Resolver = &names{
			srv: map[string][]*net.SRV{
				"_sip._udp.carrier.example": {
					{Target: "two.example.", Port: 5072, Priority: 20, Weight: 1},
					{Target: "one.example.", Port: 5071, Priority: 10, Weight: 0},
					{Target: "gone.example.", Port: 5073, Priority: 5, Weight: 9},
				},
				"_sip._tcp.stream.example":  {{Target: "one.example.", Port: 5074}},
				"_sips._tcp.secure.example": {{Target: "one.example.", Port: 5091}},
			},
			hosts: map[string][]string{
				"one.example": {"2001:db8::1", "192.0.2.1"}, "two.example": {"192.0.2.2"}, "carrier.example": {"192.0.2.9"},
			},
		}
	})
	for _, row := range []struct{ uri, transport, want string }{
		{"sip:192.0.2.7", "", "UDP 192.0.2.7:5060"},
		{"sip:192.0.2.7:5090;transport=tcp", "UDP", "TCP 192.0.2.7:5090"},
		{"sip:x@[2001:db8::7]:5061", "TCP", "TCP [2001:db8::7]:5061"},
		{"sip:carrier.example", "", "UDP 192.0.2.1:5071, UDP [2001:db8::1]:5071, UDP 192.0.2.2:5072"},
		{"sip:carrier.example:5080", "", "UDP 192.0.2.9:5080"},
		{"sip:carrier.example", "TCP", "TCP 192.0.2.9:5060"},
		{"sip:stream.example", "", "TCP 192.0.2.1:5074, TCP [2001:db8::1]:5074"},
		{"sip:nowhere.example", "", ""},
		{"sips:192.0.2.7", "", "TLS 192.0.2.7:5061"},
		{"sip:secure.example;transport=tls", "UDP", "TLS 192.0.2.1:5091, TLS [2001:db8::1]:5091"},
		{"sip:carrier.example;transport=tls", "", "TLS 192.0.2.9:5061"},
		{"sip:192.0.2.7;transport=wss", "", ""},
		{"sip:192.0.2.7;transport=sctp", "", ""},
	} {
		var u sip.Uri
		if err := sip.ParseUri(row.uri, &u); err != nil {
			t.Fatal(err)
		}
		hops, err := b.Resolve(t.Context(), &u, row.transport)
		var got []string
		for _, h := range hops {
			got = append(got, h.Transport+" "+h.Addr.String())
		}
		if strings.Join(got, ", ") != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%s %s: %v %v, want %q", row.uri, row.transport, got, err, row.want)
		}
	}
}

// carrier answers requests on a socket of its own.
func carrier(t *testing.T, answer func(m *gate.Message) *gate.Reply) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 5)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if m := gate.Scan(buf[:n]); m != nil && m.IsRequest() {
				if r := answer(m); r != nil {
					_, _ = conn.WriteToUDPAddrPort(r.Bytes(m, from), from)
				}
			}
		}
	}()
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

func TestTrunkRegister(t *testing.T) {
	for _, row := range []struct {
		name, realm string
		status      int
		asked       int
	}{
		{"our trunk's realm", "carrier.example", 200, 2},
		{"a realm of somebody else", "evil.example", 401, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBed(t, nil)
			asked := make(chan string, 10)
			addr := carrier(t, func(m *gate.Message) *gate.Reply {
				proof := m.Get("authorization")
				asked <- proof
				if proof == "" {
					return &gate.Reply{Status: 401, Reason: "Unauthorized", Headers: []gate.Header{
						{Name: "WWW-Authenticate", Value: `Digest realm="` + row.realm + `", nonce="n", qop="auth"`},
					}}
				}
				return &gate.Reply{Status: 200, Reason: "OK", Headers: []gate.Header{
					{Name: "Contact", Value: m.Get("contact") + ";expires=120"},
				}}
			})
			host := conf.TrunkHost{Host: addr.Addr().String(), Port: int(addr.Port()), Transport: "UDP"}
			res, err := b.Register(t.Context(), trunk.RegisterRequest{
				Trunk: conf.Trunk{Username: "u", Password: "p"}, Host: host, Expires: time.Hour, CallID: "c", CSeq: 5,
				PermitRealm: func(realm string) bool { return realm == "carrier.example" },
			})
			if err != nil || res.Status != row.status || len(asked) != row.asked {
				t.Fatalf("%+v %v after %d requests", res, err, len(asked))
			}
			if row.status == 200 && (res.Expires != 2*time.Minute || res.CSeq != 6) {
				t.Errorf("result %+v", res)
			}
			if err := b.Options(t.Context(), conf.Trunk{}, host); err != nil {
				t.Errorf("OPTIONS: %v", err)
			}
		})
	}
}

func TestSilentTrunk(t *testing.T) {
	b := newBed(t, nil)
	addr := carrier(t, func(*gate.Message) *gate.Reply { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	host := conf.TrunkHost{Host: addr.Addr().String(), Port: int(addr.Port()), Transport: "UDP"}
	if err := b.Options(ctx, conf.Trunk{}, host); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// TestLargeDatagram sends more than sipgo itself would put into a datagram,
// both ways.
func TestLargeDatagram(t *testing.T) {
	b := newBed(t, nil)
	got := make(chan int, 1)
	addr := carrier(t, func(m *gate.Message) *gate.Reply {
		got <- len(m.Text())
		return &gate.Reply{Status: 200, Reason: "OK", Body: strings.Repeat("b", 3000)}
	})
	req := sip.NewRequest(sip.INFO, sip.Uri{Scheme: "sip", Host: "127.0.0.5"})
	for name, value := range map[string]string{"From": "<sip:a@b>;tag=1", "To": "<sip:c@d>;tag=2", "Call-ID": "x", "CSeq": "1 INFO"} {
		h, err := sip.DefaultHeadersParser()[strings.ToLower(name)]([]byte(name), value)
		if err != nil {
			t.Fatal(err)
		}
		req.AppendHeader(h)
	}
	req.SetBody([]byte(strings.Repeat("a", 3000)))
	final := make(chan *sip.Response, 1)
	tx, err := b.Transact(t.Context(), req, edge.Hop{Transport: "UDP", Addr: addr}, func(res *sip.Response, _ error, _ bool) { final <- res })
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Terminate()
	select {
	case res := <-final:
		if len(res.Body()) != 3000 || <-got < 3000 {
			t.Errorf("a response of %d bytes", len(res.Body()))
		}
	case <-time.After(patience):
		t.Fatal("no response")
	}
}

func TestNoWay(t *testing.T) {
	b := newBed(t, nil)
	req := sip.NewRequest(sip.OPTIONS, sip.Uri{Scheme: "sip", Host: "127.0.0.5"})
	for _, to := range []edge.Hop{
		{},
		{Transport: "SCTP", Addr: netip.MustParseAddrPort("127.0.0.5:5060")},
		{Transport: "TCP", Addr: netip.MustParseAddrPort("127.0.0.5:1")},
	} {
		if _, err := b.Transact(t.Context(), req, to, nil); err == nil {
			t.Errorf("%+v: no error", to)
		}
	}
}

// TestTheSecondAddressOfAHost: a carrier whose name leads to a dead address
// first is alive.
func TestTheSecondAddressOfAHost(t *testing.T) {
	other := newBed(t, nil)
	b := newBed(t, func(c *edge.Config) {
		c.Resolver = &names{hosts: map[string][]string{"pair.example": {"127.0.0.6", "127.0.0.1"}, "dead.example": {"127.0.0.6", "127.0.0.7"}}}
	})
	host := conf.TrunkHost{Host: "pair.example", Port: int(other.addr.Port()), Transport: "TCP"}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Options(ctx, conf.Trunk{}, host); err != nil {
		t.Errorf("OPTIONS: %v", err)
	}
	r := trunk.RegisterRequest{
		Trunk: conf.Trunk{Username: "101", Password: "secret-101"}, Host: host, Expires: time.Hour, CallID: "c", CSeq: 5,
		PermitRealm: func(realm string) bool { return realm == domain },
	}
	// 404: the other side is not the registrar of that name.
	if res, err := b.Register(ctx, r); err != nil || res.Status != 404 || res.CSeq != 7 {
		t.Errorf("REGISTER: %+v %v", res, err)
	}
	host.Host = "dead.example"
	if err := b.Options(ctx, conf.Trunk{}, host); err == nil {
		t.Error("a dead host is alive")
	}
}
