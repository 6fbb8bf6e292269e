// Package web is a tenant's HTTP: the bot's callback endpoint, the REST
// interface, the console of employees and administrators, and health.
//
//	POST /works/callback     NAVER WORKS, signature in the header
//	/api/v1/...              machines, bearer token
//	/, /calls/ID, /sign-in   people, session cookie of package signin
//	/healthz, /readyz        whoever reaches the port
//
// AdminHandler, on the admin listener, has health, /metrics, the REST interface
// once more, and what its maker adds behind the same token.
//
// Handlers work in net/http's goroutines. The server owns the few goroutines
// that serve verified callbacks; they live in Run, which waits for them. All
// memory that strangers can fill is bounded: duplicates, rate limits, the
// queue of callbacks.
//
// The package speaks to the PBX through the interfaces of package pbx and
// knows neither SIP, nor the store's database, nor the NAVER WORKS client.
// What somebody may see is decided anew on every request from the present
// configuration, never from the cookie.
package web
