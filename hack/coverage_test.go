package hack

import (
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// minCoverage is the least share of statements, in percent, that the tests of
// the pure cores must reach.
const minCoverage = 90.0

// TestCoverageOfThePureCores runs the tests of the packages whose behaviour
// is all in tables.
func TestCoverageOfThePureCores(t *testing.T) {
	cores := []string{"pbx/call", "pbx/dialplan", "pbx/sdp", "controllers/compile"}
	line := regexp.MustCompile(`(?m)^ok\s+(\S+)\s.*coverage: ([0-9.]+)% of statements`)
	args := []string{"test", "-cover"}
	for _, c := range cores {
		args = append(args, "./"+c)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seen := make(map[string]float64)
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		share, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		seen[m[1]] = share
	}
	for _, c := range cores {
		share, ok := seen[module+c]
		if !ok {
			t.Errorf("%s: no coverage was printed:\n%s", c, out)
		} else if share < minCoverage {
			t.Errorf("%s: %.1f %% of statements are covered: at least %.0f %%", c, share, minCoverage)
		}
		t.Logf("%s: %.1f %%", c, share)
	}
}
