// Package observer asks every running PBX for its report and tells the
// operator when something changed.
//
// One goroutine, Start's, owns the schedule: it hands due targets to at most
// Options.Workers requests at a time, of which those that did not answer the
// last time get no more than half, so that a dead node does not starve the
// others. A second goroutine hands out events. Start returns after all of them
// have ended. The table of targets is guarded by a mutex, since reconcilers
// read it at any time.
//
// The address of a target comes from the tenant's status and pod, never from a
// manifest. A report that names another tenant is refused. The package knows
// neither the API server nor what is done about a report, and it never writes
// a token anywhere.
package observer
