"""Forwarded ports of a stack's services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine import forward as engine

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

__all__ = ("forward",)


def forward(  # noqa: PLR0917 - as the handle of the stack calls it
    access: Access,
    cluster: Cluster,
    manifests: ManifestSet,
    service: str,
    endpoint: str,
    port: int,
    run: Run,
) -> engine.Forward:
    """Open a loopback port to an endpoint of a service; see :func:`infometis_sdk.engine.forward`."""
    return engine.forward(
        cluster,
        manifests,
        service,
        run,
        simulated=access.simulated,
        endpoint=endpoint,
        port=port,
    )
