// Package phonecmd is `dipcast phone`: a SIP phone for the terminal and for
// scripts. It reads commands from a flag, a file or the standard input, runs
// them one after another, and prints one line per result and per event.
//
// The phone's own goroutines print events through the session's lock; all
// else happens in the goroutine that called Run, which returns when the
// commands are over and the phone is closed.
package phonecmd
