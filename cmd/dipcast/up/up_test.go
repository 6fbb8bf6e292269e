package up_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/cmd/dipcast/up"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/phone"
)

const (
	haneul = "demo-haneul-7Qm2vXc9" // password of 101
	bada   = "demo-bada-4Tz8kWn1"   // of 102
)

func TestTwoTenants(t *testing.T) {
	s := newStage(t)
	s.start()
	for _, want := range []string{
		fmt.Sprintf("acme/acme: SIP 127.0.0.1:%d (UDP, TCP), console http://127.0.0.1:%d, callback http://127.0.0.1:%[2]d/works/callback", s.sip, s.http),
		fmt.Sprintf("beta/beta: SIP 127.0.0.1:%d (UDP, TCP)", s.beta),
		fmt.Sprintf("acme/acme: bot 2000001 calls back to http://127.0.0.1:%d/works/callback", s.http),
	} {
		s.out.wait(t, want)
	}
	call(t, s.acme("101", haneul), s.acme("102", bada), "102").end(t)
	first, second := s.registered(s.betaPhone("200")), s.registered(s.betaPhone("101"))
	call(t, first, second, "101").end(t)

	stranger := s.phone("101", haneul, "acme.pbx.example.com", s.beta)
	if err := stranger.Register(within(t), time.Hour); err == nil {
		t.Error("a phone of one tenant registers with another one")
	}
}

func TestReloadLeavesCallsAlone(t *testing.T) {
	s := newStage(t)
	s.start()
	k := call(t, s.acme("101", haneul), s.acme("102", bada), "102")

	s.edit("acme.yaml", "    - number: \"103\"", "    - number: \"104\"\n      secretRef: {name: ext-103}\n    - number: \"103\"")
	line := s.out.wait(t, "is in force")
	if !strings.Contains(line, "acme/acme: generation ") || !strings.Contains(line, "routing: update") {
		t.Errorf("told: %s", line)
	}
	k.goesOn(t)
	added := s.acme("104", "demo-sol-9Rb5yHd3")
	caller := s.acme("103", "demo-sol-9Rb5yHd3")
	call(t, caller, added, "104").end(t)

	s.out.clear()
	s.edit("acme.yaml", "    - number: \"104\"\n      secretRef: {name: ext-103}\n", "")
	s.out.wait(t, "is in force")
	k.goesOn(t)
	if c := refused(t, caller, "104"); c.Cause().Code != 404 {
		t.Errorf("the removed extension is answered with %v, want 404", c.Cause())
	}
	k.end(t)
}

func TestBrokenEditKeepsTheLastGoodState(t *testing.T) {
	s := newStage(t)
	s.start()
	one, two := s.acme("101", haneul), s.acme("102", bada)
	k := call(t, one, two, "102")
	for _, tc := range []struct{ name, old, broken, where, what string }{
		{"a value", "maxCalls: 30", "maxCalls: -1", "SIPTrunk acme/kt: spec.maxCalls -1", "must be"},
		{"a reference", `whenOpen: {dial: "600"}`, `whenOpen: {dial: "699"}`, "CallFlow acme/main: spec.whenOpen.dial 699", "there is no"},
		{"YAML", "  displayName: 에이크미", "  displayName: [", "acme.yaml", ""},
		{"an unknown field", "  displayName: 에이크미", "  displayNam: 에이크미", "displayNam", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.out.clear()
			s.edit("acme.yaml", tc.old, tc.broken)
			s.out.wait(t, "the last good state goes on")
			line := s.out.wait(t, "error: "+filepath.Join(s.manifests, "acme.yaml")+":")
			if !strings.Contains(line, tc.where) || !strings.Contains(line, tc.what) || strings.Count(line, "acme.yaml:") != 1 {
				t.Errorf("told: %s", line)
			}
			k.goesOn(t)
			s.edit("acme.yaml", tc.broken, tc.old)
		})
	}
	k.end(t)
	s.out.clear()
	s.edit("beta.yaml", "베타상사", "베타")
	if line := s.out.wait(t, "is in force"); !strings.HasPrefix(line, "beta/beta:") {
		t.Errorf("told: %s", line)
	}
	call(t, one, two, "102").end(t)
}

func TestRemovedTenantIsDrained(t *testing.T) {
	s := newStage(t)
	s.start()
	other := call(t, s.acme("101", haneul), s.acme("102", bada), "102")
	first, second := s.registered(s.betaPhone("200")), s.registered(s.betaPhone("101"))
	k := call(t, first, second, "101")

	beta := filepath.Join(s.manifests, "beta.yaml")
	if err := os.Rename(beta, filepath.Join(s.data, "beta.yaml")); err != nil {
		t.Fatal(err)
	}
	s.out.wait(t, "beta/beta: removed from the manifests: draining")
	s.errs.wait(t, "draining: new calls are refused") // now it is in force
	unavailable(t, second, "200")
	k.goesOn(t)

	// It comes back too early: the old one still has the ports and the data.
	if err := os.Rename(filepath.Join(s.data, "beta.yaml"), beta); err != nil {
		t.Fatal(err)
	}
	s.out.wait(t, "not applied: beta/beta: was removed and still drains its calls")
	k.end(t)
	s.out.wait(t, "beta/beta: has ended")
	s.out.clear()
	s.edit("beta.yaml", "베타상사", "베타")
	s.out.wait(t, fmt.Sprintf("beta/beta: SIP 127.0.0.1:%d", s.beta))
	k = call(t, first, second, "101") // the registrations have survived
	other.goesOn(t)
	k.end(t)
	other.end(t)
}

func TestSignalDrains(t *testing.T) {
	s := newStage(t)
	s.start("--drain", "5m")
	one, two, third := s.acme("101", haneul), s.acme("102", bada), s.acme("103", "demo-sol-9Rb5yHd3")
	k := call(t, one, two, "102")
	s.cancel() // as SIGTERM does
	s.errs.wait(t, "draining: new calls are refused")
	unavailable(t, third, "101")
	k.goesOn(t)
	k.end(t)
	s.stop() // ends by itself, long before the drain's time is over
}

func TestCallsAreCutAtTheEndOfTheDrain(t *testing.T) {
	s := newStage(t)
	s.start("--drain", "1ms")
	k := call(t, s.acme("101", haneul), s.acme("102", bada), "102")
	s.stop()
	for _, c := range []*phone.Call{k.caller, k.called} {
		if _, err := c.WaitEnded(within(t)); err != nil {
			t.Errorf("a phone was not told the end: %v", err)
		}
	}
}

// unavailable proves that the PBX of the phone refuses calls for now.
func unavailable(t *testing.T, p *phone.Phone, number string) {
	t.Helper()
	c := refused(t, p, number)
	if c.Cause().Code != 503 || c.EndHeader("Retry-After") == "" {
		t.Errorf("a call during the drain is answered with %v, Retry-After %q; want 503 and a time", c.Cause(), c.EndHeader("Retry-After"))
	}
}

// refused dials and waits for the refusal.
func refused(t *testing.T, p *phone.Phone, number string) *phone.Call {
	t.Helper()
	c, err := p.Dial(within(t), number, phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WaitEnded(within(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCalledWrongly(t *testing.T) {
	empty := t.TempDir()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("kind: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"help", []string{"-h"}, 0, "Usage: dipcast up -f PATH... [flags]"},
		{"no manifests", nil, 2, "no manifests: name files or folders with -f PATH"},
		{"unknown flag", []string{"-f", "x", "--colour"}, 2, "flag provided but not defined: -colour"},
		{"no number", []string{"-f", "x", "--sip-port", "many"}, 2, `invalid value "many" for flag -sip-port`},
		{"port out of range", []string{"-f", "x", "--sip-port", "70000"}, 2, "--sip-port 70000: must be 1 to 65535"},
		{"port zero", []string{"-f", "x", "--http-port", "0"}, 2, "--http-port 0: must be 1 to 65535"},
		{"the same port", []string{"-f", "x", "--sip-port", "5060", "--http-port", "5060"}, 2, "--http-port 5060: must differ from --sip-port"},
		{"no address", []string{"-f", "x", "--advertise", "pbx.example"}, 2, `--advertise "pbx.example": must be an IP address`},
		{"nothing there", []string{"-f", filepath.Join(empty, "none")}, 1, "none"},
		{"an empty folder", []string{"-f", empty}, 1, "nothing is started"},
		{"not YAML", []string{"-f", bad}, 1, "bad.yaml:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			args := tc.args
			if tc.code == 1 {
				args = append([]string{"--data", t.TempDir()}, args...)
			}
			if code := up.Run(t.Context(), keeper.Alone(), args, &out, &errs); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if text := out.String() + errs.String(); !strings.Contains(text, tc.want) {
				t.Errorf("printed %q, want %q", text, tc.want)
			}
		})
	}
}

func TestPortsInUse(t *testing.T) {
	for _, tc := range []struct {
		name  string
		which func(*stage) int
		taken func(t *testing.T, addr string)
	}{
		{"SIP over UDP", func(s *stage) int { return s.sip }, takeUDP},
		{"SIP over TCP", func(s *stage) int { return s.sip }, takeTCP},
		{"HTTP", func(s *stage) int { return s.http }, takeTCP},
		{"SIP of the second tenant", func(s *stage) int { return s.beta }, takeUDP},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStage(t)
			port := tc.which(s)
			tc.taken(t, fmt.Sprintf("127.0.0.1:%d", port))
			var out, errs bytes.Buffer
			if code := up.Run(t.Context(), keeper.Alone(), s.args(), &out, &errs); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			for _, want := range []string{"dipcast up: ", fmt.Sprintf(":%d", port), "address already in use"} {
				if !strings.Contains(errs.String(), want) {
					t.Errorf("printed %q, want %q", errs.String(), want)
				}
			}
		})
	}
}

func takeUDP(t *testing.T, addr string) {
	t.Helper()
	var lc net.ListenConfig
	c, err := lc.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
}

func takeTCP(t *testing.T, addr string) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
}
