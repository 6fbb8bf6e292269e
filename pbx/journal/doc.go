// Package journal is a file that outlives the process: records under a kind
// and an ID, of which the last one of each counts. What calls need to go on
// after a crash is kept in one.
//
//	frame: magic 4 | length 4 | CRC-32C 4 | salt 16 | counter 8 | AES-256-GCM(op, kind, ID, value)
//
// The file is appended to and never changed: a Put is one write and is in the
// kernel's hands when it returns, so that it survives the death of the
// process; a goroutine syncs the file once in a second, so that a loss of power
// costs about that much. Each frame stands for itself. A torn tail is cut off,
// and damage in the midst costs the frames that it lies in and no other. When
// most of the file is of no use any more the rest is written anew and takes
// its place by rename.
//
// Records are encrypted under a key of each process, derived from the one that
// Open is given and a salt that stands in every frame. A lock beside the file
// keeps two processes from sharing it. A full disk stops nothing but the
// writing: Put tells the error, the log tells it once, Stats shows it, and the
// next Put tries again.
//
// The package knows nothing of calls. Close ends its goroutine.
package journal
