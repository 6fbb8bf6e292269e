#!/bin/bash
# The machines of the cluster: each a process tree with its own network, mounts, processes and cgroups, and its own containerd,
# kubelet and kube-proxy. n1 has the address 10.213.0.11, n2 .12 and so on, up to n9.
#
#   node.sh on NAME       make it or boot it; returns when Kubernetes calls it Ready
#   node.sh off NAME      power cut: every process and container of it dies at once; its disk stays
#   node.sh cut NAME      pull its network cable
#   node.sh join NAME     put the cable back
#   node.sh remove NAME   power cut, and it is gone from the cluster with its disk
#   node.sh list          the names of the nodes that run
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
  local verb=${1:-list} name=${2:-}
  need_root
  [ "$verb" = list ] && { list; return; }
  [[ $name =~ ^n[1-9]$ ]] || die "node.sh $verb NAME: a node's name is n1 to n9"
  ns=$fabric-$name number=${name#n} address=$net.$((10 + ${name#n})) disk=$state/nodes/$name
  case $verb in
  on) on "$name" ;;
  off) off "$name" ;;
  cut) ip -n $fabric link set "v$name" down ;;
  join) ip -n $fabric link set "v$name" up ;;
  remove)
    off "$name"
    k delete node "$name" --ignore-not-found >/dev/null 2>&1 || true
    ip -n $fabric link del "v$name" 2>/dev/null || true
    ip netns del "$ns" 2>/dev/null || true
    rm -rf "$disk"
    ;;
  *) die "node.sh on|off|cut|join|remove NAME, or node.sh list" ;;
  esac
}

list() {
  local d
  for d in "$state"/nodes/*/; do
    d=$(basename "$d")
    if within "$(pid_of "$state/nodes/$d/pid")" "$fabric-$d"; then echo "$d"; fi
  done
}

on() {
  if within "$(pid_of "$disk/pid")" "$ns"; then return; fi
  local d began
  began=$(date -u +%FT%TZ)
  mkdir -p "$disk"/{kubelet,containerd,cni,cnistate,plugins,logpods,logcontainers,loaded}
  # What the node mounts its disk over; the folders that were not there before go with the cluster.
  for d in /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/log/pods /var/log/containers; do
    if mkdir $d 2>/dev/null; then echo $d >>"$state/made-folders"; fi
  done
  cable "$1"
  certificate "$1" "/O=system:nodes/CN=system:node:$1"
  kubeconfig "$1" "$disk/kubeconfig"
  configure "$1"
  setsid bash "$here/node-boot.sh" "$disk" >>"$disk/boot.log" 2>&1 </dev/null 9>&- &
  echo $! >"$disk/pid" # the process whose end is the power cut
  retry 120 is_ready "$1" "$began" || die "node $1 does not get ready; see $disk/*.log"
}

# is_ready NODE SINCE: what was said of it before it was switched off does not count.
is_ready() {
  local ready heard
  read -r ready heard < <(k get node "$1" -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{"\n"}{end}')
  [ "$ready" = True ] && [[ ! $heard < $2 ]]
}

cable() {
  if [ -e "/run/netns/$ns" ]; then
    ip -n $fabric link set "v$1" up
    return
  fi
  ip netns add "$ns"
  ip -n $fabric link add "v$1" type veth peer name eth0 netns "$ns"
  ip -n $fabric link set "v$1" master br0 up
  ip -n "$ns" link set lo up
  ip -n "$ns" addr add "$address/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via $api
  nsenter --net="/run/netns/$ns" sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
  ip -n $fabric route replace "${pods%.0.0/16}.$number.0/24" via "$address"
}

configure() {
  cat >"$disk/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
failSwapOn: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$pki/ca.crt"}}
authorization: {mode: Webhook}
resolvConf: ""
clusterDomain: cluster.local
clusterDNS: [$ingress]
volumePluginDir: $disk/plugins
# A dead node is noticed in seconds: the lease is renewed every second.
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 4
# The disk belongs to the whole machine: how full it is is no business of the node's.
evictionHard: {memory.available: 100Mi, nodefs.available: 0%, imagefs.available: 0%, nodefs.inodesFree: 0%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
Y
  cat >"$disk/containerd.toml" <<T
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/dipcast-pause:1"
  # Root in a container may not lower oom_score_adj; without this no pod starts there.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$disk/cni"
T
  cat >"$disk/cni/10-pods.conflist" <<J
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true, "ipam":
    {"type": "host-local", "ranges": [[{"subnet": "${pods%.0.0/16}.$number.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
J
  cat >"$disk/env" <<E
name=$1
netns=/run/netns/$ns
address=$address
images=$images
pods=$pods
proxyconfig=$state/kube-proxy.kubeconfig
kube=$(bin)
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
E
}

off() {
  local p
  p=$(pid_of "$disk/pid")
  if within "$p" "$ns"; then
    # A machine without power answers nothing: no kernel refuses connections in its place.
    ip -n $fabric link set "v$1" down
    kill -KILL "$p"
    retry 20 gone "$p" || die "node $1: process $p does not die"
  fi
  # A real power cut takes the cgroups, too; at the next boot each one left would cost seconds.
  [ -f "$disk/cgroups" ] || return 0
  while read -r d; do
    retry 20 empty "$d" || die "node $1: cgroup $d cannot be removed: $(tr '\n' ' ' <"$d/cgroup.procs")"
  done <"$disk/cgroups"
  rm -f "$disk/cgroups" "$disk/pid"
}

gone() { [ ! -d "/proc/$1" ] || [ "$(awk '{print $3}' "/proc/$1/stat")" = Z ]; }
empty() { [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} +; }

main "$@"
