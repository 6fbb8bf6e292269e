// Package worksync reconciles what the operator does with NAVER WORKS: a
// tenant's bot, and the extensions that a plan takes from the directory.
//
//	NaverWorksBot ─► credentials proven ─► callback and menu set ─► callback URL answered by the right PBX
//	ExtensionPlan ─► directory read, once for all plans of a tenant ─► roster.Decide ─► status.directory
//
// Each look at the service has a Check: it is taken again when what it depends
// on has changed, otherwise at a bounded rate, so that a reconcile for any
// other reason sends nothing. What was set on the service is noted in the bot's
// status first, and taken back by it when the bot or its tenant goes; who
// cannot be reached for ten minutes does not hold a namespace.
//
// The package starts no goroutine: controller-runtime's call it, each object by
// one of them at a time. It knows NAVER WORKS through controllers/naverworks
// and decides about people by controllers/roster. How conditions are written
// and Secrets are read is handed in by package controllers, which wires it.
//
// +kubebuilder:rbac:groups=pbx.dipcast.io,resources=naverworksbots;extensionplans,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=pbx.dipcast.io,resources=naverworksbots/status;extensionplans/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;delete
package worksync
