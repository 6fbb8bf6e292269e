// Package sim is a NAVER WORKS to develop and test against: the token
// endpoint, bot messages, attachments, the bot's settings, users, contacts,
// sign-in with OpenID Connect, signed callbacks, and a chat page on which an
// employee's cards can be looked at and their buttons pressed.
//
//	PBX ──token, messages──► Server ──SSE──► chat page
//	 ▲                         │                │
//	 └──── signed callback ────┴──── press ◄────┘
//
// It is stricter than kind: what the documents do not allow is refused with
// the documented error body. Faults (latency, rate limits, errors, silence,
// lost and doubled callbacks) come on demand, through Go or under /sim/; so do
// changes from outside: of members, of a bot's settings, of credentials.
//
// A Server keeps everything in memory under one mutex. It owns its listener
// and the goroutines of late callbacks; Close ends and awaits them. It must
// not learn anything of calls or of the PBX.
package sim
