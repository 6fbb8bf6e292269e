package check_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/cmd/dipcast/check"
)

const samples = "../../../config/samples/"

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = check.Run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestSamplesAreClean(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		paths      []string
	}{
		{"demo", "1 tenant, 0 errors, 0 warnings\n", []string{samples + "demo"}},
		{"demo and beta", "2 tenants, 0 errors, 0 warnings\n", []string{samples + "demo", samples + "beta"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errs := run(t, append([]string{"--strict", "-f"}, tc.paths...)...)
			if code != 0 || out != tc.want || errs != "" {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

func TestProblemsAreToldOnALineEach(t *testing.T) {
	dir := t.TempDir()
	raw, err := os.ReadFile(samples + "demo/tenant.yaml")
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(raw), "port: 5070", "port: 70000", 1)
	broken = strings.Replace(broken, `members: ["101", "102"]`, `members: ["101", "999"]`, 1)
	broken = strings.Replace(broken, `codecs: [PCMA, PCMU], srtp`, `codecs: [opus], srtp`, 1)
	if err := os.WriteFile(filepath.Join(dir, "tenant.yaml"), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := run(t, "-f", dir, "-f", samples+"demo/classes.yaml", "-f", samples+"demo/secrets.yaml")
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{
		"tenant.yaml:56: SIPTrunk acme/kt: spec.hosts[0].port 70000: must be less than or equal to 65535\n",
		"warning: " + dir + "/tenant.yaml:16: PBXTenant acme/acme: spec.media.codecs opus: holds neither PCMA nor PCMU: a phone or carrier that knows nothing else cannot be called; add PCMA at the end\n",
		"1 tenant, ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %q in\n%s", want, out)
		}
	}
}

func TestWarningsFailOnlyWhenStrict(t *testing.T) {
	dir := t.TempDir()
	raw, err := os.ReadFile(samples + "beta/tenant.yaml")
	if err != nil {
		t.Fatal(err)
	}
	warn := strings.Replace(string(raw), "  domain:", "  recording: {mode: All}\n  domain:", 1)
	if err := os.WriteFile(filepath.Join(dir, "tenant.yaml"), []byte(warn), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-f", dir, "-f", samples + "demo/classes.yaml"}
	if code, out, _ := run(t, args...); code != 0 || !strings.Contains(out, "warning: ") {
		t.Errorf("exit %d, want 0 with a warning:\n%s", code, out)
	}
	if code, out, _ := run(t, append([]string{"--strict"}, args...)...); code != 1 {
		t.Errorf("strict: exit %d, want 1:\n%s", code, out)
	}
}

func TestWrongUse(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no path", nil, 2, "name files or folders"},
		{"unknown flag", []string{"--nope"}, 2, "nope"},
		{"help", []string{"-h"}, 0, "Usage: dipcast check"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, _, errs := run(t, tc.args...)
			if code != tc.code || !strings.Contains(errs, tc.want) {
				t.Errorf("exit %d, want %d; stderr %q", code, tc.code, errs)
			}
		})
	}
	if code, out, _ := run(t, "-f", "no/such/path"); code != 1 || !strings.Contains(out, "no/such/path: no such file or directory: check the path") {
		t.Errorf("missing path: exit %d\n%s", code, out)
	}
}
