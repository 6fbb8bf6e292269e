#!/bin/bash
# Switches a node on: puts itself into a cgroup of the node's own below the caller's, so that no container ever leaves the
# caller's limits, then into namespaces of the node's own, and becomes the process whose death is the node's power cut.
#
#   node-boot.sh DISK
# shellcheck disable=SC2154 # name, address, ... come from the file
set -euo pipefail
disk=$1
# shellcheck disable=SC1091 # written by node.sh
. "$disk/env"
: >"$disk/cgroups"

enter() {
  mkdir -p "$1"
  echo "$1" >>"$disk/cgroups"
  echo $$ >"$1/cgroup.procs"
}

if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
  # With version 2 only the root may hold processes and hand its controllers on.
  echo "+cpuset +cpu +io +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
  enter "/sys/fs/cgroup/dipcast-$name"
else
  # Read whole before anything moves: the kernel writes the file anew at each read.
  mapfile -t memberships </proc/self/cgroup
  while IFS=: read -r _ controller path; do
    [ -n "$controller" ] || continue
    parent=/sys/fs/cgroup/${controller#name=}${path%/}
    if [ "$controller" = cpuset ]; then
      mkdir -p "$parent/dipcast-$name"
      cat "$parent/cpuset.cpus" >"$parent/dipcast-$name/cpuset.cpus"
      cat "$parent/cpuset.mems" >"$parent/dipcast-$name/cpuset.mems"
    fi
    enter "$parent/dipcast-$name"
  done < <(printf '%s\n' "${memberships[@]}")
fi

# nsenter, not "ip netns exec": that would mount another /sys and hide the cgroups.
exec nsenter --net="$netns" unshare --mount --propagation private --pid --fork --kill-child --uts --ipc --cgroup \
  bash "${BASH_SOURCE[0]%/*}/node-init.sh" "$disk"
