#!/bin/bash
# Brings up a Kubernetes cluster of two nodes on this machine, or what of it does not run. See docs/cluster.md.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if foreign; then
  echo "KUBECONFIG=$KUBECONFIG: that cluster is used; nothing is started here."
  exit 0
fi
need_root
for program in containerd runc ctr ip nsenter unshare nft iptables conntrack openssl; do
  command -v $program >/dev/null || die "$program is missing: make packages"
done
[ -x /usr/lib/cni/bridge ] || die "the CNI plugins are missing: make packages"
lock
began=$(date +%s%N)
mkdir -p "$state" "$images" "$state/nodes" "$cache/cluster-tools"

kube=$("$here/kube-bin.sh" all)
echo "$kube" >"$state/bin"
if ! [ -s "$images/pause.tar" ]; then
  # Built outside the cluster's folder: go links again only what has changed.
  (cd "$here/.." && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$cache/cluster-tools/" ./ingress ./cluster/pause)
  cp "$cache/cluster-tools/ingress" "$state/ingress"
  "$here/image.sh" "$cache/cluster-tools/pause" localhost/dipcast-pause:1 "$images/pause.tar"
fi

"$here/control-plane.sh" on
k get clusterrolebinding kube-proxy >/dev/null 2>&1 ||
  k create clusterrolebinding kube-proxy --clusterrole system:node-proxier --user system:kube-proxy >/dev/null
boots=()
for node in ${NODES:-n1 n2}; do
  "$here/node.sh" on "$node" &
  boots+=($!)
done
for b in "${boots[@]}"; do wait "$b"; done
"$here/volumes.sh"
printf 'The cluster runs (%.1f s): %s.\n' "$(($(date +%s%N) - began))e-9" "$("$here/node.sh" list | tr '\n' ' ' | sed 's/ $//')"
cat <<T
  export KUBECONFIG=$state/kubeconfig PATH=$kube:\$PATH
  kubectl get nodes
T
