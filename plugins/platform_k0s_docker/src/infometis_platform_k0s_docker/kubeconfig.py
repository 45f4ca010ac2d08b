"""The kubeconfig that k0s prints, made one of our own."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import yaml

from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("authority", "rewritten")


def rewritten(text: str, name: str, server: str) -> str:
    """Return the kubeconfig with our server's address, and our name for all that it names.

    k0s names the address that nodes see, and after a stop even a wrong port;
    its certificate also holds 127.0.0.1, so that only the address has to change.

    Raises:
        PlatformError: it is no kubeconfig of one cluster and one user.

    """
    try:
        document: Mapping[str, Any] = yaml.safe_load(text)
        cluster = dict(document["clusters"][0]["cluster"])
        user = dict(document["users"][0]["user"])
    except (yaml.YAMLError, LookupError, TypeError) as error:
        msg = "k0s printed no kubeconfig that can be read"
        raise PlatformError(msg, hint="look at the log of the first node's container") from error
    cluster["server"] = server
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(made, indent=2) + "\n"


def authority(text: str) -> bytes:
    """Return the certificate of the authority that a kubeconfig trusts; empty where it has none."""
    try:
        document: Mapping[str, Any] = yaml.safe_load(text)
        held = document["clusters"][0]["cluster"]["certificate-authority-data"]
        return base64.b64decode(str(held))
    except (yaml.YAMLError, LookupError, TypeError, ValueError):
        return b""
