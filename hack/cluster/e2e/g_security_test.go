//go:build cluster

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

const (
	enforce = "pod-security.kubernetes.io/enforce"
	cure    = enforce + "=privileged"
)

// A namespace that forbids host networking: the tenant says which label it
// needs, and so does kubectl dipcast doctor. With the label it runs, and of the
// profile "restricted" it breaks nothing but what host networking is.
func TestTheNamespaceNeedsALabel(t *testing.T) {
	the.installed(t)
	c := found(t, plan{name: "restricted"})
	c.ready()
	c.audit()

	kubectl(t, "label", "--overwrite", "namespace", c.name, enforce+"=restricted")
	kubectl(t, "-n", c.name, "delete", "pod", c.name+"-pbx-0")
	refused := condition(t, c.tenant(), v1alpha1.ConditionPodRunning, metav1.ConditionFalse, v1alpha1.ReasonPodRefused)
	t.Logf("PodRunning=False %s: %s", refused.Reason, refused.Message)
	if !strings.Contains(refused.Message, cure) {
		t.Errorf("the condition does not tell the cure %s", cure)
	}
	out, err := run(within(t), "", the.dipcast, "doctor", "-n", c.name)
	if err == nil || !strings.Contains(out, "FAIL") || !strings.Contains(out, cure) {
		t.Errorf("doctor does not tell the cure %s: %v\n%s", cure, err, out)
	}

	kubectl(t, "label", "--overwrite", "namespace", c.name, cure)
	c.ready()
	c.talk(c.desk("101"), "025550101").end()
}

// audit lets the API server say what of the pod the profile "restricted"
// forbids.
func (c *company) audit() {
	c.t.Helper()
	out := start(c.t, "kubectl", "label", "--dry-run=server", "--overwrite", "namespace", c.name, enforce+"=restricted")
	if err := out.ends(c.t); err != nil {
		c.t.Fatalf("%v: %s", err, out.text())
	}
	line := regexp.MustCompile(`Warning: ` + c.name + `-pbx-0: (.*)`).FindStringSubmatch(out.text())
	if line == nil {
		c.t.Fatalf("the audit says nothing of the pod: %s", out.text())
	}
	c.t.Logf("%s", line[0])
	broken := strings.Split(line[1], ", ")
	slices.Sort(broken)
	if want := []string{"host namespaces", "hostPort"}; !slices.Equal(broken, want) {
		c.t.Errorf("the pod breaks %v of the profile, want no more than %v", broken, want)
	}
}
