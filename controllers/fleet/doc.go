// Package fleet remembers, in the operator's memory, what tenants have to know
// of each other: who holds which host ports, domain and bot. Asking it costs no
// API call and no walk through the cache.
//
// It is filled by the events of the tenants and bots, so it lags as they do.
// What this operator itself has just decided is kept beside it until the
// events have caught up: two tenants that are served at the same moment never
// get the same ports. All methods may be called from any
// goroutine; the package starts none and writes nothing.
package fleet
