// Package cluster is the command line's way to a Kubernetes cluster: it finds
// the user's kubeconfig and context as kubectl does, reads objects, reads logs,
// and speaks to the admin port of a tenant's PBX through the API server, so
// that whoever may forward ports needs no route to the node.
//
// It starts no goroutine but one for each forwarded connection, which ends
// with it. It keeps nothing between two commands and prints nothing.
package cluster
