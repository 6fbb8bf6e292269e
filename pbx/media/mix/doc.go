// Package mix joins voices in a room: each member hears all the others and
// never itself (N-1).
//
// One goroutine owns a room and all that its members' voices hold; Join, Leave
// and Close are messages to it. The clock is handed in: each tick is one frame
// of 20 ms.
//
//	8 kHz members ─► sum ─┬────────────────► sum - own ─► 8 kHz members
//	                      └─ up ──┐  ┌─ down ──┘
//	16 kHz members ─► sum ┬───────┼──┘
//	                      └───────┴────────► sum - own ─► 16 kHz members
//
// The rates are brought together once for the whole room, not for each member:
// what a member has said itself is only in the sum of its own rate. So a room
// of G.711 phones costs no filter at all, and one with wideband members costs
// two, however large it is. Wideband members hear each other in wideband.
//
// Sums are cut off at 16 bits. A tick allocates nothing. The package knows
// nothing of packets, codecs and calls.
package mix
