// Package audio is the sound of one phone call: an RTP and an RTCP socket, a
// sender that speaks a frame each 20 ms, a receiver that records what it
// hears, counts what is lost, finds DTMF and recognises tones.
//
// A Session owns three goroutines (sender, RTP reader, RTCP reader); Close
// ends them and waits. What is said is chosen by Play; where it goes, and
// whether it goes at all, by Apply.
//
// The package is meant to be an independent check of the PBX's own media
// plane, so it shares nothing with it but the codec tables. It knows nothing
// of SIP.
package audio
