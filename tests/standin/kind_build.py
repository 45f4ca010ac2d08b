"""Builds the stand-in for kind's node image, on that of k0s: what runs in it is the same.

The kind program itself is genuine, and everything that it does to containers.
``tests/standin/README.md`` says what the image can do, and what it proves.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from tests.standin.k0s_build import BASE, _tar, build_program, load_base

__all__ = ("NODE_IMAGE", "node_image")

NODE_IMAGE = "standin.invalid/kindest/node:v1.36.3"
_HERE = Path(__file__).with_name("kind")
_VERSION = "v1.36.3"
_SCRIPTS = ("containerd", "ctr", "kubeadm", "kubectl")
_CNI = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: standin-network, namespace: kube-system}
"""


def node_image(client: Any, folder: Path, cache_dir: Path) -> str:
    """Return the name of a node image that the daemon has: the genuine one where it is named."""
    if genuine := os.environ.get("INFOMETIS_KIND_IMAGE"):
        return genuine
    if client.images.list(name=NODE_IMAGE):
        return NODE_IMAGE
    load_base(client, cache_dir)
    files = {"k0s": build_program(folder / "kind-node")}
    texts = {
        "Dockerfile": f"FROM {BASE}\nCOPY k0s /usr/local/bin/\nCOPY root/ /\n"
        'ENTRYPOINT ["/kind/entrypoint.sh"]\nCMD []\nSTOPSIGNAL SIGTERM\n',
        "root/kind/entrypoint.sh": _text("entrypoint.sh"),
        "root/kind/version": _VERSION,
        "root/kind/manifests/default-cni.yaml": _CNI,
        "root/kind/manifests/default-storage.yaml": _text("default-storage.yaml"),
    }
    texts |= {f"root/usr/local/bin/{name}": _text(f"{name}.sh") for name in _SCRIPTS}
    links = {"root/bin/uname": "busybox"}
    context = _tar(files, links, texts)
    client.images.build(fileobj=io.BytesIO(context), custom_context=True, tag=NODE_IMAGE, rm=True)
    return NODE_IMAGE


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
