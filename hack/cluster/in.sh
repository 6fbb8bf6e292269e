#!/bin/bash
# Runs a command where the cluster's outside world is: in the fabric, with KUBECONFIG set. With a cluster of your own
# (KUBECONFIG set by you) the command runs here.
#
#   in.sh COMMAND ARG...
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
foreign && exec "$@"
need_root
[ -e /run/netns/$fabric ] || die "there is no cluster: make cluster"
PATH=$(bin):$PATH KUBECONFIG=$state/kubeconfig exec nsenter --net=/run/netns/$fabric "$@"
