// Package apply writes the objects that the operator owns, by server-side
// apply, and only when that changes something.
//
// What has to be written is found without asking the API server. Two things
// are compared with the object in the cache: a hash of what was applied last,
// kept in an annotation, tells that something else is wanted now; and whether
// everything that is wanted still stands in the object tells that somebody
// changed it. Fields that somebody added to a spec are found by Strip, which
// sees the managed fields before the cache drops them; they are taken over and
// so removed. Labels, annotations and finalizers that others add are theirs.
//
// An Applier may be used from any goroutine; it starts none. The package knows
// nothing of tenants beside their label.
//
// The markers below are all rights that the operator has in a tenant's
// namespace. They become a role of their own, config/rbac/role_tenant_objects.yaml,
// so that an installation can bind it to listed namespaces. Pods are never
// created, roles and bindings never touched: nobody gains rights through it.
//
// +kubebuilder:rbac:groups=pbx.dipcast.io,resources=pbxtenants;naverworksbots,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=pbx.dipcast.io,resources=extensionplans;siptrunks;callflows,verbs=get;list;watch
// +kubebuilder:rbac:groups=pbx.dipcast.io,resources=pbxtenants/status;extensionplans/status;siptrunks/status;callflows/status;naverworksbots/status,verbs=patch
// +kubebuilder:rbac:groups=pbx.dipcast.io,resources=pbxtenants/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets;services;persistentvolumeclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=events,verbs=list
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=externaldns.k8s.io,resources=dnsendpoints,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors;prometheusrules,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;create;patch;delete
package apply

//go:generate go tool controller-gen rbac:roleName=dipcast-tenant-objects,fileName=role_tenant_objects.yaml paths=. output:rbac:dir=../../config/rbac
