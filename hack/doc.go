// Package hack guards the house: its tests fail when a package imports what
// it must not know (deps_test.go) or grows too large to read
// (limits_test.go).
package hack
