// Command bench-operator prints what the operator costs as its fleet grows: how
// long tenants take to become Ready, how many calls to the API server a
// reconcile and a change make, how fast a change is in the PBX's document, and
// what the operator takes of memory and CPU, under load and idle.
//
//	bench ──manifests──► etcd + kube-apiserver ◄──watches, writes── operator (a process of its own)
//	  │                        ▲                                      │
//	  ├─ StatefulSets → pods ──┘                                      │
//	  └─ one HTTP server: the /report of every PBX ◄──── polls ───────┘
//
// Etcd, API server and operator are the real programs. Kubelets, the controller
// of StatefulSets and the PBXs are played by the benchmark, all in bulk, so that
// a thousand tenants fit a small machine. Beside the operator's figures stand
// those of a bare client that writes the same objects to the same API server in
// the same run.
//
// One goroutine, main's, walks through the phases; informers, the workers of
// nodes.go and the HTTP server run beside it and are awaited at the end.
package main
