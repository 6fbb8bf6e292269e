// Package state is what is known of one call: plain data, which can be written
// between any two steps of the call and taken up again by another process.
//
// It says what follows from the data alone and decides nothing: what becomes of
// a call is the affair of package call.
package state
