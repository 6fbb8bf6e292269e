// Package media names the parts of the audio path: what offer and answer
// settled for one leg (Stream), and the end of a leg where RTP comes and goes
// (Port). Package rtpio makes ports from sockets; the call engine only says
// who hears whom.
//
// Packets never pass through a call's goroutine. A port reads an immutable
// snapshot of its routing (an atomic pointer) for each packet; the methods
// here replace that snapshot.
package media
