// Package hostport cuts a pool of host ports into slots, one slot per tenant,
// so that tenants with host networking never meet on a port.
//
//	pool.From (even)
//	│ SIP  SIPS WSS  HTTP Admin spare │ RTP … RTP │ next slot
//	└──────── 6 signalling ports ─────┘ 8 a call ─┘
//
// Assign answers which slot a tenant has, given the claims of all:
//
//  1. It keeps its ports while they are a slot of its class's layout, nobody
//     with a better right holds a part of that block, and fewer tenants with a
//     better right hold exactly that block than there are nodes. A tenant whose
//     pod never ran leaves a shared block as soon as a slot is free: that is
//     what a race of two operators made, and moving costs nothing yet.
//  2. Otherwise the lowest slot that touches no block of anybody, of whatever
//     class, also none that a pod is only about to leave.
//  3. Otherwise the slot with the fewest tenants of the same class on exactly
//     its block, if one more still finds a node of its own. Blocks that overlap
//     in part are never shared: the scheduler compares declared ports, and
//     would not see RTP of one tenant under SIP of another.
//  4. Otherwise an error that names the pool and the cure.
//
// The better right is that of a tenant whose pod has run, then that of the
// older one, then the name. The answer depends on the claims alone, not on
// their order or on who asks: two operators that made a duplicate both find
// the same tenant to move.
//
// The package is pure: it starts no goroutine, keeps no state and imports
// nothing of ours. Who owns which slot is kept by its callers.
package hostport
