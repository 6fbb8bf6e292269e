package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/url"
	"os"
	"os/exec"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/phone"
)

// TestABrowserIsAPhone has JsSIP in Chromium call a plain phone and be called by
// it, over WebSocket and DTLS-SRTP; each hears the other's tone.
func TestABrowserIsAPhone(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	for _, need := range []string{"/usr/bin/chromium", "../browser/node_modules/jssip/package.json"} {
		if _, err := os.Stat(need); err != nil {
			t.Fatalf("%s is missing: make packages as root; npm ci in hack/browser (go test -short leaves the browser out)", need)
		}
	}
	s := newSecured(t, func(d *conf.Document) { d.Media.SRTP = "Optional" })
	desk := s.desk("102")
	home := (&url.URL{Scheme: "https", Host: s.doc.Tenant.Domain, Path: "/"}).String()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "phone.mjs", "wss://"+s.at("WSS"), home, s.doc.Tenant.Domain, passwords["101"], "700")
	cmd.Dir = "../browser"
	cmd.Env = append(cmd.Environ(), "CHROMIUM_FLAGS=--headless --no-sandbox --disable-gpu --no-first-run --ignore-certificate-errors "+
		"--disable-features=LocalNetworkAccessChecks --autoplay-policy=no-user-gesture-required "+
		"--use-fake-device-for-media-stream --use-fake-ui-for-media-stream --use-file-for-fake-audio-capture="+pbxtest.WriteTone(t, 500, toneLength))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	tell, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the browser: %s", complaints.String())
		}
	})
	lines := bufio.NewScanner(out)
	says := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the browser says %q, want %q: %s", lines.Text(), want, complaints.String())
		}
	}
	says("registered")
	in := rings(t, desk)
	answer(t, in)
	in.Play(tone.Sine(700, loud))
	hears(t, in, "the callee", 500)
	says("heard")
	if _, err := io.WriteString(tell, "hang up\n"); err != nil {
		t.Fatal(err)
	}
	says("call me")
	ended(t, "the callee", in)

	call, err := desk.Dial(within(t), "101", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := call.WaitAnswered(within(t)); err != nil {
		t.Fatal(err)
	}
	call.Play(tone.Sine(700, loud))
	hears(t, call, "the caller", 500)
	says("heard")
	if err := call.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out) // until it ends
	if err := cmd.Wait(); err != nil {
		t.Errorf("the browser: %v: %s", err, complaints.String())
	}
}
