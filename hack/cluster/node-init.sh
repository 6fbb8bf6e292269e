#!/bin/bash
# Process 1 of a node: mounts what a machine has, then keeps containerd, kubelet and kube-proxy running.
#
#   node-init.sh DISK
# shellcheck disable=SC2154 # name, address, ... come from the file
set -uo pipefail
disk=$1
# shellcheck disable=SC1091 # written by node.sh
. "$disk/env"

mounts() {
  mount --make-rshared /
  mount -t proc proc /proc
  mount -t sysfs sysfs /sys
  cgroups
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/lock /run/netns
  mount --bind "$disk/kubelet" /var/lib/kubelet
  mount --bind "$disk/containerd" /var/lib/containerd
  mount --bind "$disk/cnistate" /var/lib/cni
  mount --bind "$disk/logpods" /var/log/pods
  mount --bind "$disk/logcontainers" /var/log/containers
}

# Mounted afresh inside the node's cgroup namespace, so that its own cgroup is the root that the kubelet sees.
cgroups() {
  if grep -q '^0::' /proc/self/cgroup && [ "$(wc -l </proc/self/cgroup)" = 1 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir -p /sys/fs/cgroup/init
    echo $$ >/sys/fs/cgroup/init/cgroup.procs
    sed -e 's/ / +/g' -e 's/^/+/' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
    return
  fi
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  local controller options
  while IFS=: read -r _ controller _; do
    [ -n "$controller" ] || continue
    options=$controller
    [ "$controller" = "${controller#name=}" ] || options=none,$controller
    mkdir -p "/sys/fs/cgroup/${controller#name=}"
    mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/${controller#name=}"
  done </proc/self/cgroup
}

# The kubelet insists on kernel settings that belong to the whole machine. It finds files with the values it wants in their
# place, and the machine keeps its own.
settings() {
  local s file
  for s in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=$disk/setting.${s//[\/=]/.}
    echo "${s#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${s%%=*}"
  done
}

# keep PROGRAM ARG...: run it again whenever it ends.
keep() {
  local log
  log=$disk/$(basename "$1").log
  while :; do
    "$@" >>"$log" 2>&1 </dev/null
    echo "node-init: $1 ended with $?" >>"$log"
    sleep 1
  done
}

# load brings images that were loaded into the cluster while this node was off or not yet made.
load() {
  local tar mark
  for tar in "$images"/*.tar; do
    mark=$disk/loaded/$(basename "$tar")
    [ -e "$mark" ] && [ ! "$tar" -nt "$mark" ] && continue
    ctr -n k8s.io images import "$tar" >>"$disk/load.log" 2>&1 && touch -r "$tar" "$mark"
  done
}

mounts
settings
hostname "$name"
keep containerd --config "$disk/containerd.toml" &
for ((i = 0; i < 100; i++)); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
load
keep "$kube/kubelet" --config "$disk/kubelet.yaml" --kubeconfig "$disk/kubeconfig" --hostname-override "$name" --node-ip "$address" &
# 0: the machine's limit of tracked connections stays as it is.
keep "$kube/kube-proxy" --kubeconfig "$proxyconfig" --proxy-mode nftables --hostname-override "$name" --cluster-cidr "$pods" \
  --conntrack-max-per-core 0 --metrics-bind-address 127.0.0.1:10249 &
wait
