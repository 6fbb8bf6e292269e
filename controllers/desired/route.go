package desired

import (
	"cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// route is the Ingress of clusters with a Gateway. TLS ends at the Gateway,
// which is not the tenant's.
func route(in Input) *unstructured.Unstructured {
	t := in.Tenant
	ref := t.Spec.Web.GatewayRef
	if ref == nil || !in.APIs.Gateway {
		return nil
	}
	parent := object{
		"group": HTTPRouteKind().Group, "kind": "Gateway",
		"name": ref.Name, "namespace": cmp.Or(ref.Namespace, t.Namespace),
	}
	if ref.SectionName != "" {
		parent["sectionName"] = ref.SectionName
	}
	return foreign(t, HTTPRouteKind(), WebName(t.Name), ComponentWeb, object{
		"parentRefs": list{parent},
		"hostnames":  list{t.Spec.Domain},
		"rules":      routeRules(in),
	})
}

// routeRules lead to the PBX, callbacks to the operator's receivers.
func routeRules(in Input) list {
	to := func(path, kind, service string) object {
		return object{
			"matches": list{object{"path": object{"type": kind, "value": path}}},
			"backendRefs": list{object{
				"group": "", "kind": "Service", "name": service, "port": int64(ServiceHTTP), "weight": int64(1),
			}},
		}
	}
	out := list{to("/", "PathPrefix", PBXName(in.Tenant.Name))}
	if in.Receivers != nil {
		out = append(out, to(CallbackPath, "Exact", CallbackName(in.Tenant.Name)))
	}
	return out
}
