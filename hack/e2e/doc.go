// Package e2e holds the acceptance tests: the product built from the sample
// manifests, with real phones, a carrier and the NAVER WORKS simulator, on
// loopback. rig_test.go is the stage; each other file is one topic.
package e2e
