package workssim

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must come.
const patience = 20 * time.Second

func newKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// writeManifests writes a Secret (in two forms) and a bot among other objects.
func writeManifests(t *testing.T, encoded bool, key string) string {
	t.Helper()
	values := map[string]string{
		"client-id": "acme-client", "client-secret": "s3cret", "service-account": "pbx@acme.example", "private-key": key, "bot-secret": "hmac",
	}
	secret := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "acme-works", "namespace": "acme"}}
	if encoded {
		data := map[string]string{}
		for k, v := range values {
			data[k] = base64.StdEncoding.EncodeToString([]byte(v))
		}
		secret["data"] = data
	} else {
		secret["stringData"] = values
	}
	doc, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	text := "# a comment\n---\nkind: Secret\nmetadata: {name: ext-101}\nstringData: {password: x}\n---\n" + string(doc) + `
---
kind: PBXTenant
spec: {anything: [goes, here]}
---
kind: NaverWorksBot
metadata: {name: bot, namespace: acme}
spec: {botID: 2000009, domainID: 77, credentialsRef: {name: acme-works}}
---
kind: ExtensionPlan
metadata: {name: seoul, namespace: acme}
spec: {extensions: [{number: "101", displayName: 김하늘, worksUser: haneul@acme.example}, {number: "109", displayName: 한별, worksUser: byeol@acme.example}, {number: "110"}]}
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("kind: {{{"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCredentialsComeFromManifests(t *testing.T) {
	key := newKey(t)
	for _, encoded := range []bool{false, true} {
		cfg, err := load("", []string{writeManifests(t, encoded, key)})
		if err != nil {
			t.Fatal(err)
		}
		app, bot := cfg.Apps[len(cfg.Apps)-1], cfg.Bots[len(cfg.Bots)-1]
		if app.ClientID != "acme-client" || app.ClientSecret != "s3cret" || app.ServiceAccount != "pbx@acme.example" || app.PublicKey != key || app.DomainID != 77 {
			t.Errorf("app %+v", app)
		}
		if bot.BotID != 2000009 || bot.Secret != "hmac" || bot.DomainID != 77 {
			t.Errorf("bot %+v", bot)
		}
		if last := cfg.Users[len(cfg.Users)-1]; len(cfg.Users) != 4 || last.Email != "byeol@acme.example" || last.Name.Full() != "한별" || last.DomainID != 77 {
			t.Errorf("users %+v", cfg.Users)
		}
		if _, err := sim.New(cfg); err != nil {
			t.Error(err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, test := range map[string]struct {
		config string
		from   []string
		want   string
	}{
		"no such config":   {config: filepath.Join(dir, "none.yaml"), want: "none.yaml"},
		"unknown field":    {config: write("a.yaml", "robots: []"), want: "robots"},
		"no such manifest": {from: []string{filepath.Join(dir, "none")}, want: "none"},
		"no Secret":        {from: []string{write("b.yaml", "kind: Secret\nstringData: {password: x}")}, want: "no Secret with the keys client-id"},
		"broken YAML":      {from: []string{write("c.yaml", "kind: [")}, want: "not YAML"},
		"odd Secret":       {from: []string{write("d.yaml", "kind: Secret\nstringData: [hush]")}, want: "cannot be read"},
	} {
		_, err := load(test.config, test.from)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v shows what it read", name, err)
		}
	}
}

func TestConfigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "works.yaml")
	text := `
ratePerMinute: 60
apps: [{clientID: a, clientSecret: b, serviceAccount: c, domainID: 5}]
bots: [{botID: 7, name: PBX, secret: s, domainID: 5}]
users:
  - {email: yuna@beta.example, userName: {lastName: 정, firstName: 유나}, locale: ko_KR, telephone: "201"}
contacts:
  - {contactId: c1, permission: {accessibleRange: ALL}, contactName: {lastName: 홍}, telephones: [{telephone: 010-0000-0001}]}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RatePerMinute != 60 || len(cfg.Users) != 1 || cfg.Users[0].Name.Full() != "정유나" || cfg.Contacts[0].Telephones[0].Number != "010-0000-0001" {
		t.Errorf("config %+v", cfg)
	}
}

// The demo's manifests and the defaults are two sides of one company.
func TestDefaultsFitTheDemo(t *testing.T) {
	const samples = "../../../config/samples/demo"
	cfg, err := load("", []string{samples})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Bots) != 1 || cfg.Bots[0].BotID != demoBot || cfg.Bots[0].DomainID != demoDomain {
		t.Errorf("bots %+v: the samples' bot is not the default one", cfg.Bots)
	}
	if len(cfg.Apps) != 1 {
		t.Errorf("%d apps: the samples' client ID is not the default one", len(cfg.Apps))
	}
}

// lines is a writer that hands over each line.
type lines struct {
	ch  chan string
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.buf.Write(p)
	for {
		line, rest, whole := bytes.Cut(l.buf.Bytes(), []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.ch <- strings.TrimSpace(string(line))
		l.buf = *bytes.NewBuffer(bytes.Clone(rest))
	}
}

func TestRunServesUntilTheContextEnds(t *testing.T) {
	key := newKey(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &lines{ch: make(chan string, 64)}
	done := make(chan int, 1)
	go func() {
		done <- Run(ctx, []string{"--listen", "127.0.0.1:0", "--from", writeManifests(t, false, key)}, out, io.Discard)
	}()
	var chat string
	select {
	case line := <-out.ch:
		chat = strings.TrimSpace(strings.TrimPrefix(line, "chat:"))
	case <-time.After(patience):
		t.Fatal("no chat URL was printed")
	}
	base := strings.TrimSuffix(chat, "/chat")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := works.New(works.Config{
		APIURL: base + "/v1.0", AuthURL: base + "/oauth2/v2.0", BotID: 2000009, DomainID: 77, ClientID: "acme-client", ClientSecret: "s3cret",
		ServiceAccount: "pbx@acme.example", PrivateKey: key, BotSecret: "hmac", Scopes: []string{"bot"},
	}, works.Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := c.Bot(ctx); err != nil || b.BotID != 2000009 {
		t.Errorf("bot %+v, %v", b, err)
	}
	cancel()
	select {
	case code := <-done:
		if code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
	case <-time.After(patience):
		t.Fatal("Run did not end with its context")
	}
}

func TestRunRefusesWrongFlags(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, 0, "chat page"},
		{[]string{"--colour"}, 2, "colour"},
		{[]string{"extra"}, 2, "no arguments"},
		{[]string{"--listen", "127.0.0.1:99999"}, 1, "cannot listen"},
		{[]string{"--config", "/nonexistent.yaml"}, 1, "nonexistent"},
	} {
		var stderr bytes.Buffer
		if code := Run(t.Context(), test.args, io.Discard, &stderr); code != test.code || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%q: exit code %d, want %d, saying %q", test.args, code, test.code, stderr.String())
		}
	}
}
