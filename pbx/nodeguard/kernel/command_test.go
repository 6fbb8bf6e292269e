package kernel

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/nodeguard"
)

func TestNeverBanned(t *testing.T) {
	list, err := neverBanned("198.51.100.9/24, 2001:db8::/32")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"198.51.100.0/24", "2001:db8::/32", "10.0.0.0/8", "127.0.0.1/32"} {
		if !slices.Contains(list, netip.MustParsePrefix(want)) {
			t.Errorf("%s may be banned: %v", want, list)
		}
	}
	if _, err := neverBanned("198.51.100.9"); err == nil || !strings.Contains(err.Error(), "network") {
		t.Errorf("an address is no network: %v", err)
	}
}

func TestPortRanges(t *testing.T) {
	for text, want := range map[string][]nodeguard.Ports{
		"10000-19999":              {{From: 10000, To: 19999}},
		"10000-19999, 20000-20000": {{From: 10000, To: 19999}, {From: 20000, To: 20000}},
		"":                         nil,
		"10000":                    nil,
		"0-10":                     nil,
		"20-10":                    nil,
		"1-65536":                  nil,
		"1-2,":                     nil,
	} {
		got, err := portRanges(text)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestRunSaysWhatIsWrong: without the right the helper ends, and says why.
func TestRunSaysWhatIsWrong(t *testing.T) {
	var out strings.Builder
	for _, args := range [][]string{{"--allow", "x"}, {"--ports", "10000"}, {"--user", "-1"}, {"--nonsense"}} {
		if err := Run(t.Context(), args, &out); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
