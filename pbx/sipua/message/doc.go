// Package message reads and writes what stands in the SIP messages of legs:
// headers, bodies, causes and identities, on top of sipgo's parser. Every
// function is pure and takes whatever the network sent: what cannot be read
// counts as absent.
package message
