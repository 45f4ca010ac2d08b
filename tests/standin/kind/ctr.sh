#!/bin/sh
# `kind load` asks for all platforms of an image, of which an archive from containerd's store holds
# one: with Docker 29 it ends like this (kind issues 3795 and 3845).
unset KUBECONFIG
for word in "$@"; do
    case $word in
    --all-platforms)
        echo 'ctr: content digest sha256:0123456789abcdef: not found' >&2
        exit 1
        ;;
    import) exec k0s ctr images import - ;;
    list | ls) exec k0s ctr images list --quiet ;;
    esac
done
