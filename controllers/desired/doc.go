// Package desired builds the Kubernetes objects of one tenant, one file per
// kind.
//
//	PBXTenant T ─ StatefulSet, Service, PodDisruptionBudget T-pbx, Secret T-config
//	            ─ PersistentVolumeClaim T-data   outlives T unless deletionPolicy: Delete
//	            ─ Ingress or HTTPRoute T         console, REST, callback
//	            ─ Certificate T-web-tls, T-sip-tls   with cert-manager
//	            ─ DNSEndpoint T                      with external-dns
//	            ─ PodMonitor, PrometheusRule T-pbx   with the Prometheus operator
//
// Every builder is a pure function of Input: no clock, no client, no cluster.
// An object that must not exist is nil. Objects carry what the operator owns
// and nothing that the API server fills in, so that applying them twice
// changes nothing; defaults inside lists that are applied whole are written
// out for the same reason.
//
// There is no NetworkPolicy: it does not apply to pods on the host's network.
package desired
