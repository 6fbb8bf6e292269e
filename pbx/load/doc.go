// Package load judges how near the PBX is to what it can carry, so that new
// calls are refused before those that are up suffer.
//
//	Meter ─ Sample ─► Judge ─ Level ─► who may begin a call (sipua/edge)
//
// The Judge is pure: it sees samples, one each Interval, and nothing else. A
// Meter takes them from the process, its control group and the media; it needs
// no rights. TendGarbage, for a goroutine of the program, suits the collector of
// garbage to the load. The package knows nothing of SIP, calls or packets.
package load
