// Package sipua is the SIP side of the PBX and the only importer of sipgo in
// it: listeners, admission, registration, and the dialogs that are the legs of
// calls. sipgo parses, sends and runs transactions; dialog state is ours
// (package dialog), so that it can be written down.
//
// One Agent serves one tenant. It owns the sockets and the goroutines that
// read them; each leg owns one goroutine that owns its dialog. The gate
// (package gate) keeps what was not asked for away from sipgo.
//
// The package knows nothing of calls: it hands an admitted INVITE to a
// leg.Receiver and tells each leg's leg.Listener what happens.
package sipua
