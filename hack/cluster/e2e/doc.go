// Package e2e holds the acceptance tests of the operator on a real Kubernetes:
// the local cluster (make cluster) with real kubelets, the images and the chart
// of this work tree, NAVER WORKS simulated, real phones and a carrier. `make
// e2e` runs them where the cluster's outside world is, in the fabric; the build
// tag "cluster" keeps them out of `go test ./...`.
//
// stage_test.go is the installation that all tests share, company_test.go a
// tenant with its phones, kube_test.go the way to the cluster, machines_test.go
// the nodes and the control plane. Each other file is one topic. Every company
// lives in a namespace of its own, which goes with its test; when a test fails
// it first shows what the cluster says of it.
package e2e
