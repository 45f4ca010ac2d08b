#!/bin/sh
# The first process of a node: says what kind waits for, then runs what `kubeadm init` asked for.
# It is there again after a restart, since the container's files are.
trap 'exit 0' TERM INT
echo "[  OK  ] Reached target Multi-User System."
while [ ! -e /kind/started ]; do sleep 0.1; done
unset KUBECONFIG
exec k0s controller --single --ignore-pre-flight-checks --config /etc/k0s/k0s.yaml
