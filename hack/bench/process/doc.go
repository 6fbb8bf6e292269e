// Package process runs the programs that the benchmarks measure, and reads
// what they cost from /proc.
//
// A Process has one goroutine, which waits for its end; Stop awaits it. The
// package knows nothing of what the programs do.
package process
