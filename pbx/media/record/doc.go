// Package record writes calls to files: one stereo A-law WAV each, at 8 kHz,
// left what the caller says, right what the caller hears. One goroutine
// writes all calls of a tenant.
//
//	media.Tap ─► queue of each side ─┐
//	                                 ├─► place by time ─► window ─► file
//	media.Tap ─► queue of each side ─┘   (anchor)          (silence where nothing came)
//
// The tap side runs in the goroutines of the media plane: it copies the
// payload into a queue, as it is, and nothing else. Everything that costs
// time is the writer's: it comes to each call once a second, a part of the
// calls at a time so that no burst of work disturbs the relay, and writes
// what is older than the window in which packets may be out of order, in one
// block.
//
// A sample lies in the file where it was heard by the clock: RTP timestamps
// say where a packet belongs beside those before it, its arrival where the
// stream as a whole belongs. A sender whose clock drifts is put right when it
// is out by 40 ms, a stream that begins anew at once. So both channels stay
// with the wall clock however long the call lasts, and a recording that a
// crash broke off goes on at the right place in the same file, with silence
// for the time of nobody.
//
// The file is a valid WAV at any moment: its header is written again behind
// each block. A process that is killed loses about the last second and a half.
// A disk that is full or fails costs the recording what could not be written,
// never the call; the recording goes on when there is room again.
package record
