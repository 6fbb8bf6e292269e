# shellcheck shell=bash disable=SC2034
# Names, addresses and folders of the local cluster, for the scripts beside this one. Sourced, not run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/dipcast
state=$cache/cluster
pki=$state/pki
logs=$state/logs
images=$state/images

# The machines of the cluster hang on a bridge in a network namespace, the
# fabric: etcd, API server and what plays the outside world run there. The
# host has one leg in it. None of it has a way to the internet.
fabric=dipcast
net=10.213.0
api=$net.1     # etcd, API server, controller manager, scheduler
ingress=$net.2 # hack/ingress: HTTPS and the cluster's DNS
host=$net.254  # this machine, on the interface $leg
leg=dipcast0
# More addresses of the fabric, for programs that play the outside world:
# NAVER WORKS, a carrier, phones of an office.
outside="$net.3 $net.4 $net.5 $net.6"
pods=10.214.0.0/16 # node N has 10.214.N.0/24
services=10.215.0.0/16

say() { echo "$*" >&2; }
die() { say "cluster: $*"; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "needs root, for network namespaces, mounts and containers: run it with sudo, or set KUBECONFIG to use a cluster that you have"; }

# foreign tells whether the caller has a cluster of their own.
foreign() { [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$state/kubeconfig" ]; }

# lock keeps two of these scripts from working at the same time.
lock() {
  mkdir -p "$cache"
  exec 9>"$cache/cluster.lock"
  flock 9
}

bin() { cat "$state/bin" 2>/dev/null || die "there is no cluster: make cluster"; }
k() { "$(bin)/kubectl" --kubeconfig "$state/kubeconfig" "$@"; }

inode() { stat -Lc %i "$1" 2>/dev/null || true; }

# within PID NETNS: the process lives, and is ours: a pid alone may have been given to another.
within() { [ -n "$1" ] && [ -e "/run/netns/$2" ] && [ "$(inode "/proc/$1/ns/net")" = "$(inode "/run/netns/$2")" ]; }
pid_of() { cat "$1" 2>/dev/null || true; }

# retry SECONDS CMD...: until it succeeds.
retry() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.2
  done
}

# certificate NAME SUBJECT [SAN]: a key pair of the cluster's CA, made once.
certificate() {
  [ -s "$pki/$1.crt" ] && return
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 3650 \
    -out "$pki/$1.crt.new" -extfile <(echo "extendedKeyUsage=serverAuth,clientAuth"; [ -z "${3:-}" ] || echo "subjectAltName=$3") 2>/dev/null
  mv "$pki/$1.crt.new" "$pki/$1.crt"
}

# kubeconfig NAME FILE: access as the owner of that certificate; whole in itself, so it may be copied.
kubeconfig() {
  cat >"$2.new" <<Y
apiVersion: v1
kind: Config
clusters: [{name: dipcast, cluster: {server: "https://$api:6443", certificate-authority-data: "$(base64 -w0 "$pki/ca.crt")"}}]
users: [{name: $1, user: {client-certificate-data: "$(base64 -w0 "$pki/$1.crt")", client-key-data: "$(base64 -w0 "$pki/$1.key")"}}]
contexts: [{name: dipcast, context: {cluster: dipcast, user: $1}}]
current-context: dipcast
Y
  chmod 600 "$2.new"
  mv "$2.new" "$2"
}
