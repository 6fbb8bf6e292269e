package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/pbxtest"
)

// asProgram makes this test binary be the program.
const asProgram = "DIPCAST_TEST_AS_PBX"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	patience = 60 * time.Second
	token    = "token-of-the-tenant-0123456789abcdef"
)

// document is a small tenant on two nodes.
func document(t *testing.T) *conf.Document {
	t.Helper()
	ports := pbxtest.FreePorts(t, 3)
	return &conf.Document{
		Version: conf.Version, Generation: "1",
		Tenant: conf.Tenant{Namespace: "acme", Name: "acme", Domain: "acme.pbx.example", Locale: "ko-KR", TimeZone: "Asia/Seoul"},
		Limits: conf.Limits{Extensions: 10, RegistrationsOperating: 10, RegistrationsMaximum: 20, ConcurrentCalls: 5},
		Network: conf.Network{
			Advertise: map[string][]string{"n1": {"127.0.0.1"}, "n2": {"192.0.2.2"}}, Bind: []string{"127.0.0.1"},
			Ports: conf.Ports{SIP: ports[0], HTTP: ports[1], Admin: ports[2]},
		},
		Numbering: conf.Numbering{Country: "KR", AreaCode: "02"},
		Media:     conf.Media{Codecs: []string{"PCMA"}},
		Outbound:  conf.Outbound{Policy: "Domestic"},
		Web:       conf.Web{BaseURL: "https://acme.pbx.example", APIToken: token},
	}
}

// program is a PBX of a document in a file.
type program struct {
	t     *testing.T
	file  string
	admin string
}

func (p *program) write(d *conf.Document) {
	p.t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		p.t.Fatal(err)
	}
	p.writeText(text)
}

// writeText replaces the file whole, as a mounted Secret is.
func (p *program) writeText(text []byte) {
	p.t.Helper()
	if err := os.WriteFile(p.file+".new", text, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(p.file+".new", p.file); err != nil {
		p.t.Fatal(err)
	}
}

func prepare(t *testing.T, d *conf.Document) *program {
	t.Helper()
	p := &program{t: t, file: filepath.Join(t.TempDir(), "document.json"), admin: "http://127.0.0.1:" + strconv.Itoa(d.Network.Ports.Admin)}
	p.write(d)
	return p
}

func (p *program) get(path string) (int, []byte) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.admin+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, nil // not yet, or no more
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, text
}

// waitFor polls until it holds.
func (p *program) waitFor(what string, holds func() bool) {
	p.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-limit.C:
			p.t.Fatalf("it does not come to pass that %s", what)
		case <-again.C:
		}
	}
}

func (p *program) ready() bool {
	code, _ := p.get("/readyz")
	return code == http.StatusOK
}

func (p *program) report() (r conf.Report) {
	p.t.Helper()
	code, text := p.get(conf.PathReport)
	if code != http.StatusOK {
		p.t.Fatalf("the report: %d %s", code, text)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

// output is what the program says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs the program in this process until the test ends.
func (p *program) start(args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	out := &output{}
	go func() {
		done <- run(ctx, keeper.Alone(), append([]string{"--document", p.file, "--data", p.t.TempDir(), "--node", "n1"}, args...), out)
	}()
	p.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Errorf("%v\n%s", err, out)
		}
	})
	p.waitFor("it is ready", p.ready)
}

func TestReportFollowsTheFile(t *testing.T) {
	d := document(t)
	p := prepare(t, d)
	p.start()
	if r := p.report(); r.Generation != "1" || r.Program != "unknown" || r.Tenant != "acme/acme" || r.Refused != "" {
		t.Errorf("report %+v", r)
	}
	for name, tc := range map[string]struct {
		text, generation, why string
	}{
		"no JSON":          {"{", "", "document"},
		"empty":            {"", "", "document"},
		"another version":  {`{"version": 99, "generation": "from-the-future"}`, "from-the-future", "version 99"},
		"an unknown field": {`{"version": 1, "generation": "strange", "colour": "red"}`, "strange", "colour"},
		"invalid":          {`{"version": 1, "generation": "hollow"}`, "hollow", "tenant.namespace"},
	} {
		p.writeText([]byte(tc.text))
		p.waitFor(name+" is refused", func() bool {
			r := p.report()
			return r.RefusedGeneration == tc.generation && strings.Contains(r.Refused, tc.why)
		})
		if r := p.report(); r.Generation != "1" {
			t.Errorf("%s: generation %s is in force", name, r.Generation)
		}
	}
	d.Generation, d.Network.Advertise = "2", map[string][]string{"n1": {"127.0.0.1"}, "n3": {"192.0.2.3"}}
	p.write(d)
	p.waitFor("the good one is in force", func() bool { r := p.report(); return r.Generation == "2" && r.Refused == "" })
	if r := p.report(); len(r.Restart) != 0 {
		t.Errorf("another node's address takes a restart: %v", r.Restart)
	}
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	p.waitFor("the missing file is told of", func() bool { r := p.report(); return r.Generation == "2" && r.Refused != "" })
	d.Generation, d.Network.Advertise["n1"] = "3", []string{"127.0.0.2"}
	p.write(d)
	p.waitFor("the next one waits for a restart", func() bool {
		r := p.report()
		return r.Generation == "3" && r.Refused == "" && len(r.Restart) == 1
	})
}

func TestInternalAddress(t *testing.T) {
	d := document(t)
	p := prepare(t, d)
	p.start("--internal-address", "127.0.0.2") // p asks on loopback
	p.admin = strings.Replace(p.admin, "127.0.0.1", "127.0.0.2", 1)
	if !p.ready() {
		t.Error("the admin listener is not on the node's address")
	}
}

func TestRefusesWrongFlags(t *testing.T) {
	p := prepare(t, document(t))
	for _, tc := range []struct {
		args []string
		says string
	}{
		{[]string{"--colour"}, "colour"},
		{[]string{"--document", p.file + ".none"}, "no such file"},
		{[]string{"--document", p.file, "--internal-address", "0.0.0.0"}, "must be an IP address of this node"},
		{[]string{"--document", p.file, "--internal-address", "node-1"}, "must be an IP address of this node"},
		{[]string{"--document", p.file, "--node", "n9", "--data", t.TempDir()}, `no address for node "n9"`},
	} {
		if err := run(t.Context(), keeper.Alone(), tc.args, io.Discard); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%q: %v, want %q", tc.args, err, tc.says)
		}
	}
}

func TestCheckReadsTheDocument(t *testing.T) {
	p := prepare(t, document(t))
	data := filepath.Join(t.TempDir(), "none")
	out := &bytes.Buffer{}
	args := []string{"--check", "--document", p.file, "--data", data}
	if err := run(t.Context(), keeper.Alone(), args, out); err != nil || out.String() != "unknown\n" {
		t.Errorf("a good document: %v, says %q", err, out)
	}
	p.writeText([]byte(`{"version": 1, "generation": "strange", "colour": "red"}`))
	if err := run(t.Context(), keeper.Alone(), args, io.Discard); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("a document of another version: %v", err)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("it has made its folder")
	}
}

// TestSignalEndsAnIdleProcess is about the process: SIGTERM ends it well, and
// what it says holds no secret.
func TestSignalEndsAnIdleProcess(t *testing.T) {
	p := prepare(t, document(t))
	out := &output{}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "--document", p.file, "--data", t.TempDir())
	cmd.Env = append(os.Environ(), asProgram+"=1", "NODE_NAME=n1", "NODE_IP=127.0.0.2")
	cmd.Stdout, cmd.Stderr = out, out
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.waitFor("it is ready", p.ready)
	up := time.Since(begin)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, out)
	}
	t.Logf("ready after %v, ended after %v", up, time.Since(begin))
	if strings.Contains(out.String(), token) {
		t.Errorf("the log shows the token: %s", out)
	}
}
