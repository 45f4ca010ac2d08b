"""What contract kits look at: files that must stay, secrets that must not be said, live notes."""

# ruff: noqa: S101 - a part of tests, which ship so that others can use them

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import yaml

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infometis_sdk.ports.platform import Access

__all__ = (
    "cluster_uid",
    "contents",
    "files",
    "get_note",
    "has_note",
    "put_note",
    "secrets_of",
    "servers_of",
)

_PATIENCE = 60.0  # seconds: a loaded machine is slow, not wrong


def files(folder: Path) -> list[str]:
    """Return the path of everything below a folder; nothing where there is none."""
    return sorted(str(each) for each in folder.rglob("*")) if folder.exists() else []


def cluster_uid(access: Access) -> str:
    """Return what names the cluster for ever: the UID of its namespace ``kube-system``."""
    found = _get(access, ObjectRef(api_version="v1", kind="Namespace", name="kube-system"))
    return str(found["metadata"]["uid"])


def _note(name: str) -> ObjectRef:
    return ObjectRef(api_version="v1", kind="ConfigMap", namespace="default", name=name)


def put_note(access: Access, text: str, name: str = "platform-contract") -> None:
    """Leave something in the cluster that must survive."""
    cluster = open_cluster(access)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"note": text},
    }
    cluster.write(Write(verb="create", ref=_note(name), body=body), Run.within(_PATIENCE))
    cluster.close()


def get_note(access: Access, name: str = "platform-contract") -> str:
    """Read what :func:`put_note` left."""
    return str(_get(access, _note(name))["data"]["note"])


def has_note(access: Access, name: str) -> bool:
    """Tell whether something of that name was left."""
    return _find(access, _note(name)) is not None


def _get(access: Access, ref: ObjectRef) -> Mapping[str, Any]:
    found = _find(access, ref)
    assert found is not None, f"{ref} is not there"
    return found


def _find(access: Access, ref: ObjectRef) -> Mapping[str, Any] | None:
    cluster = open_cluster(access)
    try:
        return cluster.get(ref, Run.within(_PATIENCE))
    finally:
        cluster.close()


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file that is there."""
    return {
        str(path): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _document(access: Access) -> Mapping[str, Any]:
    assert access.kubeconfig is not None
    loaded: Mapping[str, Any] = yaml.safe_load(access.kubeconfig.read_text(encoding="utf-8"))
    return loaded


def servers_of(access: Access) -> list[str]:
    """Return the addresses of the API servers in a kubeconfig."""
    return [str(each["cluster"]["server"]) for each in _document(access)["clusters"]]


def secrets_of(access: Access) -> list[str]:
    """Return what must never be said aloud."""
    users = [each.get("user") or {} for each in _document(access).get("users") or ()]
    keys = ("client-key-data", "token", "password")
    return [str(user[key]) for user in users for key in keys if user.get(key)]
