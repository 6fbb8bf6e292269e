package phonecmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/pbxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the command in the background and returns its exit code and
// output when it is over.
func start(t *testing.T, stdin string, args ...string) func() (int, string) {
	t.Helper()
	type result struct {
		code int
		out  string
	}
	done := make(chan result, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	go func() {
		var out bytes.Buffer
		code := Run(ctx, args, strings.NewReader(stdin), &out, &out)
		done <- result{code, out.String()}
	}()
	return func() (int, string) {
		r := <-done
		return r.code, r.out
	}
}

func TestTwoPhones(t *testing.T) {
	port := pbxtest.FreePorts(t, 1)[0]
	dir := t.TempDir()
	wav, heard := pbxtest.WriteTone(t, 700, 2*time.Second), filepath.Join(dir, "heard.wav")
	script := filepath.Join(dir, "callee")
	lines := "# the callee\n\nanswer\ntone 880\nwait tone 440 20s\nwait held\nwait resumed\nwait keys 3\nwait tone 700\nwait ended\n"
	if err := os.WriteFile(script, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	callee := start(t, "", "--user", "102", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--script", script)
	caller := start(t, "", "--user", "101", "-c", fmt.Sprintf(
		"dial sip:102@127.0.0.1:%d; wait answered 20s; record %s; tone 440; wait tone 880; wait notone 440; hold; resume; wait tone 880; "+
			"dtmf 12#; status; play %s; wait played; hangup;", port, heard, wav))
	if code, out := caller(); code != exitOK {
		t.Errorf("the caller ended with %d:\n%s", code, out)
	}
	code, out := callee()
	if code != exitOK {
		t.Errorf("the callee ended with %d:\n%s", code, out)
	}
	for _, want := range []string{"event incoming 101", "event held", "event resumed", "heard 440 Hz", "heard 700 Hz", "keys 12#", "event ended 200"} {
		if !strings.Contains(out, want) {
			t.Errorf("the callee did not print %q:\n%s", want, out)
		}
	}
	if share := pbxtest.BestShare(t, heard, 880, 200*time.Millisecond); share < 0.9 {
		t.Errorf("the recording holds %.2f of 880 Hz", share)
	}
}

func TestRejectAndFailedWait(t *testing.T) {
	port := pbxtest.FreePorts(t, 1)[0]
	callee := start(t, "", "--user", "102", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "-c", "reject 603")
	caller := start(t, "", "--user", "101", "-c", fmt.Sprintf("dial sip:102@127.0.0.1:%d; wait answered 20s; hangup", port))
	if code, out := callee(); code != exitOK {
		t.Errorf("the callee ended with %d:\n%s", code, out)
	}
	code, out := caller()
	if code != exitFailed || !strings.Contains(out, "603") {
		t.Errorf("the caller ended with %d:\n%s", code, out)
	}
}

func TestStandardInput(t *testing.T) {
	run := start(t, "help\nnonsense\nhangup\nwait ended\nsleep 1ms\nquit\nnever\n", "--user", "101")
	code, out := run()
	if code != exitFailed {
		t.Errorf("ended with %d", code)
	}
	for _, want := range []string{"Usage: dipcast phone", `"nonsense": no such command`, "there is no call"} {
		if !strings.Contains(out, want) {
			t.Errorf("did not print %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "never") {
		t.Error("read on after quit")
	}
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"help", []string{"-h"}, exitOK, "Commands:"},
		{"no user", nil, exitUsage, "--user is missing"},
		{"unknown flag", []string{"--frobnicate"}, exitUsage, "frobnicate"},
		{"an argument", []string{"--user", "1", "dial"}, exitUsage, "unexpected argument"},
		{"both scripts", []string{"--user", "1", "-c", "quit", "--script", "x"}, exitUsage, "exclude"},
		{"missing script", []string{"--user", "1", "--script", "/does/not/exist"}, exitUsage, "--script"},
		{"missing password file", []string{"--user", "1", "--password-file", "/does/not/exist"}, exitUsage, "--password-file"},
		{"wrong command", []string{"--user", "1", "-c", "quit; dance"}, exitUsage, "command 2"},
		{"wrong codec", []string{"--user", "1", "--codec", "G729", "-c", "quit"}, exitFailed, "codec"},
		{"no server", []string{"--user", "1", "-c", "register"}, exitFailed, "no server"},
		{"nothing to wait for", []string{"--user", "1", "-c", "wait incoming 10ms"}, exitFailed, "no call came"},
		{"quit", []string{"--user", "1", "-c", "quit; nothing more"}, exitUsage, "no such command"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			code, out := start(t, "", tc.args...)()
			if code != tc.code || !strings.Contains(out, tc.want) {
				t.Errorf("code %d, want %d, with %q in:\n%s", code, tc.code, tc.want, out)
			}
		})
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		line string
		want command
		ok   bool
	}{
		{"", command{}, true},
		{"  # a comment", command{}, true},
		{"register", command{verb: "register", value: 300}, true},
		{"register 60", command{verb: "register", value: 60}, true},
		{"register x", command{}, false},
		{"DIAL 102", command{verb: "dial", text: "102"}, true},
		{"dial", command{}, false},
		{"dial 1 2", command{}, false},
		{"reject", command{verb: "reject", value: 486}, true},
		{"reject 200", command{}, false},
		{"tone NaN", command{}, false},
		{"sleep 2s", command{verb: "sleep", timeout: 2 * time.Second}, true},
		{"sleep -2s", command{}, false},
		{"wait tone 440", command{verb: "wait", what: "tone", value: 440, timeout: defaultWait}, true},
		{"wait tone 440 5s", command{verb: "wait", what: "tone", value: 440, timeout: 5 * time.Second}, true},
		{"wait ringing 5s", command{verb: "wait", what: "ringing", timeout: 5 * time.Second}, true},
		{"wait ringing 5", command{}, false},
		{"wait ringing 5s 6s", command{}, false},
		{"wait tone", command{}, false},
		{"wait rain", command{}, false},
		{"wait", command{}, false},
	}
	for _, tc := range tests {
		got, err := parse(tc.line)
		if (err == nil) != tc.ok || (tc.ok && got != tc.want) {
			t.Errorf("parse(%q) = %+v, %v", tc.line, got, err)
		}
	}
}

func TestPasswordIsReadInOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from-file\r\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DIPCAST_PASSWORD", "from-env")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--user", "1", "--password", "from-flag", "--password-file", file}, "from-file"},
		{[]string{"--user", "1", "--password", "from-flag"}, "from-env"},
	} {
		o, err := parseFlags(tc.args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.complete(); err != nil {
			t.Fatal(err)
		}
		if o.cfg.Password != tc.want {
			t.Errorf("%v: password %q, want %q", tc.args, o.cfg.Password, tc.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("이름\x1b[2J\r\n\u009b"); got != "이름?[2J???" {
		t.Errorf("got %q", got)
	}
}
