// Package tone makes the sounds that a telephone network makes (ringback,
// busy, hold, short beeps) and finds tones in samples.
//
// Sources compute their samples while they are read; they hold no buffer,
// never block and never allocate in Read. A source belongs to the one reader
// it was made for. The package starts no goroutine and knows nothing of RTP.
package tone
