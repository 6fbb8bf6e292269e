package bot_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/bot"
	"github.com/dipcast/dipcast/pbx/web"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

const (
	simBot = 2000001
	secret = "bot-secret"
	haneul = "haneul@acme.example"
	bada   = "bada@acme.example"
)

// pulls is an engine that takes every first pull and refuses the rest.
type pulls struct {
	mu   sync.Mutex
	all  []pbx.Pull
	back []pbx.CallBack
}

func (p *pulls) Pull(_ context.Context, c pbx.Pull) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, c)
	return nil
}

func (p *pulls) CallBack(_ context.Context, c pbx.CallBack) (pbx.CallID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.back = append(p.back, c)
	return "back", nil
}

func (p *pulls) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all) + len(p.back)
}

func (*pulls) Hangup(context.Context, pbx.CallID) error           { return pbx.ErrGone }
func (*pulls) Calls(context.Context) ([]pbx.Call, error)          { return nil, nil }
func (*pulls) Call(context.Context, pbx.CallID) (pbx.Call, error) { return pbx.Call{}, pbx.ErrGone }

type noRecords struct{ pbx.CDRStore }

// company starts simulator, client, queue, bot and web, joined as in the PBX.
func company(t *testing.T, engine pbx.Controller) (*sim.Server, *bot.Bot) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	h := httptest.NewUnstartedServer(nil)
	// Two presses within one millisecond have one body and are one callback;
	// people are slower than this test, so its clock never stands still.
	var ticks atomic.Int64
	s, err := sim.New(sim.Config{
		Now:  func() time.Time { return time.Now().Add(time.Duration(ticks.Add(1)) * time.Millisecond) },
		Apps: []sim.App{{ClientID: "app", ClientSecret: "app-secret", ServiceAccount: "sa@acme.example", PublicKey: private, DomainID: 1}},
		Bots: []sim.Bot{{BotID: simBot, Name: "dipcast", Secret: secret, DomainID: 1, CallbackURL: "http://" + h.Listener.Addr().String() + "/works/callback"}},
		Users: []works.User{
			{Email: haneul, Name: works.PersonName{Last: "김", First: "하늘"}}, {Email: bada, Name: works.PersonName{Last: "이", First: "바다"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	client, err := works.New(works.Config{
		APIURL: s.APIURL(), AuthURL: s.AuthURL(), BotID: simBot, DomainID: 1, ClientID: "app", ClientSecret: "app-secret",
		ServiceAccount: "sa@acme.example", PrivateKey: private, BotSecret: secret,
	}, works.Options{})
	if err != nil {
		t.Fatal(err)
	}
	queue := works.NewQueue(client, works.QueueOptions{})
	b, err := bot.New(bot.Options{
		Config: bot.Config{
			BaseURL: "https://acme.pbx.example.com", Locale: "ko-KR", Cards: bot.Cards{External: true, Internal: true, Missed: true},
			Extensions: []bot.Extension{{Number: "101", WorksUser: haneul, Mobile: "010-5555-0101"}, {Number: "102", WorksUser: sim.UserID(bada)}},
		},
		Tenant: "acme/acme", Key: bytes.Repeat([]byte("k"), 32), Control: engine, Messenger: queue,
		ResolveUser: func(ctx context.Context, user string) (string, error) {
			u, err := client.User(ctx, user)
			return u.UserID, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Options{
		Config: web.Config{
			Tenant: "acme/acme", SessionKey: bytes.Repeat([]byte("s"), 32), Callback: web.Callback{
				BotID:  "2000001",
				Verify: func(body []byte, signature string) bool { return works.VerifyCallback(secret, body, signature) },
			},
		},
		CDRs: noRecords{}, Control: engine, Deliver: b.Deliver,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Config = web.NewHTTPServer(site.Handler(), slog.New(slog.DiscardHandler))
	h.Start()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	running.Go(func() { _ = site.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		queue.Close()
		h.Close()
		client.Close()
		_ = s.Close()
	})
	return s, b
}

// TestSimulatedCompany: the card reaches the chat with its five buttons, a
// press in the chat reaches the engine once, and the answer reaches the chat.
func TestSimulatedCompany(t *testing.T) {
	engine := &pulls{}
	s, b := company(t, engine)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	b.Handle(pbx.Event{Type: pbx.EventOffered, Time: time.Now(), Extension: "101", Call: pbx.Call{
		ID: "c", Direction: pbx.Inbound, From: pbx.Party{Number: "010-1234-5678", Name: "홍길동"}, To: pbx.Party{Number: "101", Extension: "101"}, Started: time.Now(),
	}})
	card, err := s.Wait(ctx, haneul, func(sim.Message) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var labels, english []string
	for _, button := range card.Buttons {
		labels, english = append(labels, button.Label.Text), append(english, button.Label.In(works.English))
	}
	if got := strings.Join(labels, " · "); got != "수신 전화 당겨 받기 · A.I. 비서로 당겨 받기 · 내 모바일로 당겨 받기 · M2C 발신 하기 · DIPCAST WEB" {
		t.Errorf("the buttons are %s", got)
	}
	if got := strings.Join(english, " · "); got != "Pull to my phone · Pull to assistant · Pull to my mobile · M2C call back · DIPCAST WEB" {
		t.Errorf("the English buttons are %s", got)
	}
	wait := func(user, part string) {
		t.Helper()
		if _, err := s.Wait(ctx, user, func(m sim.Message) bool { return strings.Contains(m.Text.Text, part) }); err != nil {
			for _, m := range s.Messages(user) {
				t.Logf("in the chat: %s", m.Text.Text)
			}
			t.Fatalf("%q did not come: %v", part, err)
		}
	}
	if err := s.PressAs(ctx, haneul, 0, 2, bada); err != nil {
		t.Fatal(err)
	}
	wait(bada, "다른 사람에게 보낸 카드")
	if n := engine.count(); n != 0 {
		t.Fatalf("a colleague's press had %d effects", n)
	}
	s.SetFault(sim.Fault{Operation: "callback", Duplicate: true, Times: 1})
	for _, want := range []string{"휴대폰(010-5555-0101)으로 겁니다", "이미 누른 버튼"} {
		if err := s.Press(ctx, haneul, 0, 2); err != nil {
			t.Fatal(err)
		}
		wait(haneul, want)
	}
	if n := engine.count(); n != 1 {
		t.Errorf("a press, its duplicate and a second press had %d effects, want 1", n)
	}
	if err := s.Press(ctx, haneul, 0, 3); err != nil {
		t.Fatal(err)
	}
	wait(haneul, "010-1234-5678 번으로 겁니다")
}
