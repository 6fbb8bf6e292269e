// Package dtmf turns key presses into RFC 4733 events and INFO bodies and
// back. All of it is pure: bytes in, values out; time is handed in.
//
// The package sends and receives nothing; package rtpio carries the events,
// the SIP side carries the INFO requests.
package dtmf
