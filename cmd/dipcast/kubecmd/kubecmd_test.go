package kubecmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dipcast/dipcast/pbx/conf"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden are the command lines of the golden files.
func golden() map[string]string {
	return map[string]string{
		"status-all":     "status -A",
		"status":         "status",
		"status-wide":    "status --all-namespaces -owide",
		"status-json":    "status -A -o json",
		"status-none":    "status -n nowhere",
		"status-acme":    "status acme",
		"status-beta":    "status -nbeta beta",
		"status-gamma":   "status acme/gamma",
		"status-unknown": "status x -n acme",
		"doctor-acme":    "doctor acme",
		"doctor-beta":    "doctor beta/beta --quiet",
		"calls":          "calls acme",
		"calls-wide":     "calls acme -o wide",
		"calls-stopped":  "calls beta -n beta",
		"calls-cdrs":     "calls acme --cdrs",
		"logs-call":      "logs acme --call Zk3v9QpL",
		"drain-wait":     "drain acme --wait",
		"drain-node":     "drain --node n1",
		"drain-resume":   "drain acme --resume",
		"drain-help":     "drain -h",
		"status-help":    "status --help",
	}
}

// TestGolden holds the outputs that people and scripts see.
func TestGolden(t *testing.T) {
	for name, line := range golden() {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.peer.ending = 1
			code := s.run(line)
			got := fmt.Sprintf("$ kubectl dipcast %s\n%s%s(exit %d)\n", line, s.out.String(), s.errs.String(), code)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v: run the test with -update", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("differs from %s (-want +got):\n%s", file, diff)
			}
			for _, l := range strings.Split(got, "\n") {
				if cells(l) > 80 && !strings.HasSuffix(name, "-wide") && !strings.HasSuffix(name, "-json") && !strings.HasSuffix(name, "-help") && !strings.Contains(l, " error: ") && !strings.HasPrefix(name, "logs") && !strings.HasPrefix(l, "error: ") {
					t.Errorf("wider than the terminal: %q", l)
				}
			}
			if strings.Contains(got, "secret-token") || strings.Contains(got, "\x1b") {
				t.Error("a secret, or what a stranger chose for the terminal, is shown")
			}
		})
	}
}

// TestDocumentation keeps the outputs of docs/kubectl.md true: each is that
// of a golden file.
func TestDocumentation(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/kubectl.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for i, block := range strings.Split(string(raw), "```") {
		line, _, _ := strings.Cut(strings.TrimPrefix(block, "console\n"), "\n")
		if i%2 == 0 || !strings.HasPrefix(line, "$ kubectl dipcast ") {
			continue
		}
		shown[strings.Fields(line)[3]] = true
		found := false
		for name := range golden() {
			want, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(string(want), "(exit ")
			found = found || text == strings.TrimPrefix(block, "console\n")
		}
		if !found {
			t.Errorf("no golden file has the output of %q", line)
		}
	}
	for _, verb := range []string{"status", "calls", "drain", "doctor", "logs"} {
		if !shown[verb] {
			t.Errorf("docs/kubectl.md shows no output of %s", verb)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for line, want := range map[string]string{
		"calls":                       "TENANT is missing",
		"calls a b":                   `"b" is one argument too many`,
		"status -o xml":               "-o xml: must be one of wide, json, yaml",
		"status --nonsense":           "nonsense",
		"calls acme --watch --cdrs":   "not with --cdrs",
		"calls acme --cdrs --limit 0": "--limit 0: must be 1 to 1000",
		"drain":                       "TENANT or --node NODE is missing",
		"drain acme --node n1":        "a tenant or a node, not both",
		"drain acme --hold 25h":       "--hold and --end-calls-after: hold 25h0m0s: must be 1s to 24h0m0s",
		"drain acme --hold 1m --end-calls-after 1m": "endCallsAfter 1m0s: must not be negative and must be less than the hold of 1m0s",
		"drain acme --end-calls-after 24h":          "hold 24h10m0s: must be",
		"drain acme --resume --wait":                "--resume goes with none",
		"drain acme --end-calls-after -1s":          "must be positive",
		"logs acme --since 10ms":                    "--since 10ms: must be at least 1s",
		"drain acme --timeout 0s":                   "must be positive",
		"drain acme --wait --hold notduration":      "hold",
	} {
		s := newStage(t)
		if code := s.run(line); code != 2 || !strings.Contains(s.errs.String(), want) || s.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", line, code, s.errs.String())
		}
	}
	s := newStage(t)
	if code := s.run("status --context none"); code != 1 || s.errs.String() != "error: context none does not exist\n" {
		t.Errorf("exit %d, %s", code, s.errs.String())
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	s := newStage(t)
	s.env.Getenv = func(string) string { return "" }
	if s.run("status"); !strings.Contains(s.out.String(), "\x1b[32mTrue\x1b[0m") {
		t.Errorf("a terminal shows no colour:\n%q", s.out.String())
	}
	s.env.Width = 0
	if s.run("status"); strings.Contains(s.out.String(), "\x1b") {
		t.Errorf("a pipe gets colours:\n%q", s.out.String())
	}
	if !strings.Contains(s.out.String(), "SLOT") {
		t.Error("a pipe does not get every column")
	}
}

func TestYAMLIsTheJSON(t *testing.T) {
	s := newStage(t)
	s.run("status acme -o yaml")
	asJSON, err := yaml.YAMLToJSON(s.out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	s.run("status acme -o json")
	var want, got any
	if json.Unmarshal(s.out.Bytes(), &want) != nil || json.Unmarshal(asJSON, &got) != nil || !cmp.Equal(want, got) {
		t.Errorf("%s\nis not\n%s", asJSON, s.out.String())
	}
}

func TestCallRecords(t *testing.T) {
	s := newStage(t)
	if code := s.run("calls acme --cdrs"); code != 0 {
		t.Fatal(s.errs.String())
	}
	for _, want := range []string{"OUTCOME", "101", "010-1234-5678", "answered", "1:30:00", "c0ffee00"} {
		if !strings.Contains(s.out.String(), want) {
			t.Errorf("%q is missing:\n%s", want, s.out.String())
		}
	}
	if cmp.Diff(s.dialled, []string{"acme/acme-pbx-0:10816"}) != "" {
		t.Error("dialled", s.dialled)
	}
	s.peer.records = nil
	if s.run("calls acme --cdrs"); s.out.String() != "acme/acme has no call records yet.\n" {
		t.Error(s.out.String())
	}
	if s.run("calls acme --cdrs -o json"); s.out.String() != "{\n  \"records\": []\n}\n" {
		t.Error(s.out.String())
	}
}

func TestWatch(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.atWait = func(n int) {
		s.peer.mu.Lock()
		defer s.peer.mu.Unlock()
		s.peer.calls = nil
		if n == 2 {
			cancel()
		}
	}
	if code := Calls(ctx, s.env, []string{"--watch", "acme"}); code != 0 {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
	screens := strings.Split(s.out.String(), "\x1b[H\x1b[2J")
	if len(screens) < 3 || !strings.Contains(screens[1], "Zk3v9QpL") || screens[2] != "No call is up on acme/acme.\n" {
		t.Errorf("%q", screens)
	}
}

func TestDrain(t *testing.T) {
	s := newStage(t)
	if code := s.run("drain acme --hold 5m --end-calls-after 1m"); code != 0 || s.out.String() != "acme/acme drains: 2 calls are up\n" {
		t.Errorf("exit %d: %s%s", code, s.out.String(), s.errs.String())
	}
	want := []conf.Drain{{EndCallsAfter: conf.Duration(time.Minute), Hold: conf.Duration(5 * time.Minute)}}
	if diff := cmp.Diff(want, s.peer.drains); diff != "" {
		t.Error(diff)
	}
	if code := s.run("drain acme --resume"); code != 0 || s.out.String() != "acme/acme takes calls\n" || s.peer.resumes != 1 {
		t.Errorf("exit %d: %s%s", code, s.out.String(), s.errs.String())
	}
	s.peer.ending = 1
	s.peer.report.ActiveCalls = 2
	if code := s.run("drain acme --wait"); code != 0 ||
		s.out.String() != "acme/acme drains: 2 calls are up\nacme/acme drains: 1 call is up\nacme/acme drains: no call is up\n" {
		t.Errorf("exit %d: %s%s", code, s.out.String(), s.errs.String())
	}
	if s.run("drain acme -o json"); s.out.String() != `{
  "tenants": [
    {
      "namespace": "acme",
      "tenant": "acme",
      "draining": true,
      "activeCalls": 0
    }
  ]
}
` {
		t.Error(s.out.String())
	}
}

// TestALongDrainIsAskedForAgain: the PBX would take calls while we wait.
func TestALongDrainIsAskedForAgain(t *testing.T) {
	s := newStage(t)
	code := s.run("drain acme --wait --hold 20s --timeout 35s --end-calls-after 15s")
	if code != 1 || !strings.Contains(s.errs.String(), "2 calls still up after 35s: acme/acme; new calls are refused until --hold is over") {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
	if len(s.peer.drains) != 4 {
		t.Errorf("asked %d times in 35 s for drains of 20 s", len(s.peer.drains))
	}
	// The drain of the PBX is replaced by each: the calls end 15 s after the first.
	for i, end := range []int{15, 5, 0, 0} {
		if d := s.peer.drains[i]; d.EndCallsAfter.D() != time.Duration(end)*time.Second || d.Hold.D() != 20*time.Second {
			t.Errorf("asked with %+v", d)
		}
	}
}

func TestDrainOfANode(t *testing.T) {
	s := newStage(t)
	s.peer.ending = 1
	code := s.run("drain --node n1")
	want := "acme/acme drains: 2 calls are up\n" +
		"acme/gamma error: the PBX of acme/gamma does not run: kubectl dipcast status gamma -n acme tells why\n" +
		"acme/acme drains: 1 call is up\nacme/acme drains: no call is up\n"
	if code != 1 || s.out.String() != want {
		t.Errorf("exit %d\n%s%s", code, s.out.String(), s.errs.String())
	}
	if code := s.run("drain --node n9"); code != 0 || !strings.Contains(s.errs.String(), "No tenant runs on node n9") {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
}

func TestInterruptedDrain(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.env.After = func(time.Duration) <-chan time.Time {
		cancel()
		return nil
	}
	if code := Drain(ctx, s.env, []string{"acme", "--wait"}); code != 130 || !strings.Contains(s.errs.String(), "--resume ends that") {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
}

// TestAReplacedPBXIsIdle: what drains is often replaced right after. A PBX
// that answers, but with an error, is none of that.
func TestAReplacedPBXIsIdle(t *testing.T) {
	s := newStage(t)
	s.atWait = func(int) { s.down = true }
	if code := s.run("drain acme --wait"); code != 0 ||
		s.out.String() != "acme/acme drains: 2 calls are up\nacme/acme no longer drains: it was resumed or replaced\n" {
		t.Errorf("exit %d: %s%s", code, s.out.String(), s.errs.String())
	}
	s = newStage(t)
	s.atWait = func(int) {
		s.peer.mu.Lock()
		defer s.peer.mu.Unlock()
		s.peer.status = 503
	}
	if code := s.run("drain acme --wait"); code != 1 || !strings.Contains(s.out.String(), "503") {
		t.Errorf("exit %d: %s%s", code, s.out.String(), s.errs.String())
	}
}

func TestRefusals(t *testing.T) {
	s := newStage(t)
	s.peer.status = 404
	if code := s.run("calls acme"); code != 1 || !strings.Contains(s.errs.String(), "the PBX of acme/acme: it answers 404 Not Found: no: it may be of another version") {
		t.Error(s.errs.String())
	}
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = "acme", "acme-api"
	secret.Data = map[string][]byte{"token": []byte("another")}
	if err := s.reader.(client.Client).Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if code := s.run("calls acme"); code != 1 || !strings.Contains(s.errs.String(), "401 Unauthorized: the token is wrong: it does not take the token of Secret acme-api") {
		t.Error(s.errs.String())
	}
	secret.Data = nil
	if err := s.reader.(client.Client).Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if s.run("calls acme"); !strings.Contains(s.errs.String(), `secret acme/acme-api: has no key "token"`) {
		t.Error(s.errs.String())
	}
}

func TestLogs(t *testing.T) {
	s := newStage(t)
	if code := s.run("logs acme -f --previous --since 90s --tail 5 --call Zk3v"); code != 0 {
		t.Fatal(s.errs.String())
	}
	if n := strings.Count(s.out.String(), "\n"); n != 2 || strings.Contains(s.out.String(), "b81Yw") {
		t.Errorf("not the lines of one call:\n%s", s.out.String())
	}
	seconds, lines := int64(90), int64(5)
	want := &corev1.PodLogOptions{Container: "pbx", Follow: true, Previous: true, SinceSeconds: &seconds, TailLines: &lines}
	if diff := cmp.Diff(want, s.logged); diff != "" {
		t.Error(diff)
	}
	if s.run("logs acme"); !strings.HasSuffix(s.out.String(), "\nlast line of acme/acme-pbx-0") {
		t.Errorf("a last line without an end is lost:\n%s", s.out.String())
	}
	if code := s.run("logs beta/beta"); code != 1 || !strings.Contains(s.errs.String(), "there is no pod beta/beta-pbx-0: kubectl dipcast status beta -n beta tells why") {
		t.Error(s.errs.String())
	}
	s.logErr = errors.New("broken")
	if s.run("logs acme"); !strings.Contains(s.errs.String(), "log of pod acme/acme-pbx-0: broken") {
		t.Error(s.errs.String())
	}
}

func TestTableFits(t *testing.T) {
	columns := []column{{head: "A"}, {head: "BBBB", rank: 1}, {head: "CCCC", rank: 2}, {head: "D"}}
	rows := [][]string{{"가나다", "b\x07b", "c", "d"}}
	for width, want := range map[int]string{
		0:  "A       BBBB  CCCC  D\n가나다  bb    c     d\n",
		40: "A       BBBB  CCCC  D\n가나다  bb    c     d\n",
		20: "A       BBBB  D\n가나다  bb    d\n",
		16: "A       BBBB  D\n가나다  bb    d\n",
		10: "A       D\n가나다  d\n",
		1:  "A       D\n가나다  d\n",
	} {
		var out bytes.Buffer
		e := &Env{Width: width, Getenv: func(string) string { return "1" }}
		e.table(&out, columns, rows)
		if out.String() != want {
			t.Errorf("width %d:\n%s", width, out.String())
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tc := range []struct {
		text    string
		columns int
		want    string
	}{
		{"one two three four five", 24, "one two three four\n    five"},
		{"averyveryverylongwordthatiscopied next", 24, "averyveryverylongwordthatiscopied\n    next"},
		{"  a\n\nb  ", 80, "a b"},
		{"", 80, ""},
	} {
		if got := wrap(tc.text, 4, tc.columns); got != tc.want {
			t.Errorf("%q: %q", tc.text, got)
		}
	}
}
