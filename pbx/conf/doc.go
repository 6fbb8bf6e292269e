// Package conf is the contract between the operator and the PBX: one plain,
// versioned document that says everything about one tenant. The operator
// writes it into a Secret, the PBX reads it from a file; `dipcast up` passes
// it in memory.
//
// The package has no behaviour but Validate, Equal and text. It imports
// nothing but the standard library and must never learn of Kubernetes or SIP.
// A Document is immutable once it was handed out.
package conf
