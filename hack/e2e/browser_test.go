package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
)

// TestABrowserPhone has JsSIP in Chromium register over secure WebSocket and
// call a plain phone; each hears the other's tone.
func TestABrowserPhone(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	script, err := filepath.Abs("../browser/softphone.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, need := range []string{"/usr/bin/chromium", filepath.Join(filepath.Dir(script), "node_modules/jssip/package.json")} {
		if _, err := os.Stat(need); err != nil {
			t.Fatalf("%s is missing: make packages as root; npm ci in hack/browser (go test -short leaves the browser out)", need)
		}
	}
	s := newSecured(t, func(d *conf.Document) { d.Media.SRTP = "Optional" })
	plain := s.desk("102")
	in, err := json.Marshal(map[string]any{
		"wss": "wss://" + s.at("WSS"), "domain": s.doc.Tenant.Domain, "user": "101", "password": passwords["101"],
		"call": "102", "wav": pbxtest.WriteTone(t, 500, toneLength), "hertz": 700,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(within(t), "node", script, string(in))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	call := rings(t, plain)
	answer(t, call)
	call.Play(tone.Sine(700, loud))
	hears(t, call, "the plain phone", 500)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "heard\n" {
		t.Errorf("the browser says %q, %v", line, err)
	}
	if err := call.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the browser phone: %v", err)
	}
}
