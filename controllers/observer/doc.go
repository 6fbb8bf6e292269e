// Package observer asks every running PBX for its report and tells the
// operator when something changed.
//
// One goroutine, Start's, owns the schedule: it hands due targets to at most
// Options.Workers requests at a time, each a goroutine that it waits for.
// Targets that did not answer the last time get no more than half of them, so
// that a dead node does not starve the others. The table of targets is guarded
// by a mutex, since reconcilers read and change it at any time.
//
// A target that nobody waits for is asked every ten seconds, one whose document
// or process is awaited every quarter of a second at first, one that does not
// answer less and less often. Options.Changed is called at once for what
// decides something, and at most once in ten seconds for counts of calls and
// phones.
//
// The address of a target comes from the tenant's pod and status, never from a
// manifest; a report that names another tenant is refused. The package knows
// neither the API server nor what is done about a report, and no text that it
// makes holds a token.
package observer
