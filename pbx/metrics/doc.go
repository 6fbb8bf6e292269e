// Package metrics holds the Prometheus collectors of one tenant's PBX: every
// name, help text and bucket stands in the table of names.go.
//
// A Set has its own registry and hangs on nothing global. It takes call
// events as a pbx.EventSink and the rest as plain numbers; it knows neither
// the engine nor SIP nor NAVER WORKS. No label carries a number, a name or an
// address: the count of series is bounded by the product, not by traffic.
package metrics
