// Package v1alpha1 holds the resources of group pbx.dipcast.io: what a managed
// service provider and a tenant's administrator write, and what the operator
// reports back. One file per kind.
//
// Each field says its unit, default and limit. What one object can break
// alone is refused by the API server through the schema and CEL rules here,
// each with a message that names the cure; what needs two objects (a duplicate
// number, a missing Secret) is found by controllers/compile and shown in the
// condition Accepted of the object at fault.
//
// The package imports nothing of ours, holds no behaviour and no state.
//
// +kubebuilder:object:generate=true
// +groupName=pbx.dipcast.io
package v1alpha1

//go:generate go tool controller-gen object paths=. crd:maxDescLen=2000 output:crd:dir=../../config/crd
