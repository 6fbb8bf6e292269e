// Package calls is what the acceptance tests of one machine and those of a
// cluster share: calls between test phones, each with tones of its own, and what
// must be true of their records and recordings whatever was done to the PBX
// meanwhile.
package calls
