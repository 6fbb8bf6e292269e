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

// do sends one request of the administration.
func do(t *testing.T, s *sim.Server, method, path, body string, status int) {
	t.Helper()
	if resp, text := get(t, method, s.URL()+path, body); resp.StatusCode != status {
		t.Errorf("%s %s: %d %s, want %d", method, path, resp.StatusCode, text, status)
	}
}

func member(t *testing.T, c *works.Client, name string) works.User {
	t.Helper()
	u, err := c.User(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestMembersChangeFromOutside(t *testing.T) {
	s := start(t)
	c := client(t, s)
	do(t, s, "PUT", "/sim/users/"+haneul, `{"telephone":"101","organizations":[{"primary":true,"orgUnits":[{"orgUnitId":"sales"}]}]}`, 204)
	before := s.Users()
	do(t, s, "PUT", "/sim/users/"+haneul, `{"telephone":"02-555-0101","organizations":[{"orgUnits":[{"orgUnitId":"support"}]}]}`, 204)
	if u := member(t, c, haneul); u.Telephone != "02-555-0101" || u.Name.Full() != "김하늘" || u.UserID != sim.UserID(haneul) || u.Organization[0].OrgUnits[0].ID != "support" {
		t.Errorf("member %+v", u)
	}
	if before[0].Organization[0].OrgUnits[0].ID != "sales" {
		t.Error("a list that was handed out has changed")
	}
	do(t, s, "PUT", "/sim/users/sol@acme.example", `{"userName":{"lastName":"박","firstName":"솔"},"telephone":"103"}`, 204)
	if u := member(t, c, "sol@acme.example"); u.Telephone != "103" || u.DomainID != domain || u.Locale != "ko_KR" {
		t.Errorf("member %+v", u)
	}
	if err := c.SendMessage(t.Context(), "sol@acme.example", card()); err != nil || len(s.Messages("sol@acme.example")) != 1 {
		t.Errorf("a new member gets no message: %v", err)
	}
	do(t, s, "DELETE", "/sim/users/"+bada, "", 204)
	if _, err := c.User(t.Context(), bada); !works.IsNotFound(err) {
		t.Errorf("a member who left: %v", err)
	}
	n := 0
	for _, err := range c.Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d members are listed", n)
	}
	do(t, s, "PUT", "/sim/users/nobody", `{"telephone":"1"}`, 404)
	do(t, s, "PUT", "/sim/users/"+haneul, `{"phone":"1"}`, 400)
	do(t, s, "PUT", "/sim/users/"+haneul, `{"userId":"another"}`, 400)
	if resp, body := get(t, "GET", s.URL()+"/sim/users", ""); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"telephone":"02-555-0101"`) {
		t.Errorf("users %s", body)
	}
}

func TestBotsChangeFromOutside(t *testing.T) {
	s := start(t)
	c := client(t, s)
	const path = "/sim/bots/2000001"
	do(t, s, "PATCH", path, `{"enableCallback":true,"callbackUrl":"https://elsewhere.example/","channelEvents":["message"]}`, 204)
	do(t, s, "PUT", path+"/menu", `{"content":{"actions":[{"type":"uri","label":"x","uri":"https://elsewhere.example/"}]}}`, 204)
	b, err := c.Bot(t.Context())
	if err != nil || b.CallbackURL != "https://elsewhere.example/" || len(b.ChannelEvents) != 1 {
		t.Errorf("bot %+v, %v", b, err)
	}
	if menu, err := c.PersistentMenu(t.Context()); err != nil || len(menu) != 1 {
		t.Errorf("menu %v, %v", menu, err)
	}
	do(t, s, "PUT", path+"/menu", `{"content":{"actions":[]}}`, 400)
	do(t, s, "DELETE", path+"/menu", "", 204)
	if s.Menu(botID) != nil {
		t.Error("the menu is still there")
	}
	do(t, s, "DELETE", path, "", 204)
	if _, err := c.Bot(t.Context()); err == nil {
		t.Error("a deleted bot is answered")
	}
	do(t, s, "PATCH", path, `{"callbackUrl":""}`, 404)
	do(t, s, "PATCH", "/sim/bots/none", `{"callbackUrl":""}`, 404)
	do(t, s, "PUT", "/sim/bots/5/menu", `{"content":{"actions":[{"type":"uri","label":"x","uri":"https://elsewhere.example/"}]}}`, 404)
	if resp, body := get(t, "GET", s.URL()+"/sim/bots", ""); resp.StatusCode != http.StatusOK || strings.Contains(body, "2000001") {
		t.Errorf("bots %s", body)
	}
}

func TestCredentialsAreWithdrawnAndGivenBack(t *testing.T) {
	s := start(t)
	c := client(t, s)
	if _, err := c.Bot(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(t, s, "DELETE", "/sim/apps/demo-client", "", 204)
	for _, old := range []*works.Client{c, client(t, s)} { // with a token, and without
		if _, err := old.Bot(t.Context()); !works.CredentialsRefused(err) {
			t.Errorf("with withdrawn credentials: %v", err)
		}
	}
	do(t, s, "PUT", "/sim/apps/demo-client", "", 204)
	if _, err := client(t, s).Bot(t.Context()); err != nil {
		t.Error(err)
	}
}
