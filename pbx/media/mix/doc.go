// Package mix joins voices: each hears all the others and never itself (N-1).
//
// A Mixer has one owner, who also owns all that its voices hold, and no clock:
// each Tick is one frame of 20 ms.
//
//	8 kHz voices ─► gate ─► sum ─┬────────────────► sum - own ─► 8 kHz voices
//	                             └─ up ──┐  ┌─ down ──┘
//	16 kHz voices ─► gate ─► sum ┬───────┼──┘
//	                             └───────┴────────► sum - own ─► 16 kHz voices
//
// The rates are brought together once for all, not for each voice: what a voice
// has said itself is only in the sum of its own rate. So G.711 phones among
// themselves cost no filter at all, and wideband ones cost two, however many
// they are. Wideband voices hear each other in wideband.
//
// Who says nothing is not added, and all of them hear the same: they are told
// so, since it needs to be encoded only once. The hum of an open microphone is
// nothing.
//
// Sums are cut off at 16 bits. A tick allocates nothing. The package knows
// nothing of packets, codecs and calls.
package mix
