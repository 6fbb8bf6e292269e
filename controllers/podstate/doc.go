// Package podstate turns what Kubernetes says of a tenant's pod into one
// condition that a person can act on: what is wrong, and the cure.
//
// It is pure: it reads objects that were handed to it and knows no client. It
// never names another tenant, since the message is shown to this one.
package podstate
