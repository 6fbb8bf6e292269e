package charttest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestOperationsDocument: docs/operations.md names the metrics and alerts that
// there are, and every alert.
func TestOperationsDocument(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := known(t)
	told := regexp.MustCompile(`dipcast_[a-z_*]+`).FindAllString(string(text), -1)
	if len(told) < 30 {
		t.Fatalf("the document names %d metrics: this test looks at the wrong place", len(told))
	}
	for _, metric := range told {
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(metric, "*", ".*") + "$")
		found := false
		for name := range names {
			found = found || pattern.MatchString(name)
		}
		if !found {
			t.Errorf("there is no metric %s", metric)
		}
	}

	rules, err := os.ReadFile(root + "/controllers/desired/testdata/all-apis.out.yaml")
	if err != nil {
		t.Fatal(err)
	}
	alert := regexp.MustCompile(`alert: (Dipcast\w+)`)
	var alerts []string
	for _, m := range alert.FindAllStringSubmatch(string(rules)+renderSet(t, "monitored"), -1) {
		alerts = append(alerts, m[1])
		if !strings.Contains(string(text), "`"+m[1]+"`") {
			t.Errorf("the document does not name the alert %s", m[1])
		}
	}
	if len(alerts) < 10 {
		t.Fatalf("%d alerts: this test looks at the wrong place", len(alerts))
	}
	for _, m := range regexp.MustCompile("`(Dipcast\\w+)`").FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(alerts, m[1]) {
			t.Errorf("there is no alert %s", m[1])
		}
	}
}
