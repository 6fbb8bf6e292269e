package desired

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// podMonitor has Prometheus read the admin port. The PBX names its tenant in
// every series; the same labels on the target let `up` be told apart too.
func podMonitor(in Input) *unstructured.Unstructured {
	if !in.APIs.PodMonitor {
		return nil
	}
	t := in.Tenant
	label := func(name, value string) object {
		return object{"action": "replace", "targetLabel": name, "replacement": value}
	}
	u := foreign(t, PodMonitorKind(), PBXName(t.Name), ComponentPBX, object{
		"selector": object{"matchLabels": texts(Selector(t.Name))},
		"podMetricsEndpoints": list{object{
			"port": PortAdmin, "path": "/metrics", "scheme": "http", "honorLabels": true,
			"relabelings": list{label("tenant_namespace", t.Namespace), label("tenant", t.Name)},
		}},
	})
	return monitored(u, in)
}

// monitored adds the labels that the cluster's Prometheus looks for.
func monitored(u *unstructured.Unstructured, in Input) *unstructured.Unstructured {
	labels := maps.Clone(in.MonitoringLabels)
	if labels == nil {
		return u
	}
	maps.Copy(labels, u.GetLabels())
	u.SetLabels(labels)
	return u
}
