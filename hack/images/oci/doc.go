// Package oci makes container images without a container engine: an empty
// base, one layer with a static program and the few files that it needs, and a
// configuration that runs it as nobody. The same input gives the same digest.
//
// It knows nothing of what the programs do, starts no goroutine and keeps no
// state.
package oci
