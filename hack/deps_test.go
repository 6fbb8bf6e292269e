package hack

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/dipcast/dipcast/"

// pkg is one line of `go list -json`.
type pkg struct {
	ImportPath string
	Imports    []string
}

// rule says what the packages that match `who` may import of the things that
// match `what`. Patterns are import paths; a trailing /... matches the
// package itself and everything below it.
type rule struct {
	reason string
	who    []string
	except []string // packages of who that the rule does not bind
	what   []string
	allow  []string // things of what that are allowed all the same
}

var (
	kubernetes = []string{"k8s.io/...", "sigs.k8s.io/..."}
	ours       = []string{module + "..."}
)

func own(paths ...string) []string {
	list := make([]string, len(paths))
	for i, p := range paths {
		list[i] = module + p
	}
	return list
}

// rules are the import directions of the house. Tests may import more.
func rules() []rule {
	return []rule{
		{
			reason: "the nouns and the contracts stand at the bottom, so that everybody can share them",
			who:    own("pbx", "pbx/conf", "pbx/works", "pbx/works/number", "pbx/text", "pbx/mailbox", "pbx/journal", "pbx/keeper", "pbx/load", "pbx/capped", "controllers/hostport", "api/..."),
			what:   ours,
		},
		{
			reason: "what the operator shares with the PBX takes no more of it than the client",
			who:    own("pbx/works/botsetup"), what: ours, allow: own("pbx/works"),
		},
		{
			reason: "the edge between calls and SIP knows the nouns and the media only",
			who:    own("pbx/leg"), what: ours, allow: own("pbx", "pbx/media"),
		},
		{
			reason: "the PBX starts from a file, is tested without a cluster, and 500 tenants on a node do not each pay for a Kubernetes client",
			who:    own("pbx/...", "cmd/pbx/..."), what: append(own("api/...", "controllers/..."), kubernetes...),
		},
		{
			reason: "the operator takes the contract, the NAVER WORKS client and the capped listener from the PBX world, nothing else",
			who:    own("api/...", "controllers/...", "cmd/operator/..."), what: own("pbx/..."), allow: own("pbx/conf", "pbx/works", "pbx/works/botsetup", "pbx/capped"),
		},
		{
			reason: "only the SIP side and the phone speak SIP",
			who:    ours, except: own("pbx/sipua/...", "pbx/phone/..."), what: []string{"github.com/emiago/..."},
		},
		{
			reason: "packets and SDP are the affair of media, sdp, the SIP side and the phone",
			who:    ours, except: own("pbx/media/...", "pbx/sdp", "pbx/sipua/...", "pbx/phone/..."), what: []string{"github.com/pion/..."},
		},
		{
			reason: "handshakes are one package's affair: the relay only hands packets over",
			who:    ours, except: own("pbx/media/dtls"), what: []string{"github.com/pion/dtls/..."},
		},
		{
			reason: "checks of ICE are answered without sockets, SDP or handshakes",
			who:    own("pbx/media/ice"), what: append(own("pbx/..."), "github.com/pion/..."), allow: own("pbx/media"),
		},
		{
			reason: "SQL stays in one package",
			who:    ours, except: own("pbx/store"),
			what: []string{"database/sql", "github.com/jackc/...", "modernc.org/...", "github.com/pressly/..."},
		},
		{
			reason: "every metric's name stands in one table",
			who:    ours, except: own("pbx/metrics", "controllers/...", "hack/..."), what: []string{"github.com/prometheus/..."},
		},
		{
			reason: "the edges speak to the nouns, never to the engine",
			who:    own("pbx/web/...", "pbx/bot", "pbx/metrics", "pbx/cdr", "pbx/store"),
			what: own("pbx/call", "pbx/sipua/...", "pbx/media/...", "pbx/server", "pbx/dialplan", "pbx/leg", "pbx/conf",
				"pbx/registrar", "pbx/trunk"),
		},
		{
			reason: "the engine knows nothing of SIP: it meets the SIP side in server",
			who:    own("pbx/call", "pbx/dialplan"), what: own("pbx/sipua/...", "pbx/sdp", "pbx/registrar", "pbx/trunk", "pbx/server", "pbx/web/...", "pbx/bot", "pbx/store"),
		},
		{
			reason: "the SIP side knows nothing of calls: it meets the engine in server",
			who:    own("pbx/sipua/...", "pbx/registrar", "pbx/trunk", "pbx/sdp", "pbx/media/..."),
			what:   own("pbx/call", "pbx/dialplan", "pbx/server", "pbx/web/...", "pbx/bot", "pbx/store"),
		},
		{
			reason: "helpers for tests stay in tests",
			who:    ours, except: own("pbx/pbxtest/..."), what: own("pbx/pbxtest/..."),
		},
	}
}

func TestImportDirections(t *testing.T) {
	packages := list(t)
	for _, r := range rules() {
		for _, p := range packages {
			if !matches(p.ImportPath, r.who) || matches(p.ImportPath, r.except) {
				continue
			}
			for _, imported := range p.Imports {
				// A package may always import what lies below itself.
				below := strings.HasPrefix(imported, p.ImportPath+"/")
				if !below && matches(imported, r.what) && !matches(imported, r.allow) {
					t.Errorf("%s imports %s\n\tbut %s", strings.TrimPrefix(p.ImportPath, module), imported, r.reason)
				}
			}
		}
	}
}

// TestRulesBind makes sure that a rule which no package falls under any more
// is noticed: a renamed folder would otherwise be free of all rules.
func TestRulesBind(t *testing.T) {
	packages := list(t)
	for _, r := range rules() {
		bound := slices.ContainsFunc(packages, func(p pkg) bool {
			return matches(p.ImportPath, r.who) && !matches(p.ImportPath, r.except)
		})
		if !bound {
			t.Errorf("no package falls under %q (%s)", r.who, r.reason)
		}
	}
}

// TestOwnTransitiveImports guards the two worlds over all steps.
func TestOwnTransitiveImports(t *testing.T) {
	packages := list(t)
	direct := make(map[string][]string)
	for _, p := range packages {
		direct[p.ImportPath] = p.Imports
	}
	var reach func(from string, seen map[string]bool)
	reach = func(from string, seen map[string]bool) {
		for _, imported := range direct[from] {
			if !seen[imported] {
				seen[imported] = true
				reach(imported, seen)
			}
		}
	}
	for _, p := range packages {
		if !matches(p.ImportPath, own("pbx/...", "cmd/pbx/...")) {
			continue
		}
		seen := make(map[string]bool)
		reach(p.ImportPath, seen)
		for imported := range seen {
			if matches(imported, kubernetes) || matches(imported, own("api/...", "controllers/...")) {
				t.Errorf("%s reaches %s through its imports", p.ImportPath, imported)
			}
		}
	}
}

func matches(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if root, ok := strings.CutSuffix(pattern, "/..."); ok {
			return path == root || strings.HasPrefix(path, root+"/")
		}
		return path == pattern
	})
}

// list returns every package of the module.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
