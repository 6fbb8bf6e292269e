// Package txn is the table of live transactions (RFC 3261 §17). The messages
// are sipgo's; which message belongs to which transaction, where its messages
// are written, and how many there may be is decided here.
//
// sipgo's own transport and transactions are not used: they remember every
// source address for ever, refuse datagrams above 1300 bytes, dial and read TCP
// connections past the gate, start goroutines per message, keep what was
// answered until the last timer, and log packets that they cannot parse
// (docs/decisions/0002, 0011).
//
// No transaction has a goroutine. It is bytes and a timer, and tells what comes
// from where the socket is read; a server's that was answered is boiled down to
// the bytes of its answer. Close ends all.
package txn
