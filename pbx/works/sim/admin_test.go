package sim_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

func TestAdministrationOverHTTP(t *testing.T) {
	s := start(t)
	callbacks := receiver(t, s, 200)
	c := client(t, s)
	if err := c.SendMessage(t.Context(), haneul, card()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/sim/users", "", 200, `"name":"김하늘"`},
		{"GET", "/sim/bots", "", 200, `"botName":"DIPCAST"`},
		{"GET", "/sim/messages?user=" + haneul, "", 200, "내 모바일로 당겨 받기"},
		{"GET", "/sim/messages?user=" + haneul + "&from=1", "", 200, "[]"},
		{"GET", "/sim/messages?user=" + haneul + "&wait=20s", "", 200, "외부 전화"},
		{"GET", "/sim/messages?user=" + haneul + "&from=1&wait=10ms", "", 404, "NOT_FOUND"},
		{"GET", "/sim/calls", "", 200, `"bot.message.user":1`},
		{"POST", "/sim/press", `{"user":"` + haneul + `","message":0,"button":0,"language":"en_US"}`, 204, ""},
		{"POST", "/sim/press", `{"user":"` + haneul + `","message":7,"button":0}`, 404, ""},
		{"POST", "/sim/press", `{"user":"` + haneul + `","message":0,"button":9}`, 404, ""},
		{"POST", "/sim/press", `{"user":"` + haneul + `","message":-1,"button":0}`, 404, ""},
		{"POST", "/sim/press", `{"user":"nobody"}`, 404, "USER_NOT_EXIST"},
		{"POST", "/sim/press", `{"who":"x"}`, 400, ""},
		{"POST", "/sim/say", `{"user":"` + haneul + `","botID":2000001,"text":""}`, 400, ""},
		{"POST", "/sim/say", `{"user":"` + haneul + `","botID":2000002,"text":"x"}`, 502, "no callback URL"},
		{"POST", "/sim/faults", `{"operation":"user.get","status":503,"delay":"1ms"}`, 204, ""},
		{"POST", "/sim/faults", `{"operation":"user.get","status":200}`, 400, ""},
		{"POST", "/sim/faults", `{"operation":"user.get","delay":"soon"}`, 400, ""},
		{"GET", "/sim/faults", "", 200, `"status":503`},
		{"DELETE", "/sim/faults", "", 204, ""},
		{"GET", "/sim/faults", "", 200, "[]"},
		{"POST", "/sim/revoke", "", 204, ""},
		{"GET", "/sim/file/none", "", 404, ""},
		{"GET", "/", "", 302, ""},
		{"GET", "/chat", "", 200, "chat.js"},
		{"GET", "/static/chat.css", "", 200, ".card"},
		{"GET", "/v1.0/groups", "", 401, "UNAUTHORIZED"},
	} {
		resp, body := get(t, test.method, s.URL()+test.path, test.body)
		if resp.StatusCode != test.status || !strings.Contains(body, test.contains) {
			t.Errorf("%s %s: %d %s, want %d with %q", test.method, test.path, resp.StatusCode, body, test.status, test.contains)
		}
	}
	if e, err := works.DecodeCallback(next(t, callbacks).body); err != nil || e.Text != "To my mobile" {
		t.Errorf("the press came as %+v, %v", e, err)
	}
}

// Another site's page must not press buttons through the developer's browser.
func TestAdministrationRefusesOtherSites(t *testing.T) {
	s := start(t)
	for _, path := range []string{"/sim/press", "/sim/say", "/sim/faults", "/sim/revoke"} {
		resp, _ := get(t, "POST", s.URL()+path, "{}", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, resp.StatusCode)
		}
	}
}

// readEvent reads one server-sent event; its kind is "message" without a name.
func readEvent(t *testing.T, r *bufio.Scanner) (kind, data string) {
	t.Helper()
	kind = "message"
	for r.Scan() {
		line := r.Text()
		switch {
		case line == "" && data != "":
			return kind, data
		case strings.HasPrefix(line, "event: "):
			kind = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		}
	}
	t.Fatalf("the stream ended: %v", r.Err())
	return "", ""
}

func TestEventStream(t *testing.T) {
	s := start(t)
	c := client(t, s)
	send := func(text string) {
		if err := c.SendMessage(t.Context(), haneul, works.Text{Words: works.Plain(text)}); err != nil {
			t.Fatal(err)
		}
	}
	open := func(headers ...string) *bufio.Scanner {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		t.Cleanup(cancel)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/sim/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		transport := &http.Transport{DisableKeepAlives: true}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return bufio.NewScanner(resp.Body)
	}
	send("first")
	stream := open()
	var got struct {
		User    string
		ID      int
		Message sim.Message
	}
	read := func(r *bufio.Scanner, want string) {
		t.Helper()
		kind, data := readEvent(t, r)
		if err := json.Unmarshal([]byte(data), &got); err != nil || kind != "message" || got.Message.Text.Text != want || got.User != sim.UserID(haneul) {
			t.Errorf("event %s %s, want the message %q", kind, data, want)
		}
	}
	read(stream, "first")
	if kind, _ := readEvent(t, stream); kind != "live" {
		t.Errorf("event %q, want live", kind)
	}
	send("second\n\ndata: forged")
	read(stream, "second\n\ndata: forged")
	again := open("Last-Event-ID", "1")
	read(again, "second\n\ndata: forged")
}

func TestFaultsCount(t *testing.T) {
	s := start(t)
	c := client(t, s)
	s.SetFault(sim.Fault{Operation: "bot.message.user", Times: 1, Status: 500})
	s.SetFault(sim.Fault{Operation: "bot.message.user", Times: 1, Delay: sim.Duration(time.Millisecond)})
	first := c.SendMessage(t.Context(), haneul, card())
	second := c.SendMessage(t.Context(), haneul, card())
	if first == nil || second != nil || len(s.Faults()) != 0 {
		t.Errorf("%v, %v, %v left: want the 500 once, the delay once", first, second, s.Faults())
	}
}
