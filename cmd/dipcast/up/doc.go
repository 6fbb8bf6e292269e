// Package up is the command `dipcast up`: the PBX without a cluster. It
// compiles the same manifests that an MSP applies and runs every tenant in
// this process, each in a slot of its own.
//
//	manifests ──watch──► source (pure but for reading) ──► wanted tenants
//	                                                          │
//	           fleet (one goroutine) ◄────────────────────────┘
//	             ├── server of tenant A: start, Apply, drain
//	             └── server of tenant B
//
// A changed manifest is applied to the tenants that it concerns while calls
// go on; a broken one is told and changes nothing.
package up
