// Package leg is the edge between the call engine and the SIP side: what the
// engine may ask of one dialog (Leg), what it is told (Listener), how outgoing
// legs are made (Dialer) and incoming ones taken (Receiver). Package call
// implements Receiver and Listener, package sipua implements Leg and Dialer,
// package server joins them; neither side imports the other.
//
// The package holds no behaviour and knows nothing of SIP messages or SDP.
package leg
