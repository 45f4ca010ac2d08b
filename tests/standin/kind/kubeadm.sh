#!/bin/sh
# `init` alone: a node of one's own. What kubeadm would write is where kind looks for it.
[ "$1" = init ] || { echo "kubeadm: the stand-in can only init, not $1" >&2; exit 1; }
unset KUBECONFIG
mkdir -p /etc/k0s /etc/kubernetes
echo 'spec: {api: {port: 6443}}' >/etc/k0s/k0s.yaml
: >/kind/started
until [ "$(k0s kubectl get --raw=/readyz 2>/dev/null)" = ok ]; do sleep 0.2; done
cp /var/lib/k0s/pki/admin.conf /etc/kubernetes/admin.conf
