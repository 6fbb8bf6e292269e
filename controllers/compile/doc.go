// Package compile turns all resources of one tenant into the document that
// its PBX runs, and says what is wrong with them.
//
// Compile is a pure function: no clock, no network, no cluster; whoever calls
// it gathers the resources, the Secrets and the ports. It finds every problem
// at once, in a stable order, and names the object, the field, the value and
// the cure.
//
// There are two severities. An Error is what would harm the customer in
// silence: a call that goes nowhere, audio in the clear against the wish, a
// number that two people own. With any Error there is no document, and the
// caller goes on with the last good one: a wrong manifest never takes a
// working tenant down. A Warning is what leaves the telephone working: a
// feature that this version does not serve yet is left out of the document.
//
// The package imports api and pbx/conf and must not learn of clients,
// caches or files.
package compile
