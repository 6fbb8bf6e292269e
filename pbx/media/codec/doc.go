// Package codec knows the audio formats that the PBX speaks: their SDP names,
// their RTP payload types (RFC 3551 §6) and ITU-T G.711 itself: A-law and µ-law
// to and from linear samples, and directly from one to the other. The codecs
// that need a state are packages of their own.
//
// Everything here is a pure function over tables that are made once and never
// written again. The package starts no goroutine and knows nothing of RTP
// packets or SDP bodies.
package codec
