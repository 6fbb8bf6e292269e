// Package cdr turns the events of calls into call detail records: one record
// per call, when its last leg is over.
//
// Fold is pure. Recorder is the goroutine around it: it takes events without
// blocking the call, writes records to a pbx.CDRStore, and keeps what the
// store refuses in a bounded list, and in the journal, until the store takes it
// again: a database that is away, or a full disk, delays records and does not
// stop calls, and a process that dies meanwhile leaves them to the next one. The package knows neither
// databases nor the engine.
package cdr
