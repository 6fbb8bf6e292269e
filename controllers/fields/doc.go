// Package fields has the tests that give every field of every kind a wrong
// value: on a real API server, with the operator beside it and tenants that
// work. Each wrong value is refused with a message that names the field and
// the cure, or told in a condition; and the tenant goes on as it was.
//
// What can be wrong is derived from the generated schemas. What only a rule or
// the compiler knows stands in tables, and so do the fields that cannot be
// wrong, each with the reason: a new field that is in neither fails the tests.
// There is nothing here for other packages.
package fields
