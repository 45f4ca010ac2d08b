"""What an apply needs besides the plan, which must hold no secret."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from infometis_sdk._adapters.release_directory import ReleaseDirectory
from infometis_sdk._adapters.secret_sources import resolver
from infometis_sdk.engine.apply import Materials
from infometis_sdk.engine.writing.release import records_of
from infometis_sdk.model.release import Release

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_sdk.model.bundle import Bundle
    from infometis_sdk.model.secret import Secret, SecretRef
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("materials",)


def materials(
    manifests: ManifestSet,
    root: Path | None,
    in_cluster: Callable[[SecretRef], Secret],
    *,
    record: Release | None = None,
    bundle: Bundle | None = None,
) -> Materials:
    """Gather credentials, their sources, the Secrets among the manifests, and what is recorded.

    Args:
        manifests: what is rendered.
        root: the project's directory, for references to files.
        in_cluster: resolves references to Secrets of the cluster.
        record: who deploys what and why; the plan adds the rest.
        bundle: what is kept beside the Release; ``None`` for nothing.

    """
    record = record or Release(number=0, status="pending")
    policy = manifests.environment.policies.releases
    folder = Path(root or "", policy.directory)
    return Materials(
        credentials=manifests.credentials,
        resolve=resolver(root, in_cluster),
        secrets={m.ref.key: m.object for m in manifests.manifests if m.ref.kind == "Secret"},
        record=attrs.evolve(
            record,
            services=records_of(manifests),
            verified=manifests.verified,
            sdk=version("infometis-sdk"),
        ),
        bundle=bundle,
        kept=policy.keep,
        copies=[ReleaseDirectory(folder, manifests.stack_id)] if policy.directory else (),
    )
