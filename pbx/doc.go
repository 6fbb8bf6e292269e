// Package pbx holds the nouns of the telephone system: calls, legs, parties,
// events, commands, call detail records and the errors that may be shown to
// people. Every other package of the PBX speaks in them.
//
// The package has no behaviour beyond validation and text, starts no
// goroutine, and imports nothing but the standard library. Values are plain
// and immutable by convention: who receives one must not change it.
package pbx
