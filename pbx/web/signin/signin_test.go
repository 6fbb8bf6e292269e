package signin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzLocalPath: whatever is asked for, a browser that resolves the answer
// stays at this console.
func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "/calls/x?y=z", "//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example", "javascript:alert(1)", "", "/%2f/evil.example"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://acme.pbx.example.com/sign-in")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := LocalPath(next)
		if strings.ContainsAny(got, "\\\t\r\n ") || strings.HasPrefix(got, "//") {
			t.Errorf("%q became %q", next, got)
		}
		if u, err := base.Parse(got); err == nil && (u.Host != base.Host || u.Scheme != base.Scheme) {
			t.Errorf("%q leads to %s", next, u)
		}
	})
}

// FuzzCookie: nothing but what the jar itself wrote is read back.
func FuzzCookie(f *testing.F) {
	j, err := newJar([]byte("0123456789abcdef0123456789abcdef"), "acme/acme", "session", false, SessionLife)
	if err != nil {
		f.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := j.set(w, Session{Identity: Identity{ID: "me"}}); err != nil {
		f.Fatal(err)
	}
	cookie := w.Result().Cookies()[0]
	for _, seed := range []string{cookie.Value, "", ".", "a.b", cookie.Value + "A", strings.Repeat("A", 5000)} {
		f.Add(seed)
	}
	body, _, _ := strings.Cut(cookie.Value, ".")
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", j.name+"="+value)
		var v Session
		if err := j.get(r, &v); err == nil && !strings.HasPrefix(strings.Trim(value, `" `), body+".") {
			t.Errorf("%q was read as %+v", value, v)
		}
	})
}

func TestJarsDiffer(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	write, err := newJar(key, "acme/acme", "session", false, SessionLife)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := write.set(w, Session{Identity: Identity{ID: "me"}}); err != nil {
		t.Fatal(err)
	}
	for _, other := range []struct{ tenant, purpose string }{{"beta/beta", "session"}, {"acme/acme", "state"}} {
		read, err := newJar(key, other.tenant, other.purpose, false, SessionLife)
		if err != nil {
			t.Fatal(err)
		}
		cookie := w.Result().Cookies()[0]
		cookie.Name = read.name
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(cookie)
		var v Session
		if read.get(r, &v) == nil {
			t.Errorf("%v reads the session of acme", other)
		}
	}
	if _, err := newJar(key[:31], "acme/acme", "session", false, SessionLife); err == nil {
		t.Error("a short key was accepted")
	}
}
