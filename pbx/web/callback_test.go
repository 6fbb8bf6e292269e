package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
	"github.com/dipcast/dipcast/pbx/web"
	"github.com/dipcast/dipcast/pbx/works"
)

// post sends a callback straight to the handler.
func post(h http.Handler, body, signature, bot string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/works/callback", strings.NewReader(body))
	r.Header.Set("x-works-signature", signature)
	r.Header.Set("x-works-botid", bot)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestCallback(t *testing.T) {
	outcomes := map[string]int{}
	b := newBench(t, func(o *web.Options) { o.Hooks.Callback = func(s string) { outcomes[s]++ } })
	h := b.server.Handler()
	body := `{"type":"message","source":{"userId":"u"},"issuedTime":"2026-11-23T01:00:00.000Z"}`
	sign := works.Sign(botSecret, []byte(body))
	big := strings.Repeat("x", 1<<20+1)
	for _, tt := range []struct {
		name, body, signature, bot string
		status                     int
		outcome                    string
	}{
		{"right", body, sign, botID, 200, "accepted"},
		{"the same once more", body, sign, botID, 200, "duplicate"},
		{"no signature", body, "", botID, 401, "unsigned"},
		{"signed with another secret", body, works.Sign("other", []byte(body)), botID, 401, "signature"},
		{"another body's signature", body + " ", sign, botID, 401, "signature"},
		{"another bot", body + "\n", works.Sign(botSecret, []byte(body+"\n")), "2000002", 403, "bot"},
		{"no bot", body + "\n", works.Sign(botSecret, []byte(body+"\n")), "", 403, "bot"},
		{"too large", big, works.Sign(botSecret, []byte(big)), botID, 413, "body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := outcomes[tt.outcome]
			w := post(h, tt.body, tt.signature, tt.bot)
			if w.Code != tt.status || outcomes[tt.outcome] != before+1 {
				t.Errorf("status %d, counted %v: want %d %s", w.Code, outcomes, tt.status, tt.outcome)
			}
			if tt.status == http.StatusOK && w.Body.Len() != 0 {
				t.Errorf("the answer has the body %q", w.Body)
			}
		})
	}
	b.run(t)
	select {
	case got := <-b.bodies:
		if string(got) != body {
			t.Errorf("delivered %q", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was delivered")
	}
	if len(b.bodies) != 0 {
		t.Error("more than one callback was delivered")
	}
	if strings.Contains(b.log.String(), botSecret) {
		t.Error("the bot secret is in the log")
	}
}

func TestCallbackWithoutBot(t *testing.T) {
	b := newBench(t, func(o *web.Options) { o.Config.Callback = web.Callback{} })
	if w := post(b.server.Handler(), "{}", works.Sign("", []byte("{}")), ""); w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
	r := httptest.NewRequest(http.MethodGet, "/works/callback", nil)
	w := httptest.NewRecorder()
	b.server.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered %d, want 405", w.Code)
	}
}

// TestCallbackReplay: a recorded callback is a duplicate for fifteen minutes,
// longer than the bot takes a press for fresh.
func TestCallbackReplay(t *testing.T) {
	now := time.Now()
	accepted := 0
	b := newBench(t, func(o *web.Options) {
		o.Now = func() time.Time { return now }
		o.Hooks.Callback = func(s string) {
			if s == "accepted" {
				accepted++
			}
		}
	})
	sign := works.Sign(botSecret, []byte("{}"))
	for range 17 {
		post(b.server.Handler(), "{}", sign, botID)
		now = now.Add(59 * time.Second)
	}
	if accepted != 2 { // at the beginning and after the window
		t.Errorf("%d of 17 callbacks, the last one after 15 minutes, were accepted, want 2", accepted)
	}
}

// TestCallbackOverflow: while the workers hang, the queue takes what it can
// hold and refuses the rest; what was refused is welcome later.
func TestCallbackOverflow(t *testing.T) {
	counts := map[string]int{}
	o := web.Options{
		CDRs: &store{}, Control: &control{},
		Config: web.Config{Tenant: "a/a", SessionKey: bytes.Repeat([]byte("k"), 32), Callback: web.Callback{
			BotID: botID, Verify: func(body []byte, s string) bool { return works.VerifyCallback(botSecret, body, s) },
		}},
		Hooks: web.Hooks{Callback: func(s string) { counts[s]++ }},
		Deliver: func(ctx context.Context, _ []byte) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := web.New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		send := func(i int) int {
			body := fmt.Sprintf(`{"n":%d}`, i)
			return post(s.Handler(), body, works.Sign(botSecret, []byte(body)), botID).Code
		}
		last := 0
		for i := range 600 {
			synctest.Wait()
			last = send(i)
		}
		if last != http.StatusServiceUnavailable || counts["overflow"] == 0 || counts["accepted"] > 530 {
			t.Errorf("the last one was answered %d, counted %v", last, counts)
		}
		if got := send(599); got != http.StatusServiceUnavailable || counts["duplicate"] != 0 {
			t.Errorf("a refused callback that comes again is answered %d, counted %v", got, counts)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// FuzzCallback: nothing but a rightly signed body is delivered, whatever the
// headers are.
func FuzzCallback(f *testing.F) {
	f.Add([]byte("{}"), works.Sign(botSecret, []byte("{}")), botID)
	f.Add([]byte(""), "", "")
	f.Add([]byte("{}"), "====", "2000001 ")
	f.Add([]byte{0xff, 0x00}, strings.Repeat("A", 5000), "-1")
	s, err := web.New(web.Options{CDRs: &store{}, Control: &control{}, Config: web.Config{
		Tenant: "a/a", SessionKey: bytes.Repeat([]byte("k"), 32), Callback: web.Callback{
			BotID: botID, Verify: func(body []byte, s string) bool { return works.VerifyCallback(botSecret, body, s) },
		},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, signature, bot string) {
		r := httptest.NewRequest(http.MethodPost, "/works/callback", bytes.NewReader(body))
		r.Header["X-Works-Signature"], r.Header["X-Works-Botid"] = []string{signature}, []string{bot}
		w := httptest.NewRecorder()
		bounded.Run(t, len(body)+len(signature)+len(bot), func() { s.Handler().ServeHTTP(w, r) })
		signed := strings.TrimSpace(signature) == works.Sign(botSecret, body)
		switch {
		case w.Code == http.StatusOK && (!signed || bot != botID):
			t.Errorf("%q with signature %q and bot %q was accepted", body, signature, bot)
		case w.Code == http.StatusUnauthorized && signed:
			t.Errorf("%q was refused although it is signed", body)
		}
		_, _ = io.Copy(io.Discard, w.Body)
	})
}
