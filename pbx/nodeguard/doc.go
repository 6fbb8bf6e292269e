// Package nodeguard has the kernel of a node drop what banned sources send to
// a PBX, where a helper with the right to do so runs there. The PBX itself has
// no rights and gains none: it tells the helper, which decides.
//
//	gate ─ a source is banned ─► Client ─ @dipcast-node-guard ─► Server ─► Policy ─► Kernel
//
// The line between them is a Unix socket in the abstract name space of the
// node's network, where both live: no folder is shared, and no pod with a
// network of its own can reach it. Each side looks at the other's user, which
// the kernel vouches for: the helper serves the PBXs' user alone, and the PBX
// believes root alone.
//
// What a PBX says is a wish. A ban holds for the PBX's own SIP port, lasts an
// hour at most and ends by itself; no PBX can have more than its share of
// them, and addresses of trunks, of the node and of private networks are never
// banned, whoever wishes it.
package nodeguard
