// Package jitter puts the packets of one audio stream back in order and in
// time, for those who decode: a mixer, a change of codec, a menu. What is only
// passed on needs none and gets none, since the phone at the other end has its
// own.
//
// A Buffer goes by timestamps, not by sequence numbers, so that packets of any
// length, pauses of the sender and lost packets are told apart. Who takes from
// it at a steady pace is given packets, or is told what is missing and of what
// kind, and conceals it as its codec can.
//
//	Put ─► sorted by timestamp ─► Take: Audio │ Lost │ Pause │ Idle
//
// An adaptive buffer lets its time stand still while nothing is there, so the
// delay grows by what the network was late; when more than needed has lain
// there for two seconds it leaves a packet out. A fixed one keeps its delay
// whatever comes: a modem's audio must be neither stretched nor cut.
//
// A Buffer has one owner and no clock: time is what is taken. Nothing is
// allocated once payloads have reached their size.
package jitter
