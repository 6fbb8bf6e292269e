#!/bin/bash
# Prints the path of the pinned helm, which `make helm` builds once outside the work tree.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
helm=${XDG_CACHE_HOME:-$HOME/.cache}/dipcast/tools/helm-$(sha256sum "$here/helm/go.sum" | cut -c1-12)
[ -x "$helm" ] || { echo "helm is not built: run 'make helm'" >&2; exit 1; }
echo "$helm"
