// Package repeat makes builds repeatable: the same commit gives the same bytes
// on every machine. It knows how programs are compiled, which time stands in
// what is made of a commit, and how an archive is written whose every byte
// follows from its entries. It starts no goroutine and keeps no state.
package repeat
