#!/bin/sh
# `containerd config dump`, as far as kind and we read it.
cat <<'TOML'
version = 3

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
TOML
