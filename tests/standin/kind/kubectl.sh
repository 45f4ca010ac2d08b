#!/bin/sh
# kind removes a taint and a label that this node never had, and applies manifests.
export KUBECONFIG=/etc/kubernetes/admin.conf
for word in "$@"; do
    case $word in
    taint | label) exit 0 ;;
    create | apply) exec k0s kubectl apply --filename=- ;;
    esac
done
echo "kubectl: the stand-in does not know: $*" >&2
exit 1
