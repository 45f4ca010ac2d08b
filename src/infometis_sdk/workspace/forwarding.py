"""Forwarded ports of a stack's services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.forward import Forward, forward as open_port

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
) -> Forward:
    """Open a loopback port to an endpoint; see :func:`infometis_sdk.engine.forward.forward`."""
    return open_port(
        cluster,
        manifests,
        service,
        run,
        simulated=access.simulated,
        endpoint=endpoint,
        port=port,
    )
