// Package nodes answers on which nodes the tenants of a class may run, and
// which addresses phones and trunks reach them at there.
//
// The package is pure: it reads Node objects that were handed to it and knows
// no client. A cordon or a node that is not ready changes nothing here: such a
// node comes back, and the PBX that still runs on it needs its address.
package nodes
