// Package controllers holds the reconcilers of the operator, each in the form
// gather → decide → apply → report. tenant.go is the tenant's, step by step;
// class.go, bot.go and directory.go are those of their kinds, member.go is that
// of plans, trunks and flows.
//
//	gather   everything is read first: from the cache, Secrets once from the API server
//	decide   packages that know no client say what is right: hostport, compile, desired, rollout, roster
//	apply    what differs is written, by server-side apply; what must not exist is deleted
//	report   one status patch at the end, on every path, only when it says something new
//
// The tenant's reconciler compiles all objects of its tenant; what that said of
// plans, trunks, flows and bots reaches their reconcilers through
// controllers/verdict. setup.go is the one list of what is watched and why,
// conditions.go writes a tenant's conditions (finish.go those of its end; ports
// and updates tell theirs where they are decided), events.go names every event.
//
// The goroutines are those of controller-runtime's controllers, and the
// runnables that setup.go adds to the manager, which waits for them. A tenant
// is reconciled by one of them at a time. The package knows of the PBX world
// its document (pbx/conf) and the NAVER WORKS client (pbx/works).
//
// The markers below are the operator's rights on what belongs to no namespace;
// those in a tenant's namespace stand in controllers/apply.
//
// +kubebuilder:rbac:groups=pbx.dipcast.io,resources=pbxclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=pbx.dipcast.io,resources=pbxclasses/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumes,verbs=get
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch
package controllers

//go:generate go tool controller-gen rbac:roleName=dipcast-operator paths=. output:rbac:dir=../config/rbac
