// Package replace carries out what rollout decides about a running PBX: it
// has another image tried, takes the tenant's turn in the fleet, asks the PBX to
// be quiet, and then changes the pod's image or deletes the pod.
//
// It remembers what it decided last about each tenant, since the cache may show
// the status and the pod of a moment ago: nothing is done or told twice for
// that. A Replacer starts no goroutine; tenants may be replaced from several,
// one tenant from one at a time. When a PBX may be replaced, and which words say
// so, is rollout's; the status is the caller's.
package replace
