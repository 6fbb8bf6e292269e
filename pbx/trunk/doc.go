// Package trunk keeps the lines to the telephone companies: it registers
// where a trunk wants registration (RFC 3261 §10.2), asks every host for signs
// of life with OPTIONS (§11), and answers which host a call should try, which
// trunk a packet came from, and which caller number may be shown.
//
//	            Apply                     results
//	Set ───────────────► owner (1/trunk) ◄─────── workers: REGISTER, OPTIONS, look-up
//	 ▲                      │ publish
//	 └── atomic snapshots ◄─┘   Hosts, Up, Match, Status read these without a lock
//
// One goroutine owns one trunk: it alone changes the trunk's state, its timers
// live in its select, and it waits for the workers it starts. Set starts the
// owners and Close waits for all of them. A trunk whose hosts and credentials
// are unchanged keeps its owner, and so its registration, when a new document
// is applied.
//
// # Whose challenge is answered
//
// A callee behind the trunk must not be able to make us compute a digest for
// it (the SIP digest leak). So a challenge is answered only if it came as the
// response to a request that we sent to one of the trunk's hosts, and only for
// one realm: conf.Trunk.Realm if it is set, else the first realm that one of
// the trunk's hosts challenged with, which stays pinned as long as the trunk's
// hosts and credentials do. Set.PermitRealm decides; a Transport must ask it
// (through RegisterRequest.PermitRealm) before it uses the password, and must
// never answer challenges that come from phones.
//
// The package sends nothing itself and knows nothing of SIP messages: a
// Transport does the talking.
package trunk
