// Package voice turns a stream of RTP payloads into audio and back, a frame of
// 20 ms at a time, for those who cannot pass packets on as they are: rooms of
// several people, and two phones without a codec in common.
//
//	packets ─► inbox ─► jitter buffer ─► decoder, concealment ─► Ear.Hear
//	                                       Mouth.Say ─► encoder ─► payload
//
// An Ear is filled by one goroutine (the one that reads the socket: Put copies
// the payload into a ring and does nothing else) and heard by another, which
// owns all the rest. A Mouth has one owner. Neither has a clock or knows of
// sockets: who owns them is driven every 20 ms. Nothing is allocated per frame.
package voice

import "time"

// Frame is the length of a frame.
const Frame = 20 * time.Millisecond
