// Package secret reads the Secrets that manifests name and makes those that
// they leave to the operator.
//
// The operator's cache holds only Secrets with the label LabelWatched. One that
// a manifest names is read once from the API server and gets the label; no
// other Secret is ever read, and none is listed. Contents go to the caller alone:
// never into an error, a log or an event. A Keeper may be used from any
// goroutine and starts none that outlives a call.
package secret
