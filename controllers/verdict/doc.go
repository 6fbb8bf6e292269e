// Package verdict keeps what the compiler said of each object, from the
// reconciler of the tenant, which compiles, to those of the objects, which
// write it into their status. It is memory only: after a restart every tenant
// is compiled again.
//
// All methods may be called from any goroutine; the package starts none and
// knows no client.
package verdict
