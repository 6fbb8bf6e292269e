// Package watch says what the operator keeps in memory of a cluster, how it is
// found again, and which changes of it matter.
//
// It has no goroutine and no state: options, indexes, transforms and predicates
// that the caller hands to controller-runtime. It knows nothing of what is done
// about a change.
package watch
