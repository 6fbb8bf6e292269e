// Package capped bounds the connections of a listener, in total and from one
// source. Slow senders lose theirs by the server's timeouts; the caps keep them
// from taking every place until then.
package capped
