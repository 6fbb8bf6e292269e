#!/bin/bash
# Makes an image of one static program, as a tar archive that containerd imports; no engine, no registry. For the pause
# program of the cluster; the product's images are made by `make images`.
#
#   image.sh PROGRAM NAME:TAG OUT.tar
set -euo pipefail
program=$1 tag=$2 out=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
deterministic=(--sort=name --owner=0 --group=0 --numeric-owner --mtime=@0)
mkdir -p "$work/root"
install -m 755 "$program" "$work/root/$(basename "$program")"
tar -C "$work/root" "${deterministic[@]}" -cf "$work/layer.tar" "$(basename "$program")"
layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
cat >"$work/config.json" <<J
{"architecture": "$(go env GOARCH)", "os": "linux", "created": "1970-01-01T00:00:00Z",
 "config": {"Entrypoint": ["/$(basename "$program")"], "User": "65532:65532", "WorkingDir": "/"},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}, "history": [{"created_by": "image.sh"}]}
J
echo "[{\"Config\": \"config.json\", \"RepoTags\": [\"$tag\"], \"Layers\": [\"layer.tar\"]}]" >"$work/manifest.json"
tar -C "$work" "${deterministic[@]}" -cf "$out.new" config.json layer.tar manifest.json
mv "$out.new" "$out"
