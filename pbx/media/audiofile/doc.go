// Package audiofile reads and writes WAV files and keeps the prompts that
// callers hear.
//
// Files are read whole, when they are loaded; a source plays from memory, so
// it never waits for a disk. The samples of a Sound are shared by all of its
// sources and never written again. The package starts no goroutine and knows
// nothing of RTP or calls.
package audiofile
