// Package stage is what the demos have in common: the people, the phones, the
// telephone company and the story that they play, wherever the PBX runs; and
// the programs around it. It must not know how the PBX was started.
//
// A Scene owns its phones. Programs own one goroutine for each process, which
// waits for its end.
package stage
