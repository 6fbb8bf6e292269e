// Package condition decides what a tenant's status says: one pure function per
// condition, from what was gathered to a status, a reason and a sentence that a
// person can act on.
//
// Messages are stable: they hold no time and no number that changes by itself.
// They never name another tenant and never hold a secret. The package knows no
// client and writes nothing.
package condition
