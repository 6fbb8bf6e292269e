// Package sdp is offer and answer (RFC 3264) for one leg's audio: what we say
// in SDP, what the peer's SDP means for us, and the media.Stream that comes of
// the two.
//
// A Session is a plain value that can be written down as JSON; its methods are
// pure but for its own fields, and change nothing when they return an error.
// Descriptions come from the network and are hostile: Parse bounds their size
// and never panics. The package starts no goroutine and knows nothing of SIP
// messages or sockets.
package sdp
