//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Nothing is left of a deleted tenant but its volume: not in the cluster, not
// on NAVER WORKS.
func TestADeletedTenantLeavesItsVolumeAlone(t *testing.T) {
	c := found(t, plan{name: "leaves", bot: true, deletion: string(v1alpha1.DeletionRetain)})
	c.configured()
	kubectl(t, "-n", c.name, "delete", "pbxtenant", c.name)
	c.unconfigured()
	left := c.remains()
	if want := []string{"persistentvolumeclaim/" + c.name + "-data"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
	if phase := get(t, &corev1.PersistentVolumeClaim{}, c.name, c.name+"-data").Status.Phase; phase != corev1.ClaimBound {
		t.Errorf("the volume's claim is %s", phase)
	}
}

// With deletionPolicy Delete the volume goes, too.
func TestADeletedTenantTakesItsVolumeAlong(t *testing.T) {
	c := found(t, plan{name: "erased", bot: true, deletion: string(v1alpha1.DeletionDelete)})
	c.configured()
	// All manifests at once, as `kubectl delete -f` does, in whatever order.
	kubectl(t, "-n", c.name, "delete", "pbxtenants,extensionplans,siptrunks,naverworksbots", "--all")
	c.unconfigured()
	gone(t, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: c.name, Name: c.name + "-data"}})
	if left := c.remains(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// configured waits until the company works and NAVER WORKS knows it.
func (c *company) configured() {
	c.t.Helper()
	c.ready()
	bot := &v1alpha1.NaverWorksBot{ObjectMeta: metav1.ObjectMeta{Namespace: c.name, Name: "bot"}}
	condition(c.t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	settings, _ := the.sim.BotSettings(bots()[c.name])
	if !settings.EnableCallback || settings.CallbackURL != c.url()+"/works/callback" || the.sim.Menu(bots()[c.name]) == nil {
		c.t.Fatalf("NAVER WORKS has %+v, menu %s", settings, the.sim.Menu(bots()[c.name]))
	}
}

func (c *company) unconfigured() {
	c.t.Helper()
	settings, ok := the.sim.BotSettings(bots()[c.name])
	if menu := the.sim.Menu(bots()[c.name]); !ok || settings.EnableCallback || settings.CallbackURL != "" || menu != nil {
		c.t.Errorf("NAVER WORKS still has %+v, menu %s", settings, menu)
	}
}

// remains waits until the cluster has collected its garbage and lists every
// object of the namespace that the test did not make and no namespace has by
// itself.
func (c *company) remains() []string {
	c.t.Helper()
	kinds := strings.Fields(kubectl(c.t, "api-resources", "--namespaced", "--verbs=list", "-o", "name"))
	kinds = slices.DeleteFunc(kinds, func(k string) bool {
		return k == "events" || strings.HasPrefix(k, "events.") || strings.HasPrefix(k, "pods.metrics")
	})
	own := []string{
		"configmap/kube-root-ca.crt", "serviceaccount/default", "secret/ext-101", "secret/ext-102", "secret/works",
		"extensionplan.pbx.dipcast.io/office", "siptrunk.pbx.dipcast.io/line", "naverworksbot.pbx.dipcast.io/bot",
	}
	var left []string
	until(c.t, patience, "the garbage of "+c.name+" is collected", func(context.Context) string {
		all := strings.Fields(kubectl(c.t, "-n", c.name, "get", strings.Join(kinds, ","), "-o", "name"))
		left = slices.DeleteFunc(all, func(o string) bool { return slices.Contains(own, o) })
		if i := slices.IndexFunc(left, func(o string) bool { return !strings.HasPrefix(o, "persistentvolumeclaim/") }); i >= 0 {
			return fmt.Sprintf("left are %v", left)
		}
		return ""
	})
	return left
}
