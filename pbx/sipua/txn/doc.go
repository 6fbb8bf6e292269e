// Package txn is the table of live transactions (RFC 3261 §17). The messages
// are sipgo's, and so is the state machine of servers; that of clients, which
// message belongs to which transaction, where its messages are written, and how
// many there may be is decided here.
//
// sipgo's own transport and transaction layers are not used: they remember
// every source address for ever, refuse datagrams above 1300 bytes, dial and
// read TCP connections past the gate, start a goroutine per message, and log
// packets that they cannot parse (docs/decisions/0002).
//
// A server transaction owns no goroutine but the one that runs the Serve
// function given to Begin; served, it is boiled down to the bytes of its
// answer. A client transaction has none: it is bytes and a timer, and tells what
// comes from where the socket is read. Close ends all and waits for them.
package txn
