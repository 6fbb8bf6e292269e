package sim_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

const browserDir = "../../../hack/browser"

// TestChatPageInABrowser lets headless Chromium look at the page and press.
func TestChatPageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium and some seconds")
	}
	node, chromium := "node", os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium = "/usr/bin/chromium"
	}
	if _, err := exec.LookPath(node); err != nil {
		t.Fatal("node is not installed: Node 20 is wanted (go test -short leaves the browser out)")
	}
	if _, err := os.Stat(chromium); err != nil {
		t.Fatalf("%s is missing: make packages as root, or CHROMIUM names another place (go test -short leaves the browser out)", chromium)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := os.Stat(filepath.Join(browserDir, "node_modules", "playwright-core")); err != nil {
		run(ctx, t, "npm", "ci", "--no-audit", "--no-fund")
	}
	run(ctx, t, node, "chat.mjs", startForBrowser(t).URL())
}

func run(ctx context.Context, t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = browserDir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out.String())
	}
}

// startForBrowser is a company whose bot answers each press and line, beside
// an employee to whose bot nobody answers.
func startForBrowser(t *testing.T) *sim.Server {
	t.Helper()
	s := start(t, func(c *sim.Config) {
		c.Users = append(c.Users, works.User{Email: "sol@acme.example", Name: works.PersonName{Last: "박", First: "솔"}, DomainID: domain})
	})
	c := client(t, s)
	say := func(user, text string) {
		if err := c.SendMessage(t.Context(), user, works.Text{Words: works.Plain(text)}); err != nil {
			t.Error(err)
		}
	}
	url := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		e, err := works.DecodeCallback(body.Bytes())
		switch {
		case err != nil || !works.VerifyCallback("bot-secret", body.Bytes(), r.Header.Get(works.HeaderSignature)):
			t.Errorf("callback %q: %v", body.String(), err)
		case e.UserID == sim.UserID("sol@acme.example"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case e.Postback != "":
			say(e.UserID, "pressed "+e.Postback)
			say(bada, "for bada")
		default:
			say(e.UserID, "said "+e.Text)
		}
	})
	if err := c.PatchBot(t.Context(), works.BotPatch{CallbackURL: &url}); err != nil {
		t.Fatal(err)
	}
	menu := []works.Action{
		works.Press{Label: works.Words{Text: "부재중 전화", I18n: map[works.Language]string{works.English: "Missed calls"}}, Postback: "menu.missed"},
		works.Link{Label: works.Plain("DIPCAST WEB"), URI: "https://acme.pbx.example.com/"},
	}
	if err := c.SetPersistentMenu(t.Context(), menu); err != nil {
		t.Fatal(err)
	}
	b := card()
	b.Text = "외부 전화 010-1234-5678 (<img src=x onerror=alert(1)>) → 101"
	b.I18n[works.English] = "External call 010-1234-5678 (<img src=x onerror=alert(1)>) → 101"
	if err := c.SendMessage(t.Context(), haneul, b); err != nil {
		t.Fatal(err)
	}
	return s
}
