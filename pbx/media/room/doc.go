// Package room seats phones around a table: each hears all the others and never
// itself, whatever codec it speaks.
//
//	poller: Seat.Put ─► Ear ─┐                       ┌─► Mouth, one for each who speaks ─► Line.Emit
//	                         ├─► Mixer ─► N-1 ──────┤                                          each
//	poller: Seat.Put ─► Ear ─┘        └─► the common ┴─► scribe, one for each codec ──────► Line.Emit
//
// A Room is a job of the crew that runs codecs (package convert), from the
// first who joins until the last has left: one worker owns all that is in it,
// the crew's clock is that of all rooms, and the goroutine that reads a socket
// does no more than fill an ear. Everybody else says by a flag or a list what
// the worker is to do with the next frame. A frame allocates nothing.
//
// All who say nothing hear the same, so it is encoded once for each codec by a
// scribe. G.711 remembers nothing: who falls silent hears the scribe from then
// on. A G.722 decoder goes with its encoder: who begins to speak takes a copy of
// the scribe's and notices nothing; who falls silent keeps its own until both
// have coded nothing but silence for a while, when the two are so near to each
// other that the change is the least step of the quantiser. Opus members
// keep their own.
//
// The package knows nothing of sockets and calls; no call leads into a room yet
// (spec.conferences is not served).
package room
