// Package optional knows which of the APIs that the operator can use the
// cluster has: cert-manager, external-dns, the Prometheus operator, the Gateway
// API. None is required; each may come and go while the operator runs.
//
// It starts no goroutine of its own: one that has come is watched by the
// controller that it was given. All methods may be called from any goroutine.
package optional
