#!/bin/bash
# The cluster's brain, in the fabric. Starts what does not run.
#
#   control-plane.sh on [PROGRAM]   all of it, or etcd, kube-apiserver, kube-controller-manager, kube-scheduler, ingress
#   control-plane.sh off PROGRAM    kills one, as a crash would
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verb=${1:-on} only=${2:-}
need_root
mkdir -p "$pki" "$logs" "$state/pids"
chmod 700 "$state"
kube=$(bin)

network() {
  [ -e /run/netns/$fabric ] && return
  mountpoint -q /run/netns || touch "$state/made-run-netns"
  ip netns add $fabric
  ip -n $fabric link set lo up
  ip -n $fabric link add br0 type bridge
  local a
  for a in $api $ingress $outside; do ip -n $fabric addr add "$a/24" dev br0; done
  ip -n $fabric link set br0 up
  # Part of some kernels, a module of others.
  [ -e /proc/sys/net/bridge ] || modprobe br_netfilter 2>/dev/null || die "the kernel has no br_netfilter: Services need it"
  nsenter --net=/run/netns/$fabric sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=0
  ip link add $leg type veth peer name host netns $fabric
  ip -n $fabric link set host master br0 up
  ip addr add $host/24 dev $leg
  ip link set $leg up
}

keys() {
  [ -s "$pki/ca.crt" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=dipcast local cluster" -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  certificate apiserver /CN=kube-apiserver \
    "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$api,IP:${services%.0/16}.1"
  certificate admin /O=system:masters/CN=admin
  local n
  for n in kube-controller-manager kube-scheduler kube-proxy; do
    certificate $n /CN=system:$n
    [ -s "$state/$n.kubeconfig" ] || kubeconfig $n "$state/$n.kubeconfig"
  done
  [ -s "$state/kubeconfig" ] || kubeconfig admin "$state/kubeconfig"
  [ -s "$pki/sa.pub" ] && return
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/sa.key"
  openssl ec -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
}

# start PROGRAM ARG...: unless it runs, or another one was asked for.
start() {
  local name=$1; shift
  [ -z "$only" ] || [ "$only" = "$name" ] || return 0
  within "$(pid_of "$state/pids/$name")" $fabric && return
  setsid nsenter --net=/run/netns/$fabric "$kube/$name" "$@" >>"$logs/$name.log" 2>&1 </dev/null 9>&- &
  echo $! >"$state/pids/$name"
}

run_etcd() {
  # Without fsync: the disk of a test cluster need not survive the machine's power cut.
  start etcd --data-dir "$state/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level warn
}

run_apiserver() {
  start kube-apiserver --etcd-servers http://127.0.0.1:2379 --bind-address 0.0.0.0 --advertise-address $api --secure-port 6443 \
    --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" --client-ca-file "$pki/ca.crt" \
    --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" --kubelet-preferred-address-types InternalIP \
    --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" \
    --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range $services \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true --profiling=false
}

# The controller manager notices a dead node after 10 s: soon enough for tests, late enough for a loaded machine.
run_rest() {
  start kube-controller-manager --kubeconfig "$state/kube-controller-manager.kubeconfig" --bind-address 127.0.0.1 \
    --use-service-account-credentials --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" --allocate-node-cidrs=false \
    --kube-api-qps 300 --kube-api-burst 600 --leader-elect=false \
    --node-monitor-period 1s --node-monitor-grace-period "${NODE_GRACE:-10s}"
  start kube-scheduler --kubeconfig "$state/kube-scheduler.kubeconfig" --bind-address 127.0.0.1 --leader-elect=false \
    --kube-api-qps 300 --kube-api-burst 600
}

run_ingress() {
  [ -z "$only" ] || [ "$only" = ingress ] || return 0
  within "$(pid_of "$state/pids/ingress")" $fabric && return
  setsid nsenter --net=/run/netns/$fabric "$state/ingress" -kubeconfig "$state/kubeconfig" -listen $ingress:443 \
    -dns $ingress:53 -name "works.example=$net.3" -ca "$state/ingress-ca" >>"$logs/ingress.log" 2>&1 </dev/null 9>&- &
  echo $! >"$state/pids/ingress"
}

ready() {
  retry 120 k get --raw /readyz || die "the API server does not get ready; see $logs/kube-apiserver.log"
}

case $verb in
on)
  network
  keys
  run_etcd
  run_apiserver
  ready
  run_rest
  run_ingress
  ;;
off)
  p=$(pid_of "$state/pids/$only")
  within "$p" $fabric || die "$only does not run"
  kill -KILL "$p"
  retry 10 test ! -d "/proc/$p" || true
  ;;
*) die "control-plane.sh on|off [PROGRAM]" ;;
esac
