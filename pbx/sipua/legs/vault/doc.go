// Package vault keeps what answered legs need to go on in another process: a
// Record of each, written by its leg whenever it says something new, and the
// state of its media port, which a goroutine writes again now and then for all
// of them in one piece: within a second when the port's streams have changed,
// every few seconds for the counters.
//
// New reads what an earlier process has left; each record is taken once. The
// package knows what is in a record and not what it is for.
package vault
