#!/bin/bash
# The storage of the local cluster: the default class "local" and forty volumes for it, each a folder that every node sees.
# Volumes that a deleted claim has left are emptied and offered again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_root

manifest() { # NUMBER
  cat <<Y
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-$1, labels: {dipcast-cluster: local}}
spec:
  storageClassName: local
  capacity: {storage: 100Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {path: $state/volumes/$1}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [linux]}]}]}}
Y
}

class() {
  cat <<'Y'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: Immediate
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: local, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: dipcast.io/local-ingress}
Y
}

declare -A phase
while read -r name what; do phase[$name]=$what; done < <(k get pv -l dipcast-cluster=local --no-headers \
  -o custom-columns=N:.metadata.name,P:.status.phase)
wanted=$(class)
offered=
for n in $(seq -w 40); do
  folder=$state/volumes/$n
  case ${phase[local-$n]:-none} in
  Released | Failed)
    k delete pv "local-$n" >/dev/null
    rm -rf "$folder"
    ;;
  none) ;;
  *) continue ;;
  esac
  install -d -m 770 -o 65532 -g 65532 "$folder"
  wanted+=$'\n'$(manifest "$n")
  offered=yes
done
[ -z "$offered" ] || k apply -f - <<<"$wanted" >/dev/null
