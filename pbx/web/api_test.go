package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/web"
)

// ask sends a REST request with the right token.
func ask(b *bench, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+apiToken)
	w := httptest.NewRecorder()
	b.server.Handler().ServeHTTP(w, r)
	return w
}

func TestAPIToken(t *testing.T) {
	now := time.Now()
	b := newBench(t, func(o *web.Options) { o.Now = func() time.Time { return now } })
	get := func(token, source string) int {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/cdrs", nil)
		r.RemoteAddr = source
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		w := httptest.NewRecorder()
		b.server.Handler().ServeHTTP(w, r)
		return w.Code
	}
	for _, token := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "bearer " + apiToken, "Bearer " + apiToken + " ", "Basic " + apiToken} {
		if got := get(token, "192.0.2.1:1"); got != http.StatusUnauthorized {
			t.Errorf("%q is answered %d, want 401", token, got)
		}
	}
	for range 3 {
		get("Bearer guess", "192.0.2.1:1")
	}
	if got := get("Bearer guess", "192.0.2.1:99"); got != http.StatusTooManyRequests {
		t.Errorf("the eleventh guess is answered %d, want 429", got)
	}
	if got := get("Bearer guess", "192.0.2.2:1"); got != http.StatusUnauthorized {
		t.Errorf("another source is answered %d, want 401", got)
	}
	if got := get("Bearer "+apiToken, "192.0.2.1:1"); got != http.StatusOK {
		t.Errorf("the right token is answered %d after others' guesses, want 200", got)
	}
	now = now.Add(31 * time.Second)
	if got := get("Bearer guess", "192.0.2.1:1"); got != http.StatusUnauthorized {
		t.Errorf("after a pause a guess is answered %d, want 401", got)
	}
	if log := b.log.String(); strings.Contains(log, "guess") || strings.Contains(log, apiToken) {
		t.Error("a token is in the log")
	}
	c := b.config
	c.APIToken = ""
	if err := b.server.Apply(c); err != nil {
		t.Fatal(err)
	}
	if got := get("Bearer ", "192.0.2.3:1"); got != http.StatusUnauthorized {
		t.Errorf("without a configured token an empty one is answered %d, want 401", got)
	}
}

func TestListCDRs(t *testing.T) {
	b := newBench(t)
	out := record("out", "101", 3)
	out.Direction = pbx.Outbound
	out.From, out.To = pbx.Party{Number: "101", Extension: "101"}, pbx.Party{Number: "031-400-5000"}
	add(t, b.store, record("a", "101", 0), missed("b", "102", 1), missed("c", "101", 2), out, record("d", "101", 24*60))
	for query, want := range map[string]string{
		"":                                  "d out c b a",
		"?extension=101":                    "d out c a",
		"?disposition=missed":               "c b",
		"?disposition=missed&extension=102": "b",
		"?direction=outbound":               "out",
		"?number=031-400":                   "out",
		"?number=1234+5678":                 "d c b a",
		"?from=2026-11-24":                  "d",
		"?to=2026-11-23":                    "out c b a",
		"?from=2026-11-23T01:01:00Z&to=2026-11-23T10:03:00%2B09:00": "c b",
		"?limit=2": "d out",
	} {
		w := ask(b, http.MethodGet, "/api/v1/cdrs"+query, "")
		var page pbx.CDRPage
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
			continue
		}
		if got := ids(page.Records); got != want {
			t.Errorf("%s yields %q, want %q", query, got, want)
		}
	}
	var all []pbx.CDR
	for next := "/api/v1/cdrs?limit=2"; next != ""; {
		var page pbx.CDRPage
		if err := json.Unmarshal(ask(b, http.MethodGet, next, "").Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Records...)
		if next = ""; page.Next != "" {
			next = "/api/v1/cdrs?limit=2&cursor=" + page.Next
		}
	}
	if got := ids(all); got != "d out c b a" {
		t.Errorf("the pages together are %q", got)
	}
}

func ids(records []pbx.CDR) string {
	all := make([]string, len(records))
	for i, c := range records {
		all[i] = string(c.ID)
	}
	return strings.Join(all, " ")
}

// TestAPIRefusals: every wrong field is named, all at once.
func TestAPIRefusals(t *testing.T) {
	b := newBench(t)
	add(t, b.store, record("a", "101", 0))
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
		fields             string
	}{
		{
			"GET", "/api/v1/cdrs?limit=0&direction=up&from=yesterday&number=x&disposition=lost&extension=a&page=2", "", 400, "invalid",
			"direction disposition extension from limit number page",
		},
		{"GET", "/api/v1/cdrs?limit=1001", "", 400, "invalid", "limit"},
		{"GET", "/api/v1/cdrs?from=2026-11-24&to=2026-11-22", "", 400, "invalid", "to"},
		{"GET", "/api/v1/cdrs?number=1&number=2", "", 400, "invalid", "number"},
		{"GET", "/api/v1/cdrs?cursor=nonsense", "", 400, "invalid", "cursor"},
		{"GET", "/api/v1/cdrs?number=" + strings.Repeat("1", 400), "", 400, "invalid", "number"},
		{"GET", "/api/v1/cdrs/none", "", 404, "not-found", ""},
		{"GET", "/api/v1/calls/none", "", 404, "gone", ""},
		{"DELETE", "/api/v1/calls/none", "", 404, "gone", ""},
		{"POST", "/api/v1/calls", `{"extension":"999","number":"<b>"}`, 400, "invalid", "extension number"},
		{"POST", "/api/v1/calls", `{"extension":"101","number":"1","more":1}`, 400, "invalid", ""},
		{"POST", "/api/v1/calls", `{"extension":101}`, 400, "invalid", ""},
		{"POST", "/api/v1/calls", `{`, 400, "invalid", ""},
		{"POST", "/api/v1/calls", `{"extension":"101","number":"1"}{}`, 400, "invalid", ""},
		{"POST", "/api/v1/calls", `{"name":"` + strings.Repeat("x", 70<<10) + `"}`, 400, "invalid", ""},
		{"PUT", "/api/v1/cdrs", "", 404, "not-found", ""},
		{"GET", "/api/v2/cdrs", "", 404, "not-found", ""},
	} {
		t.Run(tt.method+" "+tt.path[:min(len(tt.path), 60)], func(t *testing.T) {
			w := ask(b, tt.method, tt.path, tt.body)
			var got struct {
				Error struct {
					Code, Message string
					Fields        []struct{ Field, Value, Message string }
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			var fields []string
			for _, f := range got.Error.Fields {
				fields = append(fields, f.Field)
				if f.Message == "" {
					t.Errorf("field %s says nothing", f.Field)
				}
			}
			if w.Code != tt.status || got.Error.Code != tt.code || strings.Join(fields, " ") != tt.fields || got.Error.Message == "" {
				t.Errorf("%d %+v, want %d %s %s", w.Code, got, tt.status, tt.code, tt.fields)
			}
			if w.Body.Len() > 4096 {
				t.Errorf("the refusal has %d bytes", w.Body.Len())
			}
		})
	}
}

func TestCalls(t *testing.T) {
	contacts := []pbx.Contact{{ID: "x", Extension: "101", URI: "sip:101@192.0.2.7"}}
	b := newBench(t, func(o *web.Options) {
		o.Registrations = func(context.Context) ([]pbx.Contact, error) { return contacts, nil }
	})
	company(t, b)
	if w := ask(b, "GET", "/api/v1/calls", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"call-live"`) {
		t.Errorf("calls: %d %s", w.Code, w.Body)
	}
	if w := ask(b, "GET", "/api/v1/calls/call-live", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"ringing"`) {
		t.Errorf("a call: %d %s", w.Code, w.Body)
	}
	if w := ask(b, "GET", "/api/v1/cdrs/call-pulled", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"pulledTo":"mobile"`) {
		t.Errorf("a record: %d %s", w.Code, w.Body)
	}
	if w := ask(b, "DELETE", "/api/v1/calls/call-live", ""); w.Code != 204 || !slices.Equal(b.control.ended, []pbx.CallID{"call-live"}) {
		t.Errorf("hanging up: %d %s, ended %v", w.Code, w.Body, b.control.ended)
	}
	if w := ask(b, "GET", "/api/v1/registrations", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "192.0.2.7") {
		t.Errorf("registrations: %d %s", w.Code, w.Body)
	}
	call := `{"extension":"101","number":"010-1234-5678","name":"홍길동"}`
	w := ask(b, "POST", "/api/v1/calls", call)
	want := []pbx.CallBack{{Extension: "101", Number: "010-1234-5678", Name: "홍길동"}}
	if w.Code != 202 || w.Header().Get("Location") != "/api/v1/calls/new-call" || !slices.Equal(b.control.backs, want) {
		t.Errorf("calling: %d %s, made %v", w.Code, w.Body, b.control.backs)
	}
	for code, status := range map[pbx.Code]int{
		pbx.CodeNotRegistered: 409, pbx.CodeBusy: 409, pbx.CodeForbidden: 403, pbx.CodeBadNumber: 400, pbx.CodeNoTrunk: 503, pbx.CodeLimit: 503, pbx.CodeDraining: 503,
	} {
		b.control.refuse = pbx.Errorf(code, "because")
		if w := ask(b, "POST", "/api/v1/calls", call); w.Code != status || !strings.Contains(w.Body.String(), string(code)) {
			t.Errorf("%s is answered %d %s, want %d", code, w.Code, w.Body, status)
		}
	}
	b.control.refuse = errors.New("dial tcp 10.0.0.1: secret detail")
	if w := ask(b, "POST", "/api/v1/calls", call); w.Code != 500 || strings.Contains(w.Body.String(), "10.0.0.1") {
		t.Errorf("an inner error is answered %d %s", w.Code, w.Body)
	}
	b.store.fail = fmt.Errorf("disk full at /data")
	for _, path := range []string{"/api/v1/cdrs", "/api/v1/cdrs?cursor=1", "/api/v1/cdrs/call-pulled"} {
		if w := ask(b, "GET", path, ""); w.Code != 500 || strings.Contains(w.Body.String(), "/data") {
			t.Errorf("%s with a failing store is answered %d %s", path, w.Code, w.Body)
		}
	}
}
