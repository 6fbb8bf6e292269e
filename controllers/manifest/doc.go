// Package manifest reads manifests from files and folders and judges each
// object exactly as an API server with our CRDs would: unknown fields,
// defaults, OpenAPI schema, list types and CEL rules, with the libraries of
// the API server itself. It then groups what it read by tenant, ready for
// compile.
//
// It accepts the six kinds of api/v1alpha1 and the core kinds Secret and
// Namespace; other kinds are passed over with a warning. Every problem carries
// file and line.
//
// The package reads files and nothing else; it starts no goroutine. A Loader
// is safe for use by several goroutines once it was made. It must not learn of
// clusters.
package manifest
