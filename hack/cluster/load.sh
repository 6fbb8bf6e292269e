#!/bin/bash
# Loads images into every node of the local cluster, those that are switched on later, too.
#
#   load.sh TAR...
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_root
[ $# -gt 0 ] || die "load.sh TAR...: no image named"
foreign && die "KUBECONFIG names a cluster of yours: load images there with its own tools"
mkdir -p "$images"

import() { # NODE TAR
  local disk=$state/nodes/$1 tar=$2 mark init
  mark=$disk/loaded/$(basename "$tar")
  [ -e "$mark" ] && [ ! "$tar" -nt "$mark" ] && return
  init=$(pgrep -P "$(pid_of "$disk/pid")")
  nsenter --target "$init" --mount ctr -n k8s.io images import "$tar" >>"$disk/load.log" 2>&1 ||
    die "node $1 does not take $tar: $(tail -3 "$disk/load.log")"
  touch -r "$tar" "$mark"
}

for tar in "$@"; do
  [ -s "$tar" ] || die "$tar: no such image; make images"
  kept=$images/$(basename "$tar")
  cmp -s "$tar" "$kept" || cp "$tar" "$kept"
  for node in $("$here/node.sh" list); do
    import "$node" "$kept" &
  done
  wait
done
