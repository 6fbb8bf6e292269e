// Package doctor finds what keeps a DIPCAST installation or a tenant from
// working, and says the cure.
//
// Gather reads the cluster and Prober asks the network from where the user
// stands; both only fill a Snapshot. Examine is a pure function over it: an
// ordered list of checks, each of which returns findings. The order is that in
// which a person should read them, causes before effects.
//
// The package changes nothing in the cluster, prints nothing, and waits for
// every goroutine that it starts. It must not learn of flags or terminals.
package doctor
