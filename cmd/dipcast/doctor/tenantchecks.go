package doctor

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/controllers/desired"
)

const labelEnforce = "pod-security.kubernetes.io/enforce"

// podSecurity: host networking is what the profile baseline forbids first.
func podSecurity(s *Snapshot, t *Tenant) []Finding {
	const check = "pod-security"
	if t.Namespace == nil {
		return []Finding{notRead(check, ReadNamespace, s.unreadable(ReadNamespace))}
	}
	cure := fmt.Sprintf("kubectl label namespace %s %s=privileged --overwrite: a PBX needs the node's network, all else in its pod is as the profile restricted asks",
		t.Namespace.Name, labelEnforce)
	level, refused := t.Namespace.Labels[labelEnforce], false
	if c := meta.FindStatusCondition(t.Tenant.Status.Conditions, v1alpha1.ConditionPodRunning); c != nil {
		refused = c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonPodRefused
	}
	switch {
	case level == "baseline" || level == "restricted":
		return []Finding{fail(check, cure, "namespace %s enforces the pod security profile %q, which forbids host networking", t.Namespace.Name, level)}
	case level == "" && refused:
		return []Finding{fail(check, cure, "the API server refuses the pod, and namespace %s has no label %s", t.Namespace.Name, labelEnforce)}
	case level == "":
		return []Finding{fine(check, "namespace %s has no label %s: the cluster's default lets the pod in", t.Namespace.Name, labelEnforce)}
	}
	return []Finding{fine(check, "namespace %s allows host networking (%s)", t.Namespace.Name, level)}
}

// Bad reports whether a condition tells of something wrong, and whether that
// is for certain. Three conditions are bad when they are true.
func Bad(c metav1.Condition) (bad, certain bool) {
	switch c.Type {
	case v1alpha1.ConditionCapacityPressure, v1alpha1.ConditionUpdating:
		return c.Status == metav1.ConditionTrue, false
	case v1alpha1.ConditionOverloaded:
		return c.Status == metav1.ConditionTrue, c.Status == metav1.ConditionTrue
	}
	return c.Status != metav1.ConditionTrue, c.Status == metav1.ConditionFalse
}

func conditions(_ *Snapshot, t *Tenant) []Finding {
	const check = "conditions"
	st := &t.Tenant.Status
	if len(st.Conditions) == 0 {
		return []Finding{fail(check, "see the finding about the operator, and its log", "the operator has not looked at this tenant yet")}
	}
	found := judge(check, st.Conditions, fmt.Sprintf("do as it says; kubectl dipcast status %s -n %s shows all of it", t.Tenant.Name, t.Tenant.Namespace))
	if st.ObservedGeneration != 0 && st.ObservedGeneration < t.Tenant.Generation {
		found = append(found, warn(check, "wait some seconds; if it stays, see the operator's log",
			"the status tells of an older manifest than the newest"))
	}
	if len(found) == 0 {
		found = []Finding{fine(check, "all %d are as they should be", len(st.Conditions))}
	}
	return found
}

// judge makes a finding of every bad condition. Ready is left out where
// another one tells the cause.
func judge(check string, list []metav1.Condition, cure string) []Finding {
	var found []Finding
	ready := -1
	for _, c := range list {
		bad, certain := Bad(c)
		if !bad {
			continue
		}
		if c.Type == v1alpha1.ConditionReady {
			ready = len(found)
		}
		text := fmt.Sprintf("%s is %s: %s", c.Type, c.Status, c.Reason)
		if c.Message != "" {
			text += ": " + c.Message
		}
		if certain {
			found = append(found, fail(check, cure, "%s", text))
		} else {
			found = append(found, warn(check, cure, "%s", text))
		}
	}
	certain := slices.ContainsFunc(found, func(f Finding) bool {
		return f.Level == Fail && !strings.HasPrefix(f.Message, v1alpha1.ConditionReady+" ")
	})
	if ready >= 0 && certain {
		found = slices.Delete(found, ready, ready+1)
	}
	return found
}

func objects(s *Snapshot, t *Tenant) []Finding {
	const check = "manifests"
	if err := s.unreadable(ReadObjects); err != nil {
		return []Finding{notRead(check, ReadObjects, err)}
	}
	var found []Finding
	count := 0
	accepted := func(kind, name string, list []metav1.Condition) {
		count++
		if a := meta.FindStatusCondition(list, v1alpha1.ConditionAccepted); a != nil && a.Status != metav1.ConditionTrue {
			found = append(found, fail(check, "correct the manifest and apply it again; the PBX goes on with the last good ones",
				"%s %s is not accepted: %s: %s", kind, name, a.Reason, a.Message))
		}
	}
	for i := range t.Plans {
		accepted(v1alpha1.KindExtensionPlan, t.Plans[i].Name, t.Plans[i].Status.Conditions)
	}
	for i := range t.Trunks {
		accepted(v1alpha1.KindSIPTrunk, t.Trunks[i].Name, t.Trunks[i].Status.Conditions)
	}
	for i := range t.Flows {
		accepted(v1alpha1.KindCallFlow, t.Flows[i].Name, t.Flows[i].Status.Conditions)
	}
	for i := range t.Bots {
		accepted(v1alpha1.KindNaverWorksBot, t.Bots[i].Name, t.Bots[i].Status.Conditions)
	}
	switch {
	case count == 0:
		return []Finding{warn(check, "apply an ExtensionPlan and a SIPTrunk with tenantRef.name: "+t.Tenant.Name, "no plan, trunk, flow or bot names this tenant: nobody can call")}
	case len(found) == 0:
		return []Finding{fine(check, "%s of this tenant, all accepted", many(count, "object"))}
	}
	return found
}

func pod(s *Snapshot, t *Tenant) []Finding {
	const check = "pod"
	if err := s.unreadable(ReadPods); err != nil {
		return []Finding{notRead(check, ReadPods, err)}
	}
	if t.Tenant.Status.Ports == nil {
		return nil // nothing is made before that: the check of the ports says it
	}
	name, ns := cluster.PodName(cluster.Name(&t.Tenant)).Name, t.Tenant.Namespace
	describe := fmt.Sprintf("kubectl -n %s describe pod %s tells why", ns, name)
	if t.Pod == nil {
		return []Finding{fail(check, fmt.Sprintf("kubectl -n %s describe statefulset %s", ns, desired.PBXName(t.Tenant.Name)), "there is no pod %s", name)}
	}
	if node := t.Pod.Spec.NodeName; silent(s.Nodes, node) {
		return []Finding{fail(check, fmt.Sprintf("bring node %s back; or, if it is surely off: kubectl taint node %s node.kubernetes.io/out-of-service=nodeshutdown:NoExecute, "+
			"and the pod starts elsewhere (the chart's operator.nodeDeadAfter does it without asking)", node, node),
			"node %s, where pod %s is, is not ready: it may still run it, so no other node does", node, name)}
	}
	if t.Pod.Status.Phase != corev1.PodRunning {
		return []Finding{fail(check, describe, "pod %s is %s, not Running%s", name, t.Pod.Status.Phase, whyNot(t.Pod))}
	}
	ready, restarts := false, int32(0)
	for _, c := range t.Pod.Status.ContainerStatuses {
		ready, restarts = c.Ready, max(restarts, c.RestartCount)
		if w := c.State.Waiting; w != nil {
			return []Finding{fail(check, fmt.Sprintf("kubectl dipcast logs %s -n %s --previous", t.Tenant.Name, ns),
				"container %s of pod %s waits: %s: %s", c.Name, name, w.Reason, w.Message)}
		}
	}
	switch {
	case !ready:
		return []Finding{fail(check, fmt.Sprintf("kubectl dipcast logs %s -n %s", t.Tenant.Name, ns), "pod %s runs on %s, but is not ready", name, t.Pod.Spec.NodeName)}
	case restarts > 0:
		return []Finding{warn(check, fmt.Sprintf("kubectl dipcast logs %s -n %s --previous", t.Tenant.Name, ns),
			"pod %s runs on %s and is ready, after %s", name, t.Pod.Spec.NodeName, many(int(restarts), "restart"))}
	}
	return []Finding{fine(check, "pod %s runs on %s and is ready", name, t.Pod.Spec.NodeName)}
}

// silent is whether a node is known not to answer.
func silent(nodes []corev1.Node, name string) bool {
	for i := range nodes {
		if nodes[i].Name != name {
			continue
		}
		for _, c := range nodes[i].Status.Conditions {
			if c.Type == corev1.NodeReady {
				return c.Status != corev1.ConditionTrue
			}
		}
	}
	return false
}

func whyNot(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return ": " + c.Reason + ": " + c.Message
		}
	}
	return ""
}

func ports(_ *Snapshot, t *Tenant) []Finding {
	const check = "ports"
	p := t.Tenant.Status.Ports
	if p == nil {
		return []Finding{fail(check, "see the condition PortsAllocated", "the tenant has no host ports")}
	}
	if t.Pod == nil {
		return nil // the check of the pod says it
	}
	have := map[int32]bool{}
	for i := range t.Pod.Spec.Containers {
		for _, q := range t.Pod.Spec.Containers[i].Ports {
			have[q.HostPort] = true
		}
	}
	var missing []string
	for _, w := range []struct {
		name string
		port int32
	}{{"SIP", p.SIP}, {"SIPS", p.SIPS}, {"WSS", p.WSS}, {"HTTP", p.HTTP}, {"admin", p.Admin}} {
		if w.port != 0 && !have[w.port] {
			missing = append(missing, fmt.Sprintf("%s %d", w.name, w.port))
		}
	}
	switch {
	case len(missing) == 0:
		return []Finding{fine(check, "pod and status agree: SIP %d, HTTP %d, admin %d, RTP %s", p.SIP, p.HTTP, p.Admin, p.RTP)}
	case t.Tenant.Status.PreviousPorts != nil:
		return []Finding{warn(check, "wait for the end of the calls, or kubectl dipcast drain "+t.Tenant.Name+" -n "+t.Tenant.Namespace+" --end-calls-after 1m",
			"the pod waits to be moved to its new ports (%s)", strings.Join(missing, ", "))}
	}
	return []Finding{fail(check, fmt.Sprintf("kubectl -n %s delete pod %s: the operator makes it again; calls end", t.Tenant.Namespace, t.Pod.Name),
		"pod %s does not have the ports of the status: %s", t.Pod.Name, strings.Join(missing, ", "))}
}

func budget(s *Snapshot, t *Tenant) []Finding {
	const check = "disruption"
	if err := s.unreadable(ReadBudgets); err != nil {
		return []Finding{notRead(check, ReadBudgets, err)}
	}
	if t.Tenant.Status.Ports == nil {
		return nil // nothing is made before that: the check of the ports says it
	}
	if t.Budget == nil {
		return []Finding{fail(check, "see the operator's log", "there is no PodDisruptionBudget %s: kubectl drain would end calls", desired.PBXName(t.Tenant.Name))}
	}
	if t.Budget.Status.DisruptionsAllowed > 0 {
		return []Finding{fail(check, "remove what edits it: the operator sets maxUnavailable: 0",
			"PodDisruptionBudget %s lets the pod be evicted: kubectl drain would end calls", t.Budget.Name)}
	}
	return []Finding{fine(check, "kubectl drain waits for the operator to move the pod")}
}

func volume(s *Snapshot, t *Tenant) []Finding {
	const check = "volume"
	if err := s.unreadable(ReadVolumes); err != nil {
		return []Finding{notRead(check, ReadVolumes, err)}
	}
	if t.Tenant.Status.Ports == nil {
		return nil // nothing is made before that: the check of the ports says it
	}
	if t.Volume == nil {
		return []Finding{fail(check, "see the operator's log", "there is no PersistentVolumeClaim %s", desired.DataName(t.Tenant.Name))}
	}
	v := t.Volume
	if v.Status.Phase != corev1.ClaimBound {
		return []Finding{fail(check, fmt.Sprintf("kubectl -n %s describe pvc %s; kubectl get storageclass: spec.storage.storageClassName names one", v.Namespace, v.Name),
			"PersistentVolumeClaim %s is %s, not Bound", v.Name, v.Status.Phase)}
	}
	size := v.Status.Capacity[corev1.ResourceStorage]
	return []Finding{fine(check, "PersistentVolumeClaim %s is bound, %s", v.Name, size.String())}
}

func version(s *Snapshot, t *Tenant) []Finding {
	const check = "version"
	if t.Report == nil || len(s.Operators) == 0 {
		return nil
	}
	wanted := operatorVersion(&s.Operators[0])
	if t.Class != nil && t.Class.Spec.Image != "" {
		return []Finding{fine(check, "the PBX is of version %s; PBXClass %s chooses its image", t.Report.Program, t.Class.Name)}
	}
	if differ(t.Report.Program, wanted) {
		return []Finding{warn(check, "wait for its turn and the end of its calls; the condition Updating tells",
			"the PBX is of version %s, the operator of %s", t.Report.Program, wanted)}
	}
	return []Finding{fine(check, "the PBX is of version %s", t.Report.Program)}
}
