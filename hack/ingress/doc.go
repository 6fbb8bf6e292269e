// Command ingress is what a cluster's ingress controller, certificate issuer
// and DNS are to the product, small enough to read: with it the local cluster
// proves that the operator's Ingress and Service objects work. Not for
// production.
//
//	Ingress, Service, EndpointSlice, Secret ──watch──► table ──► HTTPS: host and path → endpoint
//	                                                        └──► DNS: host → here, Service → its address
//
// One goroutine (controller.run) owns the watch: it builds a new table after
// each change and writes the address of the ingress into the status of each
// Ingress. Requests and questions read the newest table from an atomic
// pointer. The program must know nothing of PBXs.
package main
