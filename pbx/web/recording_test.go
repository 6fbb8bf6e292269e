package web_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/web"
)

// tapes is a bench with recordings of call-pulled, where 101 talked on the
// mobile and 102 was only rung, and of call-of-102; that of call-internal is
// gone.
func tapes(t *testing.T) *bench {
	t.Helper()
	files := fstest.MapFS{
		"2026/11/call-pulled.wav": {Data: []byte("RIFF: what 101 said")},
		"2026/11/call-of-102.wav": {Data: []byte("RIFF: what 102 said")},
		"secret":                  {Data: []byte("nobody's")},
	}
	b := newBench(t, func(o *web.Options) { o.Recording = func(file string) (fs.File, error) { return files.Open(file) } })
	company(t, b)
	for i := range b.store.records {
		c := &b.store.records[i]
		switch c.ID {
		case "call-pulled", "call-of-102", "call-internal":
			c.Recording = pbx.Recording{File: "2026/11/" + string(c.ID) + ".wav", Started: c.Answered, Duration: 65 * time.Second}
		case "call-hostile":
			c.Recording = pbx.Recording{File: "../secret"}
		}
		if c.ID == "call-of-102" {
			c.Recording.Missing = 3 * time.Second
			c.Legs[0].Quality.MOSIn = 4.38
		}
	}
	b.control.live[0].Recording = pbx.Recording{File: "2026/11/call-live.wav", Started: day}
	return b
}

func TestWhoHearsARecording(t *testing.T) {
	b := tapes(t)
	for _, tt := range []struct {
		email string
		hears []string
		not   []string
	}{
		{"haneul@acme.example", []string{"call-pulled"}, []string{"call-of-102", "call-live", "call-hostile", "call-internal", "call-missed", "none"}},
		{"bada@acme.example", []string{"call-of-102"}, []string{"call-pulled", "call-live", "call-hostile"}},
		{"admin@acme.example", []string{"call-pulled", "call-of-102"}, []string{"call-live", "call-hostile", "call-internal", "call-missed", "none"}},
		{"guest@acme.example", nil, []string{"call-pulled", "call-of-102"}},
	} {
		t.Run(tt.email, func(t *testing.T) {
			p := newPerson(t)
			p.signIn(b, tt.email, "/")
			for _, id := range tt.hears {
				status, body, resp := p.get(b.http.URL + "/calls/" + id + "/recording")
				if status != http.StatusOK || !strings.HasPrefix(body, "RIFF") || resp.Header.Get("Content-Type") != "audio/wav" || resp.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s is answered %d %q %v", id, status, body, resp.Header)
				}
				if _, page, _ := p.get(b.http.URL + "/calls/" + id); !strings.Contains(page, `src="/calls/`+id+`/recording"`) || !strings.Contains(page, "1:05") {
					t.Errorf("the page of %s has no player", id)
				}
			}
			for _, id := range tt.not {
				if status, body, _ := p.get(b.http.URL + "/calls/" + id + "/recording"); status < 400 || strings.Contains(body, "RIFF") || strings.Contains(body, "nobody") {
					t.Errorf("%s is answered %d", id, status)
				}
			}
		})
	}
	p := newPerson(t)
	if _, body, resp := p.get(b.http.URL + "/calls/call-pulled/recording"); strings.Contains(body, "RIFF") || resp.Request.URL.Path == "/calls/call-pulled/recording" {
		t.Error("who is not signed in hears it")
	}
	if n := strings.Count(b.log.String(), "a recording is handed out"); n != 4 {
		t.Errorf("the log tells of %d accesses, want 4:\n%s", n, b.log.String())
	}
	if !strings.Contains(b.log.String(), "call=call-pulled who=") {
		t.Error("the log does not say who heard what")
	}
}

// A page shows the recording only to those who may hear it, and says what is
// missing.
func TestPagesOfRecordings(t *testing.T) {
	b := tapes(t)
	bada := newPerson(t)
	bada.signIn(b, "bada@acme.example", "/")
	if _, page, _ := bada.get(b.http.URL+"/calls/call-pulled", "Accept-Language", "en"); strings.Contains(page, "Recording") {
		t.Error("who was only rung sees that the call was recorded")
	}
	if _, page, _ := bada.get(b.http.URL+"/calls/call-of-102", "Accept-Language", "en"); !strings.Contains(page, "0:03 could not be written") {
		t.Error("the page does not say what is missing")
	} else if !strings.Contains(page, "4.4 / –") {
		t.Error("the page does not say how the audio is rated")
	}
	admin := newPerson(t)
	admin.signIn(b, "admin@acme.example", "/")
	if _, page, _ := admin.get(b.http.URL+"/calls/call-live", "Accept-Language", "en"); !strings.Contains(page, "is being recorded") || strings.Contains(page, "<audio") {
		t.Error("the page of a live call does not say that it is recorded, or has a player")
	}
}

func TestRecordingsByREST(t *testing.T) {
	b := tapes(t)
	w := ask(b, http.MethodGet, "/api/v1/cdrs/call-pulled/recording", "")
	if w.Code != http.StatusOK || w.Body.String() != "RIFF: what 101 said" || w.Header().Get("Content-Disposition") != `inline; filename=call-pulled.wav` {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	for _, id := range []string{"call-hostile", "call-internal", "call-missed", "call-live", "none", "..%2f..%2fsecret"} {
		if w := ask(b, http.MethodGet, "/api/v1/cdrs/"+id+"/recording", ""); w.Code == http.StatusOK || strings.Contains(w.Body.String(), "nobody") {
			t.Errorf("%s: %d %s", id, w.Code, w.Body)
		}
	}
	part := httptest.NewRequest(http.MethodGet, "/api/v1/cdrs/call-pulled/recording", nil)
	part.Header.Set("Authorization", "Bearer "+apiToken)
	part.Header.Set("Range", "bytes=6-9")
	w = httptest.NewRecorder()
	b.server.Handler().ServeHTTP(w, part)
	if w.Code != http.StatusPartialContent || w.Body.String() != "what" {
		t.Errorf("a part: %d %q", w.Code, w.Body)
	}
	without := newBench(t)
	company(t, without)
	if w := ask(without, http.MethodGet, "/api/v1/cdrs/call-pulled/recording", ""); w.Code != http.StatusNotFound {
		t.Errorf("without a recorder: %d", w.Code)
	}
	w = ask(b, http.MethodGet, "/api/v1/cdrs/call-of-102", "")
	if !strings.Contains(w.Body.String(), `"recording":{"file":"2026/11/call-of-102.wav"`) {
		t.Errorf("the record: %s", w.Body)
	}
}
