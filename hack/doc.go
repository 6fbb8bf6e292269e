// Package hack guards the house: its tests fail when a package imports what
// it must not know (deps_test.go), grows too large to read or keeps what
// everybody can change (limits_test.go), or when the tests of a pure core
// leave too much untried (coverage_test.go).
package hack
