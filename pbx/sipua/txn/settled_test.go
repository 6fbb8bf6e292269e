package txn

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = 20 * time.Second

// bench is a layer with a clock of its own and one peer behind a socket.
type bench struct {
	t     *testing.T
	layer *Layer
	now   time.Time
	peer  *net.UDPConn
	flow  *gate.Flow
}

func newBench(t *testing.T, limit int) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC), peer: socket(t)}
	b.layer = New(Places{All: limit}, func() time.Time { return b.now })
	t.Cleanup(b.layer.Close)
	to := b.peer.LocalAddr().(*net.UDPAddr).AddrPort()
	b.flow = gate.UDPFlow(socket(t), to)
	return b
}

func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// request is a message of the peer; n makes its branch.
func (b *bench) request(method string, n int) *gate.Message {
	b.t.Helper()
	m := gate.Scan(fmt.Appendf(nil, "%s sip:101@acme.example SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d;rport\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:102@acme.example>;tag=a\r\nTo: <sip:101@acme.example>;tag=b\r\n"+
		"Call-ID: c\r\nCSeq: 2 %s\r\nContent-Length: 0\r\n\r\n", method, b.flow.Remote, n, method))
	if m == nil || m.Fault != "" {
		b.t.Fatalf("the request is malformed: %+v", m)
	}
	return m
}

// serve begins a transaction and answers it; the user of an INVITE has its ACK.
func (b *bench) serve(m *gate.Message, status int) {
	b.t.Helper()
	req, err := Parse(m, b.flow)
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.layer.Begin(m, b.flow, Ordinary, func(tx *Server) {
		if err := tx.Respond(sip.NewResponseFromRequest(req, status, "Answer", nil)); err != nil {
			b.t.Error(err)
		}
		tx.Settle()
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// hears returns the next datagram at the peer.
func (b *bench) hears() string {
	b.t.Helper()
	buf := make([]byte, 4096)
	if err := b.peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
		b.t.Fatal(err)
	}
	n, err := b.peer.Read(buf)
	if err != nil {
		b.t.Fatalf("nothing came: %v", err)
	}
	return string(buf[:n])
}

func TestASettledRequestIsAnsweredAlike(t *testing.T) {
	b := newBench(t, 10)
	m := b.request("BYE", 1)
	b.serve(m, 200)
	first := b.hears()
	if server, _ := b.layer.Len(); server != 0 {
		t.Errorf("%d transactions are live, want none", server)
	}
	for range 3 {
		if !b.layer.Matches(m) || !b.layer.Receive(m) {
			t.Fatal("a retransmission is taken for a new request")
		}
		if again := b.hears(); again != first {
			t.Errorf("the second answer differs:\n%s\n%s", first, again)
		}
	}
}

func TestASettledInviteAbsorbs(t *testing.T) {
	b := newBench(t, 10)
	m := b.request("INVITE", 1)
	b.serve(m, 200)
	b.hears()
	if !b.layer.Receive(m) {
		t.Error("a retransmitted INVITE is taken for a new one")
	}
	if !b.layer.Matches(b.request("CANCEL", 1)) {
		t.Error("a late CANCEL does not find its INVITE")
	}
	if b.layer.Matches(b.request("ACK", 1)) || b.layer.Receive(b.request("ACK", 1)) {
		t.Error("the ACK of a 2xx is kept from its dialog")
	}
	// Nothing was sent for any of them: the next thing heard is the answer to
	// another request.
	b.serve(b.request("BYE", 2), 200)
	if got := gate.Scan([]byte(b.hears())); got.CSeqMethod != "BYE" {
		t.Errorf("an absorbed request was answered: %s", got.Text())
	}
}

func TestARefusedInviteWaitsForItsACK(t *testing.T) {
	b := newBench(t, 10)
	b.serve(b.request("INVITE", 1), 486)
	b.hears()
	if server, _ := b.layer.Len(); server != 1 {
		t.Errorf("%d transactions are live, want the one that waits for its ACK", server)
	}
	if !b.layer.Receive(b.request("ACK", 1)) {
		t.Error("the ACK does not find its INVITE")
	}
}

func TestSettledRequestsAreForgotten(t *testing.T) {
	b := newBench(t, 10)
	early, late := b.request("BYE", 1), b.request("BYE", 2)
	b.serve(early, 200)
	b.now = b.now.Add(settledFor - time.Second)
	b.serve(late, 200)
	b.now = b.now.Add(settledFor - time.Second)
	if !b.layer.Matches(late) {
		t.Error("forgotten before its time")
	}
	b.now = b.now.Add(settledFor + time.Second)
	if b.layer.Matches(early) || b.layer.Matches(late) {
		t.Error("remembered after twice its time")
	}
}

func TestWithoutRoomTransactionsLiveOn(t *testing.T) {
	b := newBench(t, 10)
	b.layer.settled.limit = 0
	m := b.request("BYE", 1)
	b.serve(m, 200)
	first := b.hears()
	if server, _ := b.layer.Len(); server != 1 {
		t.Errorf("%d transactions are live, want one", server)
	}
	if !b.layer.Receive(m) || b.hears() != first {
		t.Error("the live transaction does not repeat its answer")
	}
}
