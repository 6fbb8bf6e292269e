// Package stream numbers the packets of the two streams of a leg: In counts and
// judges what comes (RFC 3550 Appendix A), Out makes one unbroken stream of
// whatever is sent, and both go on in another process.
//
// In belongs to one goroutine. Out may be used by several, one at a time: each
// claims it first, and nobody waits. The package knows nothing of sockets,
// codecs or whose audio it is.
package stream
