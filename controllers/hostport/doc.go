// Package hostport cuts a pool of host ports into slots, one slot per tenant,
// so that tenants with host networking never meet on a port.
//
//	pool.From (even)
//	│ SIP  SIPS WSS  HTTP Admin spare │ RTP … RTP │ next slot
//	└──────── 6 signalling ports ─────┘ 8 a call ─┘
//
// The package is pure: it starts no goroutine, keeps no state and imports
// nothing of ours. Who owns which slot is kept by its callers.
package hostport
