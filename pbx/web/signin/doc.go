// Package signin signs people in with NAVER WORKS (OpenID Connect,
// authorization code flow) and remembers them in a signed cookie.
//
// It says who somebody is, never what they may see: that is asked anew on
// every request by package web. It holds no session store; a cookie carries
// everything, is signed with HMAC-SHA256 under a key of this tenant and purpose,
// and ends after twelve hours. The provider is looked up at the first sign-in
// and never at start, so that a PBX without a way out starts all the same.
// The package owns no goroutine.
package signin
