// Package convert carries audio over from one codec to another where two legs
// have none in common, and plays sources to legs whose codec is costly.
//
//	payloads ─► Ear ─► rate ─► Mouth ─► payloads      (Line)
//	   source ─────► rate ─► Mouth ─► payloads        (Player)
//
// A Line or a Player is one direction of one call; a Crew has the goroutines
// that run them, one for each core at most, so that no codec ever runs where
// packets are read. A worker owns its jobs from Add until Run reports that they
// are over; it has a ticker only while it has jobs.
//
// A conversion costs delay as well: that of the jitter buffer and up to a frame
// more. Calls are settled so that few of them need one.
package convert
