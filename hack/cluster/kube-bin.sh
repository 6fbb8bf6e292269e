#!/bin/bash
# Builds Kubernetes and etcd, as pinned by the nested module kube/, into the cache folder, and prints that folder:
# the only line on stdout; progress goes to stderr.
#
#   kube-bin.sh envtest   etcd, kube-apiserver, kubectl: what the controllers' tests need
#   kube-bin.sh [all]     those, and controller-manager, scheduler, kubelet, kube-proxy: what a cluster needs
#
# A program that is there is never built again: the folder's name is a hash of everything that the programs depend on.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

case ${1:-all} in
envtest) programs="etcd kube-apiserver kubectl" ;;
all) programs="etcd kube-apiserver kubectl kube-controller-manager kube-scheduler kubelet kube-proxy" ;;
*) echo "kube-bin.sh: unknown set \"$1\": say envtest or all" >&2; exit 2 ;;
esac

# The settings of the caller (a workspace, flags, a race detector's cgo) must neither enter the programs nor miss the cache.
export CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly
cd "$here/kube"
gover=$(go env GOVERSION)
key=$({ cat go.mod go.sum "$here/kube-bin.sh"; echo "$gover $(go env GOOS GOARCH)"; } | sha256sum | cut -c1-16)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/dipcast/kube/$key

missing() {
  local p
  for p in $programs; do [ -x "$dir/$p" ] || echo "$p"; done
}

if [ -n "$(missing)" ]; then
  mkdir -p "$dir"
  # One builder at a time; the next finds the work done.
  exec 9>"$dir/.lock"
  flock 9
  version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
  minor=${version#v1.}
  v=k8s.io/component-base/version
  flags="-s -w -X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*}"
  flags="$flags -X $v.gitTreeState=clean -X $v.buildDate=1970-01-01T00:00:00Z"
  for p in $(missing); do
    pkg=k8s.io/kubernetes/cmd/$p
    [ "$p" = etcd ] && pkg=go.etcd.io/etcd/server/v3
    began=$SECONDS
    echo "building $p of Kubernetes $version (once; minutes on a cold cache) ..." >&2
    go build -trimpath -ldflags "$flags" -o "$dir/.$p.new" "$pkg" >&2
    # Under its name only when whole: a program that exists is complete.
    mv "$dir/.$p.new" "$dir/$p"
    echo "  $p: $((SECONDS - began)) s" >&2
  done
fi
echo "$dir"
