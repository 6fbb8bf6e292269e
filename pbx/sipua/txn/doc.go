// Package txn is the table of live transactions (RFC 3261 §17). The state
// machines are sipgo's; which message belongs to which of them, where its
// messages are written, and how many there may be is decided here.
//
// sipgo's own transport and transaction layers are not used: they remember
// every source address for ever, refuse datagrams above 1300 bytes, dial and
// read TCP connections past the gate, start a goroutine per message, and log
// packets that they cannot parse (docs/decisions/0002).
//
// A server transaction owns no goroutine but the one that runs the Serve
// function given to Begin; served, it is boiled down to the bytes of its
// answer. A client transaction has one while responses wait to be handed to it
// in their order. Close ends all and waits for them.
package txn
