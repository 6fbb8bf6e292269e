#!/bin/bash
# Removes the local cluster with everything that it put on this machine, and checks that nothing is left.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if foreign; then
  echo "KUBECONFIG=$KUBECONFIG: that cluster is yours and is left as it is."
fi
need_root
lock

# within_any NAMESPACE...: lists the processes whose network is one of these.
within_any() {
  local p wanted=()
  for n in "$@"; do [ -e "$n" ] && wanted+=("$(inode "$n")"); done
  for p in /proc/[0-9]*; do
    n=$(inode "$p/ns/net")
    if [ -n "$n" ] && [[ " ${wanted[*]} " == *" $n "* ]]; then echo "${p#/proc/}"; fi
  done
}

# Somebody may be at work there: a test, a demo, a shell. That is looked at before anything is ended.
ours=" $(cat "$state"/pids/* 2>/dev/null | tr '\n' ' ') "
guests=$(for p in $(within_any "/run/netns/$fabric"); do [[ $ours == *" $p "* ]] || echo "$p"; done)
if [ -n "$guests" ]; then
  for p in $guests; do say "in the cluster's network: $p $(tr '\0' ' ' 2>/dev/null <"/proc/$p/cmdline")"; done
  die "end these processes first: nothing was removed"
fi

for disk in "$state"/nodes/*/; do
  [ -d "$disk" ] || continue
  "$here/node.sh" off "$(basename "$disk")"
done
# Killed, not asked: nothing of what they would save is wanted.
for f in "$state"/pids/*; do
  p=$(pid_of "$f")
  if within "$p" $fabric; then kill -KILL "$p"; fi
done
none_left() { [ -z "$(within_any /run/netns/$fabric "/run/netns/$fabric"-n*)" ]; }
retry 10 none_left || die "processes do not die: $(within_any /run/netns/$fabric "/run/netns/$fabric"-n* | tr '\n' ' ')"
for n in /run/netns/$fabric "/run/netns/$fabric"-n*; do
  [ -e "$n" ] && ip netns del "$(basename "$n")"
done
ip link del $leg 2>/dev/null || true
if [ -e "$state/made-run-netns" ] && [ -z "$(ls /run/netns)" ] && mountpoint -q /run/netns; then umount /run/netns; fi
if [ -e "$state/made-folders" ]; then
  xargs -r rmdir --ignore-fail-on-non-empty <"$state/made-folders" || true
fi
rm -rf "$state"

# Every kind of thing that a cluster is made of, looked for from scratch.
left=$(ip netns list | grep "^$fabric" || true
  ip -o link show $leg 2>/dev/null || true
  find /sys/fs/cgroup -type d -name 'dipcast-n*' 2>/dev/null
  grep -F "$state" /proc/self/mountinfo || true)
[ -z "$left" ] || die "left behind:
$left"
echo "The cluster is gone: no process, namespace, cgroup, mount or file of it is left."
