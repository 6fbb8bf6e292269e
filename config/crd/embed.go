// Package crd carries the generated definitions of the six kinds, so that
// programs can install and apply the very schema that the API server uses. It
// holds nothing else and knows nothing of what it carries.
package crd

import "embed"

// Files holds one YAML file per kind.
//
//go:embed *.yaml
var Files embed.FS
