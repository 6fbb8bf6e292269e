package legs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/message"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// The addresses of the tests.
var (
	ourAddr   = netip.MustParseAddrPort("192.0.2.1:5060")
	phoneAddr = netip.MustParseAddrPort("198.51.100.7:5062")
	hostA     = netip.MustParseAddrPort("203.0.113.10:5060")
	hostB     = netip.MustParseAddrPort("203.0.113.11:5060")
)

// memnet is a network in memory: it implements sender with sipgo's transactions,
// and plays the peer by text messages. Everything runs in a synctest bubble,
// so timers take no time.
type memnet struct {
	t      *testing.T
	legs   *Table
	out    chan sent
	events chan string
	ports  []*fakePort
	trunks *trunk.Set
	calls  *receiver

	mu     sync.Mutex
	server map[string]*serverTx
	client map[string]*sip.ClientTx
	ids    int
	id     edge.Identity
	fail   map[netip.AddrPort]error
	// noPorts makes Allocate fail.
	noPorts bool
	doc     *conf.Document // in force
	taken   bool           // Restore fails
	own     netip.Addr     // our address, if it is another than ourAddr
}

// sent is one message of ours.
type sent struct {
	sip.Message
	to edge.Hop
}

func (s sent) request() *sip.Request   { r, _ := s.Message.(*sip.Request); return r }
func (s sent) response() *sip.Response { r, _ := s.Message.(*sip.Response); return r }

func inBubble(t *testing.T, f func(w *memnet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newMemnet(t)
		defer w.close()
		f(w)
	})
}

// close ends everything, so that a goroutine that is left is found.
func (w *memnet) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.legs.Close(ctx); err != nil {
		w.t.Errorf("close: %v", err)
	}
	if n := w.legs.Count(); n != 0 {
		w.t.Errorf("%d legs are left", n)
	}
	w.trunks.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tx := range w.server {
		defer tx.Terminate()
	}
	for _, tx := range w.client {
		defer tx.Terminate()
	}
}

func testDocument() *conf.Document {
	return &conf.Document{
		Tenant:    conf.Tenant{Domain: "acme.example.com"},
		Media:     conf.Media{Codecs: []string{"PCMA", "PCMU"}},
		Numbering: conf.Numbering{Emergency: []string{"119"}, OutsidePrefix: "9"},
		Extensions: []conf.Extension{
			{Number: "101", DisplayName: "Kim Haneul"},
		},
		Trunks: []conf.Trunk{{
			Name: "carrier", Register: false, Username: "0255501", Password: "trunk-secret", Realm: "carrier.example",
			Hosts: []conf.TrunkHost{
				{Host: "203.0.113.10", Port: 5060, Transport: "UDP"}, {Host: "203.0.113.11", Port: 5060, Transport: "UDP"},
			},
			CallerID: conf.CallerID{Default: "025550100", Permitted: []string{"0255501*"}},
			Codecs:   []string{"PCMU", "PCMA"}, Identity: "PAssertedIdentity",
		}},
	}
}

// silentTransport answers OPTIONS at once and looks names up as literals.
type silentTransport struct{}

func (silentTransport) Register(context.Context, trunk.RegisterRequest) (trunk.RegisterResult, error) {
	return trunk.RegisterResult{Status: 200}, nil
}
func (silentTransport) Options(context.Context, conf.Trunk, conf.TrunkHost) error { return nil }
func (silentTransport) Lookup(_ context.Context, h conf.TrunkHost) ([]netip.AddrPort, error) {
	a, err := netip.ParseAddr(h.Host)
	return []netip.AddrPort{netip.AddrPortFrom(a, 5060)}, err
}

func newMemnet(t *testing.T) *memnet {
	t.Helper()
	w := &memnet{
		t: t, out: make(chan sent, 512), events: make(chan string, 512),
		server: map[string]*serverTx{}, client: map[string]*sip.ClientTx{},
		id:   edge.Identity{Extension: "101", Source: phoneAddr, Transport: "UDP"},
		fail: map[netip.AddrPort]error{},
	}
	w.trunks = trunk.New(trunk.Config{Transport: silentTransport{}})
	doc := testDocument()
	w.doc = doc
	if _, err := w.trunks.Apply(doc.Trunks); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	w.calls = &receiver{w: w}
	w.legs = New(Config{
		Sender: w, Media: w, Trunks: w.trunks, Log: slog.New(slog.DiscardHandler),
		Receiver: func() leg.Receiver { return w.calls },
		Document: func() *conf.Document { return doc }, Fingerprint: ownPrint,
		NewID: func() string {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ids++
			return fmt.Sprintf("id%d", w.ids)
		},
		Pick: func(int) int { return 0 },
	})
	return w
}

// receiver takes every call, unless it has a refusal.
type receiver struct {
	w       *memnet
	refusal *leg.Refusal
	in      leg.Incoming
}

func (r *receiver) Receive(_ context.Context, in leg.Incoming) (leg.Listener, *leg.Refusal) {
	r.in = in
	if r.refusal != nil {
		return nil, r.refusal
	}
	r.w.events <- "incoming " + in.From.Number + " for " + in.Dialled + " " + in.Codec
	return listener{r.w}, nil
}

// listener writes what it is told as text.
type listener struct{ w *memnet }

func (l listener) LegRinging(pbx.LegID)  { l.w.events <- "ringing" }
func (l listener) LegProgress(pbx.LegID) { l.w.events <- "progress" }
func (l listener) LegAnswered(pbx.LegID) { l.w.events <- "answered" }
func (l listener) LegHeld(_ pbx.LegID, held bool) {
	l.w.events <- fmt.Sprintf("held %v", held)
}
func (l listener) LegDigit(_ pbx.LegID, d rune, _ bool) { l.w.events <- "digit " + string(d) }
func (l listener) LegSilent(pbx.LegID)                  { l.w.events <- "silent" }
func (l listener) LegPlayed(pbx.LegID)                  { l.w.events <- "played" }
func (l listener) LegMoved(_ pbx.LegID, n string)       { l.w.events <- "moved " + n }
func (l listener) LegOver(_ pbx.LegID, c pbx.Cause, _ pbx.Quality) {
	l.w.events <- strings.TrimSpace(fmt.Sprintf("over %d q%d %s %v", c.SIP, c.Q850, c.Text, c.Elsewhere))
}

// fakePort records the streams.
type fakePort struct {
	media.Port
	w       *memnet
	n       media.Notices
	local   netip.AddrPort
	mu      sync.Mutex
	streams []media.Stream
	closed  bool
	takes   bool // takes RFC 4733 digits
	digits  string
}

// Allocate implements media.Allocator.
func (w *memnet) Allocate(_ netip.Addr, n media.Notices) (media.Port, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noPorts {
		return nil, errors.New("no ports left")
	}
	p := &fakePort{w: w, n: n, local: netip.AddrPortFrom(ourAddr.Addr(), uint16(40000+4*len(w.ports)))}
	w.ports = append(w.ports, p)
	return p, nil
}

// Restore implements media.Allocator.
func (w *memnet) Restore(s media.PortState, n media.Notices) (media.Port, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken {
		return nil, errTaken
	}
	p := &fakePort{w: w, n: n, local: s.Local}
	w.ports = append(w.ports, p)
	return p, nil
}

// Room implements media.Allocator.
func (*memnet) Room() media.Room { return nil }

func (p *fakePort) Local() netip.AddrPort { return p.local }
func (p *fakePort) Apply(s media.Stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams = append(p.streams, s)
}

func (p *fakePort) SendDigit(d rune, _ time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.digits += string(d)
	return p.takes
}
func (p *fakePort) Tap(media.Tap)         {}
func (p *fakePort) Hold()                 {}
func (p *fakePort) Save() media.PortState { return media.PortState{Local: p.local} }
func (p *fakePort) Quality() pbx.Quality  { return pbx.Quality{} }
func (p *fakePort) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// isClosed reports whether the leg closed its port, once all is at rest.
func (p *fakePort) isClosed() bool {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *fakePort) last() media.Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.streams) == 0 {
		return media.Stream{}
	}
	return p.streams[len(p.streams)-1]
}

// line is one flow in sipgo's eyes.
type memline struct {
	w  *memnet
	to edge.Hop
}

func (c *memline) LocalAddr() net.Addr    { return net.UDPAddrFromAddrPort(ourAddr) }
func (c *memline) Ref(int) int            { return 1 }
func (c *memline) TryClose() (int, error) { return 1, nil }
func (c *memline) Close() error           { return nil }
func (c *memline) WriteMsg(m sip.Message) error {
	return c.w.record(m, c.to)
}

func (w *memnet) record(m sip.Message, to edge.Hop) error {
	w.mu.Lock()
	err := w.fail[to.Addr]
	w.mu.Unlock()
	if err != nil {
		return err
	}
	again, err := sip.ParseMessage([]byte(m.String()))
	if err != nil {
		w.t.Errorf("we sent what cannot be parsed: %v\n%s", err, m.String())
		return err
	}
	w.out <- sent{again, to}
	return nil
}

var quiet = slog.New(slog.DiscardHandler)

func (w *memnet) Repeat(text string, to edge.Hop) error {
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		return err
	}
	return w.record(m, to)
}

func (w *memnet) Transact(_ context.Context, req *sip.Request, to edge.Hop, tell txn.Tell) (edge.Transaction, error) {
	w.mu.Lock()
	w.ids++
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: to.Transport, Host: ourAddr.Addr().String(), Port: 5060, Params: sip.NewParams()}
	via.Params.Add("branch", fmt.Sprintf("z9hG4bKours%d", w.ids))
	w.mu.Unlock()
	req.PrependHeader(via)
	req.SetTransport(to.Transport)
	if req.Body() == nil {
		req.SetBody(nil)
	}
	key, err := sip.ClientTxKeyMake(req)
	if err != nil {
		return nil, err
	}
	tx := sip.NewClientTx(key, req, &memline{w, to}, quiet)
	w.mu.Lock()
	w.client[key] = tx
	w.mu.Unlock()
	if err := tx.Init(); err != nil {
		tx.Terminate()
		return nil, err
	}
	tx.OnRetransmission(func(res *sip.Response) { tell(res, nil, true) })
	go func() {
		for {
			select {
			case res := <-tx.Responses():
				if tell(res, nil, false); res.StatusCode >= 200 {
					return
				}
			case <-tx.Done():
				tell(nil, sip.ErrTransactionTerminated, false)
				return
			}
		}
	}()
	return tx, nil
}

func (w *memnet) Cancel(invite *sip.Request, to edge.Hop, reason string) error {
	c := sip.NewRequest(sip.CANCEL, invite.Recipient)
	c.AppendHeader(sip.HeaderClone(invite.Via()))
	c.AppendHeader(sip.HeaderClone(invite.From()))
	c.AppendHeader(sip.HeaderClone(invite.To()))
	c.AppendHeader(sip.HeaderClone(invite.CallID()))
	c.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	if reason != "" {
		c.AppendHeader(sip.NewHeader("Reason", reason))
	}
	c.SetBody(nil)
	return w.record(c, to)
}

func (w *memnet) Send(req *sip.Request, to edge.Hop) error {
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: to.Transport, Host: ourAddr.Addr().String(), Port: 5060, Params: sip.NewParams()}
	via.Params.Add("branch", "z9hG4bKack")
	req.PrependHeader(via)
	req.SetBody(req.Body())
	return w.record(req, to)
}

func (w *memnet) Contact(edge.Hop) sip.Uri {
	if w.own.IsValid() {
		return sip.Uri{Scheme: "sip", Host: w.own.String(), Port: 5060}
	}
	return sip.Uri{Scheme: "sip", Host: ourAddr.Addr().String(), Port: 5060}
}

func (w *memnet) Resolve(_ context.Context, u *sip.Uri, transport string) ([]edge.Hop, error) {
	a, err := netip.ParseAddr(strings.Trim(u.Host, "[]"))
	if err != nil {
		return nil, err
	}
	port := u.Port
	if port == 0 {
		port = 5060
	}
	return []edge.Hop{{Transport: transport, Addr: netip.AddrPortFrom(a, uint16(port))}}, nil
}

// deliver gives a message of the peer to our side.
func (w *memnet) deliver(text string, from netip.AddrPort) {
	w.t.Helper()
	msg, err := sip.ParseMessage([]byte(text))
	if err != nil {
		w.t.Fatalf("the test's message cannot be parsed: %v\n%s", err, text)
	}
	if res, ok := msg.(*sip.Response); ok {
		key, _ := sip.ClientTxKeyMake(res)
		w.mu.Lock()
		tx := w.client[key]
		w.mu.Unlock()
		if tx != nil {
			tx.Receive(res)
		}
		return
	}
	req := msg.(*sip.Request)
	req.SetSource(from.String())
	req.SetTransport("UDP")
	w.deliverRequest(req, edge.Hop{Transport: "UDP", Addr: from})
}

func (w *memnet) deliverRequest(req *sip.Request, from edge.Hop) {
	method := string(req.Method)
	if method == "ACK" || method == "CANCEL" {
		method = "INVITE"
	}
	key := req.Via().Params.GetOr("branch", "") + method
	w.mu.Lock()
	tx := w.server[key]
	w.mu.Unlock()
	if tx != nil {
		if req.IsCancel() {
			_ = w.record(sip.NewResponseFromRequest(req, 200, "OK", nil), from)
		}
		_ = tx.Receive(req)
		return
	}
	tx = &serverTx{sip.NewServerTx(key, req, &memline{w, from}, quiet)}
	if err := tx.Init(); err != nil {
		w.t.Error(err)
		return
	}
	_ = tx.Receive(req) // stops sipgo's timer of the 100, which reads what Invite still changes
	w.mu.Lock()
	w.server[key] = tx
	w.mu.Unlock()
	if req.IsInvite() && !req.To().Params.Has("tag") {
		w.legs.Invite(req, tx, w.id)
	} else {
		w.legs.InDialog(req, tx)
	}
}

// serverTx is sipgo's transaction for our legs.
type serverTx struct{ *sip.ServerTx }

// Listen implements exchange.Transaction.
func (s *serverTx) Listen(u txn.User) bool {
	go func() {
		for {
			select {
			case ack := <-s.Acks():
				u.ACK(ack)
			case <-s.Done():
				u.Lost()
				return
			}
		}
	}()
	return s.OnCancel(func(r *sip.Request) {
		if u.Cancelled != nil {
			u.Cancelled(r)
		}
	})
}

// Settle implements exchange.Transaction.
func (s *serverTx) Settle() { s.TerminateGracefully() }

// next returns the next message of ours.
func (w *memnet) next() sent {
	w.t.Helper()
	select {
	case m := <-w.out:
		return m
	case <-time.After(time.Hour):
		w.t.Fatal("nothing was sent within an hour")
		return sent{}
	}
}

// expect returns the next message of ours, which must start with that text.
func (w *memnet) expect(start string) sent {
	w.t.Helper()
	m := w.next()
	line, _, _ := strings.Cut(m.String(), "\r\n")
	line = strings.TrimPrefix(line, "SIP/2.0 ")
	if !strings.HasPrefix(line, start) {
		w.t.Fatalf("sent %q, want %q\n%s", line, start, m.String())
	}
	return m
}

// nothing checks that nothing is sent for a while.
func (w *memnet) nothing(d time.Duration) {
	w.t.Helper()
	select {
	case m := <-w.out:
		w.t.Fatalf("sent without need:\n%s", m.String())
	case <-time.After(d):
	}
}

// told checks the next things that the listener was told.
func (w *memnet) told(want ...string) {
	w.t.Helper()
	for _, s := range want {
		select {
		case got := <-w.events:
			if !strings.HasPrefix(got, s) {
				w.t.Fatalf("the listener was told %q, want %q", got, s)
			}
		case <-time.After(time.Hour):
			w.t.Fatalf("the listener was not told %q", s)
		}
	}
}

func (w *memnet) toldNothing() {
	w.t.Helper()
	synctest.Wait()
	select {
	case got := <-w.events:
		w.t.Fatalf("the listener was told %q", got)
	default:
	}
}

// sdpBody is a peer's description.
func sdpBody(addr string, port int, direction string, more ...string) string {
	return "v=0\r\no=peer 1 1 IN IP4 " + addr + "\r\ns=call\r\nc=IN IP4 " + addr + "\r\nt=0 0\r\nm=audio " +
		fmt.Sprint(port) + " RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=" + direction + "\r\n" + strings.Join(more, "")
}

var phoneSDP = sdpBody("198.51.100.7", 20000, "sendrecv")

// msg makes a request or response: head is the start line, headers are lines
// without line ends, the body is SDP.
func msg(head, body string, headers ...string) string {
	kind := ""
	if body != "" {
		kind = "Content-Type: application/sdp\r\n"
	}
	return head + "\r\n" + strings.Join(headers, "\r\n") + "\r\n" + kind +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// phone is the peer of an incoming call.
type phone struct {
	w      *memnet
	callID string
	tag    string // ours, as the phone learnt it
	seq    int
	allow  string
	kind   string // Content-Type of bodies
	to     string // the dialled number
	from   netip.AddrPort
}

func (w *memnet) phone() *phone {
	return &phone{w: w, callID: "call-1", seq: 100, allow: "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO", kind: "application/sdp", to: "102", from: phoneAddr}
}

func (p *phone) request(method string, seq int, branch, body string, more ...string) {
	p.w.t.Helper()
	to := "To: <sip:102@acme.example.com>"
	if p.tag != "" {
		to += ";tag=" + p.tag
	}
	headers := append([]string{
		"Via: SIP/2.0/UDP 198.51.100.7:5062;rport;branch=z9hG4bK" + branch,
		"Max-Forwards: 70", "From: \"Kim\" <sip:101@acme.example.com>;tag=peer", to,
		"Call-ID: " + p.callID, fmt.Sprintf("CSeq: %d %s", seq, method),
		"Contact: <sip:101@10.0.0.7:5062>", "Allow: " + p.allow,
	}, more...)
	uri := "sip:" + p.to + "@acme.example.com"
	if p.tag != "" {
		uri = "sip:192.0.2.1:5060"
	}
	text := msg(method+" "+uri+" SIP/2.0", body, headers...)
	p.w.deliver(strings.Replace(text, "application/sdp\r\nContent-Length", p.kind+"\r\nContent-Length", 1), p.from)
}

// invite sends the first INVITE.
func (p *phone) invite(body string, more ...string) {
	p.w.t.Helper()
	p.request("INVITE", p.seq, "invite", body, more...)
}

func (p *phone) learn(m sent) sent {
	p.tag = message.Tag(m.response().To().Params)
	return m
}

func (p *phone) ack(body string) {
	p.request("ACK", p.seq, fmt.Sprintf("ack%d", p.seq), body)
}

// next sends a new request inside the dialog.
func (p *phone) do(method, body string, more ...string) {
	p.seq++
	p.request(method, p.seq, fmt.Sprintf("r%d", p.seq), body, more...)
}

// talk brings an incoming call to its answer.
func (w *memnet) talk(more ...string) (*phone, leg.Leg) {
	w.t.Helper()
	return w.talkTo(w.phone(), more...)
}

func (w *memnet) talkTo(p *phone, more ...string) (*phone, leg.Leg) {
	w.t.Helper()
	p.invite(phoneSDP, more...)
	w.told("incoming 101 for 102 PCMA")
	l := w.calls.in.Leg
	l.Answer()
	p.learn(w.expect("200 "))
	p.ack("")
	w.told("answered")
	return p, l
}

// reply answers a request of ours as the peer.
func (w *memnet) reply(m sent, status int, tag, body string, more ...string) {
	w.t.Helper()
	req := m.request()
	to := "To: " + req.To().Value()
	if tag != "" && !req.To().Params.Has("tag") {
		to += ";tag=" + tag
	}
	headers := append([]string{
		"Via: " + req.Via().Value(), "From: " + req.From().Value(), to,
		"Call-ID: " + req.CallID().Value(), "CSeq: " + req.CSeq().Value(),
		"Contact: <sip:peer@198.51.100.7:5062>",
	}, more...)
	w.deliver(msg(fmt.Sprintf("SIP/2.0 %d Text", status), body, headers...), m.to.Addr)
}

// ring dials a phone and returns the INVITE.
func (w *memnet) ring() (leg.Leg, sent) {
	w.t.Helper()
	l := w.legs.Dial(leg.Dial{
		Leg: "out", From: pbx.Party{Number: "010-1234-5678", Name: "Hong \"G\"", Trunk: "carrier"},
		Target: leg.Target{Contact: pbx.Contact{Extension: "101", URI: "sip:101@10.0.0.7:5062;line=1", Source: phoneAddr, Transport: "UDP"}},
	}, listener{w})
	return l, w.expect("INVITE ")
}

// dialTrunk calls an outside number and returns the first INVITE.
func (w *memnet) dialTrunk(d leg.Dial) (leg.Leg, sent) {
	w.t.Helper()
	d.Leg, d.Target = "trunk", leg.Target{Trunk: "carrier", Number: "01012345678"}
	l := w.legs.Dial(d, listener{w})
	return l, w.expect("INVITE ")
}

func itoa(n int) string { return fmt.Sprint(n) }
