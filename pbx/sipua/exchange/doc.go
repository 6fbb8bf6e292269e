// Package exchange is what legs need of a request and its responses before any
// dialog: an Incoming one of the peer, which is answered once; where requests
// go next; how long is waited. It knows sipgo's transactions and no dialogs.
package exchange
