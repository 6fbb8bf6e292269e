// Package kubetest gives tests of the operator a real API server, and around
// it what a cluster has and a bare API server has not: a scheduler, a kubelet,
// a controller of StatefulSets, and in each running pod something that answers
// like a PBX. They are small and in the test's own process, so that a test can
// make them refuse, lag or die.
//
// A Cluster is shared by all tests of a package (TestMain), each in namespaces
// of its own. The goroutines of Nodes are waited for by its Stop. The package
// is for tests alone.
package kubetest
