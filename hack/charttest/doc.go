// Package charttest holds the tests of charts/dipcast and of its twin,
// config/default: golden renders, the schema of the values, that every object
// is one that an API server takes, that rights and kinds are the generated
// ones, and an installation on a real API server. `go test -update` rewrites
// the golden files.
package charttest
