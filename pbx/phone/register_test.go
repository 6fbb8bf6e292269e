package phone

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/phone/digest"
)

// registrar is a server that challenges everything with what the test says.
type registrar struct {
	addr       string
	challenges []string
	mu         sync.Mutex
	answer     func(req *sip.Request) (code int, headers map[string]string)
	seen       chan *sip.Request // requests with credentials
}

func newRegistrar(t *testing.T, challenges ...string) *registrar {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &registrar{addr: c.LocalAddr().String(), challenges: challenges, seen: make(chan *sip.Request, 64)}
	quiet := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	tp := sip.NewTransportLayer(net.DefaultResolver, sip.NewParser(), nil, sip.WithTransportLayerLogger(quiet),
		sip.WithTransportLayerReadFilter(func(_ sip.TransportReadProps, b []byte) ([]byte, error) {
			select {
			case <-ctx.Done():
				return nil, nil
			default:
				return b, nil
			}
		}))
	tx := sip.NewTransactionLayer(tp, sip.WithTransactionLayerLogger(quiet))
	tx.OnRequest(r.handle)
	done := make(chan struct{})
	reading := &readyConn{PacketConn: c, ready: make(chan struct{})}
	go func() { defer close(done); _ = tp.ServeUDP(reading) }()
	<-reading.ready
	t.Cleanup(func() {
		cancel()
		tx.Close()
		<-time.After(settle)
		c.Close()
		tp.Close()
		<-done
	})
	return r
}

func (r *registrar) handle(req *sip.Request, tx *sip.ServerTx) {
	defer tx.TerminateGracefully()
	if req.IsAck() {
		return
	}
	if req.GetHeader("Authorization") == nil && len(r.challenges) > 0 {
		res := sip.NewResponseFromRequest(req, 401, "Unauthorized", nil)
		for _, c := range r.challenges {
			res.AppendHeader(sip.NewHeader("WWW-Authenticate", c))
		}
		_ = tx.Respond(res)
		return
	}
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	code, headers := 200, map[string]string{}
	if answer != nil {
		code, headers = answer(req)
	}
	res := sip.NewResponseFromRequest(req, code, "Answer", nil)
	for k, v := range headers {
		res.AppendHeader(sip.NewHeader(k, v))
	}
	if contact := req.Contact(); contact != nil && code == 200 {
		res.AppendHeader(sip.HeaderClone(contact))
	}
	_ = tx.Respond(res)
	r.seen <- req
}

func (r *registrar) say(f func(*sip.Request) (int, map[string]string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

const (
	offerMD5 = `Digest realm="pbx.example", nonce="n1", algorithm=MD5, qop="auth"`
	offerSHA = `Digest realm="pbx.example", nonce="n2", algorithm=SHA-256, qop="auth"`
)

func TestRegisterAnswersTheChallenge(t *testing.T) {
	tests := []struct {
		name       string
		challenges []string
		forced     string
		algorithm  string // expected in the answer
	}{
		{"MD5", []string{offerMD5}, "", digest.MD5},
		{"the stronger", []string{offerMD5, offerSHA}, "", digest.SHA256},
		{"forced", []string{offerSHA, offerMD5}, digest.MD5, digest.MD5},
		{"cannot", []string{offerMD5}, digest.SHA256, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			r := newRegistrar(t, tc.challenges...)
			p := newPhone(t, Config{User: "101", Password: "secret", Domain: "pbx.example", Server: r.addr, Digest: tc.forced, NoRefresh: true})
			err := p.Register(soon(t), time.Minute)
			if tc.algorithm == "" {
				if err == nil {
					t.Error("registered")
				}
				return
			}
			must(t, err)
			req := <-r.seen
			auth := req.GetHeader("Authorization").Value()
			if !strings.Contains(auth, "algorithm="+tc.algorithm) || strings.Contains(auth, "secret") {
				t.Errorf("Authorization: %s", auth)
			}
			if !strings.Contains(auth, `uri="`+req.Recipient.String()+`"`) {
				t.Errorf("Authorization for another URI than %s: %s", req.Recipient.String(), auth)
			}
		})
	}
}

func TestRegisterRefused(t *testing.T) {
	r := newRegistrar(t)
	p := newPhone(t, Config{User: "101", Password: "secret", Server: r.addr})
	r.say(func(*sip.Request) (int, map[string]string) { return 423, map[string]string{"Min-Expires": "600"} })
	err := p.Register(soon(t), time.Minute)
	var refused *StatusError
	if !errors.As(err, &refused) || refused.Code != 423 || refused.MinExpires != 10*time.Minute {
		t.Errorf("got %v", err)
	}
	r.say(func(*sip.Request) (int, map[string]string) {
		return 401, map[string]string{"WWW-Authenticate": offerMD5}
	})
	if err := p.Register(soon(t), time.Minute); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a wrong password: %v", err)
	}
	tries := 0
	r.say(func(*sip.Request) (int, map[string]string) {
		if tries++; tries < 3 {
			return 401, map[string]string{"WWW-Authenticate": offerMD5 + ", stale=true"}
		}
		return 200, nil
	})
	if err := p.Register(soon(t), time.Minute); err != nil {
		t.Errorf("a stale nonce: %v", err)
	}
}

func TestRegisterIsRefreshedAndTakenBack(t *testing.T) {
	r := newRegistrar(t, offerSHA)
	p := newPhone(t, Config{User: "101", Password: "secret", Server: r.addr})
	must(t, p.Register(soon(t), time.Second))
	if p.Granted() != time.Second {
		t.Errorf("granted %v", p.Granted())
	}
	first, second := <-r.seen, <-r.seen
	if first.CallID().Value() != second.CallID().Value() || second.CSeq().SeqNo <= first.CSeq().SeqNo {
		t.Errorf("refresh: Call-ID %s and %s, CSeq %d and %d", first.CallID().Value(), second.CallID().Value(), first.CSeq().SeqNo, second.CSeq().SeqNo)
	}
	must(t, p.Unregister(soon(t)))
	for {
		if req := <-r.seen; req.GetHeader("Expires").Value() == "0" {
			return
		}
	}
}

func TestInviteAnswersTheChallenge(t *testing.T) {
	r := newRegistrar(t, offerSHA)
	r.say(func(*sip.Request) (int, map[string]string) { return 486, map[string]string{"Reason": "Q.850;cause=17"} })
	p := newPhone(t, Config{User: "101", Password: "secret", Server: r.addr})
	c, err := p.Dial(soon(t), "102", DialOptions{})
	must(t, err)
	cause, err := c.WaitEnded(soon(t))
	must(t, err)
	if cause.Code != 486 || cause.Reason != "Q.850;cause=17" || c.EndHeader("Reason") != "Q.850;cause=17" {
		t.Errorf("cause %+v", cause)
	}
	if req := <-r.seen; !strings.Contains(req.GetHeader("Authorization").Value(), digest.SHA256) {
		t.Errorf("Authorization: %s", req.GetHeader("Authorization").Value())
	}
}

func TestOnlyTheServerIsAnswered(t *testing.T) {
	evil := newRegistrar(t, offerMD5)
	server := newRegistrar(t)
	p := newPhone(t, Config{User: "101", Password: "secret", Server: server.addr})
	d := &draft{method: sip.OPTIONS, uri: sip.Uri{Scheme: "sip", Host: "x"}, callID: "1", next: func() uint32 { return 1 }}
	var err error
	d.to, err = resolve(evil.addr)
	must(t, err)
	d.from.Params.Add("tag", "1")
	if _, _, err := p.exchange(soon(t), d); err == nil || !strings.Contains(err.Error(), "not our server") {
		t.Errorf("got %v", err)
	}
	if len(evil.seen) != 0 {
		t.Error("a stranger received our digest")
	}
}
