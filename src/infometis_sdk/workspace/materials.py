"""What an apply needs besides the plan, which must hold no secret."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from infometis_sdk._adapters.secret_sources import resolver
from infometis_sdk.engine.apply import Materials
from infometis_sdk.engine.writing.release import records_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infometis_sdk.model.secret import Secret, SecretRef
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("materials",)


def materials(
    manifests: ManifestSet, root: Path | None, in_cluster: Callable[[SecretRef], Secret]
) -> Materials:
    """Gather credentials, their sources, and the Secrets among the manifests."""
    return Materials(
        credentials=manifests.credentials,
        resolve=resolver(root, in_cluster),
        secrets={m.ref.key: m.object for m in manifests.manifests if m.ref.kind == "Secret"},
        services=records_of(manifests),
        sdk_version=version("infometis-sdk"),
    )
