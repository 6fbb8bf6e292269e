// Package desired builds the Kubernetes objects of one tenant, one file per
// kind.
//
// Every builder is a pure function of Input: no clock, no client, no cluster.
// An object that must not exist is nil. Objects carry what the operator owns
// and nothing that the API server fills in, so that applying them twice
// changes nothing.
package desired
