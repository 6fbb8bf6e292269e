#!/bin/bash
# Removes the local cluster with everything that it put on this machine, and checks that nothing is left.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if foreign; then
  echo "KUBECONFIG=$KUBECONFIG: that cluster is yours and is left as it is."
fi
need_root
lock

for disk in "$state"/nodes/*/; do
  [ -d "$disk" ] || continue
  "$here/node.sh" off "$(basename "$disk")"
done
# Killed, not asked: nothing of what they would save is wanted.
for f in "$state"/pids/*; do
  p=$(pid_of "$f")
  if within "$p" $fabric; then kill -KILL "$p"; fi
done
namespaces=()
for n in /run/netns/$fabric "/run/netns/$fabric"-n*; do
  [ -e "$n" ] && namespaces+=("$(inode "$n")")
done

users() { # pids inside our namespaces
  local p i
  for p in /proc/[0-9]*; do
    i=$(inode "$p/ns/net")
    [ -n "$i" ] && [[ " ${namespaces[*]} " == *" $i "* ]] && echo "${p#/proc/}"
  done
  return 0
}
none_left() { [ -z "$(users)" ]; }

if ! retry 10 none_left; then
  for p in $(users); do say "still in the cluster's network: $p $(tr '\0' ' ' <"/proc/$p/cmdline")"; done
  die "end these processes, then run make cluster-down again"
fi
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
  find /sys/fs/cgroup -maxdepth 6 -type d -name 'dipcast-n*' 2>/dev/null
  grep -F "$state" /proc/self/mountinfo || true)
[ -z "$left" ] || die "left behind:
$left"
echo "The cluster is gone: no process, namespace, cgroup, mount or file of it is left."
