// Command bundle makes what is handed to people: the packaged chart, and one
// archive for closed networks with images, chart, kinds, the command line,
// checksums, a bill of materials of each program and the way to install it.
// The same commit gives the same bytes.
package main
