"""Releases of a stack: what is recorded, shown, compared and returned to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.errors import InfometisError, StoreError
from infometis_sdk.model.release import Release

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.model.bundle import Bundle
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.release import ReleaseList
    from infometis_sdk.model.release_diff import ReleaseDiff
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.release_store import ReleaseStore
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

__all__ = (
    "before",
    "cluster_store",
    "diff",
    "directory_store",
    "find",
    "recorded",
    "workspace_at",
)


def recorded(
    workspace: Workspace,
    environment: Environment,
    manifests: ManifestSet,
    *,
    platform: str,
    reason: str,
) -> dict[str, Any]:
    """Return what a Release says of who deploys what, and the Bundle that is kept beside it.

    Returns:
        ``record`` and ``bundle``, for :func:`infometis_sdk.workspace.materials.materials`.

    """
    from infometis_sdk._adapters.actor import actor
    from infometis_sdk._adapters.provenance import git_state
    from infometis_sdk.engine.core.bundle import build_bundle
    from infometis_sdk.engine.core.recorded import definition_of

    commit, dirty = git_state(workspace.project.root)
    record = Release(
        number=0,
        status="pending",
        project=workspace.project.name,
        actor=actor(),
        reason=reason,
        plugins={
            p.distribution: p.version
            for p in workspace.plugins.listing()
            if p.state == "loaded" and p.distribution
        },
        commit=commit,
        dirty=dirty,
        definition=definition_of(environment, platform),
    )
    return {
        "record": record,
        "bundle": None if _exposed(manifests) else build_bundle(workspace.project),
    }


def _exposed(manifests: ManifestSet) -> bool:
    """Whether a Secret has its values in plain sight; a Bundle would carry them along."""
    return any(
        m.ref.kind == "Secret" and (m.object.get("data") or m.object.get("stringData"))
        for m in manifests.manifests
    )


def cluster_store(cluster: Cluster, stack_id: str, namespace: str) -> ReleaseStore:
    """Return the store in the stack's own cluster, open for reading."""
    from infometis_sdk.engine.writing.release_store import ClusterReleases

    return ClusterReleases(cluster, stack_id, namespace)


def directory_store(directory: str | Path, stack_id: str) -> ReleaseStore:
    """Return the store in a directory, where ``policies.releases.directory`` keeps copies."""
    from infometis_sdk._adapters.release_directory import ReleaseDirectory

    return ReleaseDirectory(directory, stack_id)


def find(known: ReleaseList, number: int) -> Release:
    """Return one of the Releases.

    Raises:
        StoreError: there is none of that number, or it is damaged.

    """
    for release in known.items:
        if release.number == number:
            return release
    found = "no sound" if known.problems else "no"
    msg = f"there is {found} release {number} of stack {known.stack_id}"
    numbers = ", ".join(str(r.number) for r in known.items) or "none"
    raise StoreError("; ".join((msg, *known.problems)), hint=f"there are: {numbers}")


def before(known: ReleaseList) -> Release:
    """Return the newest whole Release before the one that is, or was last, deployed.

    Raises:
        StoreError: there is none.

    """
    whole = [r for r in known.items if r.status in ("deployed", "superseded") and not r.mixed]
    live = known.live
    if live is None and whole:
        return whole[-1]  # the newest apply failed before it was deployed
    failed_since = bool(known.items) and live is not None and known.items[-1].number > live.number
    if failed_since and live is not None and not live.mixed:
        return live
    earlier = [r for r in whole if live is not None and r.number < live.number]
    if earlier:
        return earlier[-1]
    msg = f"stack {known.stack_id} has no earlier release to return to"
    raise StoreError("; ".join((msg, *known.problems)), hint="see `infometis releases`")


def workspace_at(workspace: Workspace, release: Release, bundle: Bundle) -> Workspace:
    """Return a workspace with the project as it was deployed then."""
    from infometis_sdk.engine.core.recorded import project_at

    now = workspace.project.environments.get(release.environment)
    return workspace.with_project(project_at(release, bundle, now, workspace.project.root))


def diff(stack: Stack, store: ReleaseStore, a: int, b: int, run: Run) -> ReleaseDiff:
    """Compare two Releases; the inputs of their cores too, where both Bundles can be had."""
    from infometis_sdk.engine.proving.release_diff import diff_releases

    known = store.releases(run)
    one, other = find(known, a), find(known, b)
    if one.bundle == other.bundle:
        return diff_releases(one, other)
    try:
        stacks = tuple(stack.at_release(n, store=store, run=run).compose() for n in (a, b))
    except InfometisError as error:
        note = f"of the core only digests are compared: {error.message}"
        return diff_releases(one, other, notes=(note,))
    return diff_releases(one, other, (stacks[0], stacks[1]))
