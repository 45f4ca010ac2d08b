"""Where the Kubernetes API of a stack's cluster is, for the policies of services that need it.

A policy wants addresses, and those of the API belong to the cluster: they are read when it is
reached, and remembered on this machine for renders that contact nothing.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.errors import ClusterError
from infometis_sdk.machine import private_folder, write_private
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.workspace.stack import Stack

__all__ = ("addresses_in", "learn_api_server", "remembered_api_server")

_PATIENCE = 10.0
_SLICE = ObjectRef(
    api_version="discovery.k8s.io/v1",
    kind="EndpointSlice",
    namespace="default",
    name="kubernetes",
)


def remembered_api_server(stack: Stack) -> tuple[str, ...]:
    """Return ``ADDRESS:PORT`` of the API as it was read last; none where it never was."""
    if not _wanted(stack):
        return ()
    try:
        found = json.loads(_file(stack).read_text(encoding="utf-8"))
        return tuple(str(text) for text in found)
    except (OSError, ValueError, TypeError):
        return ()


def learn_api_server(stack: Stack, cluster: Cluster, run: Run) -> None:
    """Read where the API is, where a service needs it; who may not look learns nothing."""
    if not _wanted(stack):
        return
    soon = attrs.evolve(run, deadline=min(run.deadline, time.monotonic() + _PATIENCE))
    try:
        found = addresses_in(cluster.get(_SLICE, soon) or {})
    except ClusterError:
        return
    if found and found != remembered_api_server(stack):
        private_folder(_file(stack).parent)
        write_private(_file(stack), json.dumps(found))


def addresses_in(endpoint_slice: Mapping[str, Any]) -> tuple[str, ...]:
    """Return ``ADDRESS:PORT`` of everything that a slice leads to.

    Example:
        >>> addresses_in({"addressType": "IPv6", "endpoints": [{"addresses": ["2001:db8::1"]}],
        ...               "ports": [{"port": 6443}]})
        ('[2001:db8::1]:6443',)

    """
    form = "[{}]:{}" if endpoint_slice.get("addressType") == "IPv6" else "{}:{}"
    return tuple(
        sorted(
            form.format(address, port["port"])
            for endpoint in endpoint_slice.get("endpoints") or ()
            for address in endpoint.get("addresses") or ()
            for port in endpoint_slice.get("ports") or ()
            if port.get("port")
        )
    )


def _wanted(stack: Stack) -> bool:
    environment = stack.environment
    return (
        environment.isolated
        and not environment.policies.network.api_server
        and any(each.kubernetes_api for each in stack.workspace.project.services.values())
    )


def _file(stack: Stack) -> Path:
    return stack.workspace.state_dir / "api-servers" / f"{stack.stack_id}.json"
