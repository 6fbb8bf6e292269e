// Package gate stands between the SIP sockets and everything that keeps
// state. It reads datagrams and cuts TCP streams into messages, looks at each
// message with a scanner of its own, and drops it, answers it without keeping
// anything (RFC 3261 §8.2.7), or hands it to a Handler.
//
//	socket ─► ban list ─► scan ─► known dialog? ─► token bucket ─► sanity ─► Handler
//	            drop       drop                        drop        400, 405, 416,
//	                                                               420, 482, 483, 505
//
// All tables are bounded: buckets and bans have a fixed number of places,
// connections a cap in total and per source. What a flood leaves behind is
// counters.
//
// Each UDP socket and each TCP connection has one goroutine that reads it and
// calls the Handler; Close ends and Serve awaits them. The package knows
// nothing of users, passwords, dialogs or calls, and does not import sipgo.
package gate
