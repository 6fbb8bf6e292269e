// Package kubecmd holds the commands of `kubectl dipcast`: status, calls,
// drain, doctor and logs of the tenants in a cluster.
//
// A command reads the cluster, asks the PBX through it, and writes text for
// people or JSON and YAML with stable names. What it decides (what is wrong,
// what to do next, which columns fit) are pure functions over what was read.
// The commands run in the caller's goroutine and change nothing but drains.
// Time, terminal, network and cluster are handed in by Env.
package kubecmd
