"""A guard inside the cluster of its stack: the objects that run it, and how it begins there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.errors import RefusedError, UnknownKindError
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infometis_sdk.engine.reading.standing import Standing
    from infometis_sdk.model.guard import GuardNote
    from infometis_sdk.ports.platform import Access
    from infometis_sdk.workspace.stack import Stack

__all__ = ("guard_from_pod", "guard_manifests")

_ASK = 120.0
_PAUSE = 10.0


def guard_manifests(stack: Stack, *, image: str, port: int = 9464) -> list[dict[str, Any]]:
    """Return the objects that run a guard of a stack in its own cluster, with least rights.

    Args:
        stack: which one; its policies decide whether the guard may write.
        image: built with the Dockerfile of the SDK's repository.
        port: of metrics and health.

    Raises:
        ProjectError: faults of the project.
        ClusterError: a kind is not built in, and the cluster that knows it does not answer.

    """
    from infometis_sdk._adapters.kinds import Kinds, declared
    from infometis_sdk.engine.guard import guard_lease
    from infometis_sdk.engine.guarding.deployment import guard_objects
    from infometis_sdk.engine.guarding.rights import rights

    manifests = stack.render()
    kinds = Kinds()
    for manifest in manifests.manifests:
        if manifest.ref.kind == "CustomResourceDefinition":
            kinds.learn(declared(manifest.object))

    def plural(api_version: str, kind: str) -> str:
        try:
            return kinds.find(api_version, kind, lambda _: None).plural
        except UnknownKindError:
            run = Run.within(_ASK)
            cluster = stack._cluster(run)  # noqa: SLF001 - the stack's own door
            return cluster.resource(api_version, kind, run).plural

    return guard_objects(
        stack_id=stack.stack_id,
        namespace=manifests.namespace,
        image=image,
        port=port,
        rules=rights(manifests, plural, lease=guard_lease(stack.stack_id)),
        pull_secrets=stack.environment.policies.registry.pull_secrets,
        isolated=any(m.ref.kind == "NetworkPolicy" for m in manifests.manifests),
    )


def guard_from_pod(
    stack_id: str,
    namespace: str,
    *,
    say: Callable[[GuardNote], None],
    listen: str = "",
    run: Run,
    access: Access | None = None,
    state_dir: Path | None = None,
) -> None:
    """Guard a stack by nothing but what its Releases in the cluster say.

    Args:
        stack_id: which stack.
        namespace: its home.
        say: takes each note.
        listen: ``host:port`` for metrics and health; empty for none.
        run: its cancel token ends the guard.
        access: another way in than the pod's own.
        state_dir: where the audit is kept; the user's state directory by default.

    """
    from infometis_sdk._adapters.existing import Existing
    from infometis_sdk._adapters.kubernetes_api import open_cluster
    from infometis_sdk.engine.core.recorded import project_at
    from infometis_sdk.engine.reading.standing import read_standing
    from infometis_sdk.model.guard import GuardNote
    from infometis_sdk.ports.platform import Access
    from infometis_sdk.workspace.guarding import guard_stack
    from infometis_sdk.workspace.releases import cluster_store
    from infometis_sdk.workspace.workspace import Workspace

    access = access or Access(kubeconfig=None)
    cluster = open_cluster(access)
    platform = Existing(kubeconfig=str(access.kubeconfig or ""), context=access.context)

    def at(standing: Standing, run: Run) -> Stack:
        release = standing.release
        if release is None or not release.bundle_digest:
            msg = f"release {standing.number} of stack {stack_id} keeps no bundle"
            raise RefusedError(
                msg, hint="guard it where its project is: Secrets in plain sight are not kept"
            )
        bundle = cluster_store(cluster, stack_id, namespace).bundle(release, run)
        project = project_at(release, bundle, None)
        # Its values are final, so the platform that made the cluster has no say any more.
        here = {
            name: attrs.evolve(one, platform=platform) for name, one in project.environments.items()
        }
        then = Workspace(attrs.evolve(project, environments=here), state_dir=state_dir)
        return then[release.environment]

    told = ""
    while not run.cancel.cancelled and run.remaining() > 0:
        step = Run.within(_ASK, cancel=run.cancel)
        standing = read_standing(cluster, stack_id, namespace, step)
        whole = next(
            (r for r in reversed(standing.releases) if r.status == "deployed" and not r.mixed), None
        )
        if whole is not None:
            # Of the project only the environment is kept; what is desired is read anew each time.
            first = at(attrs.evolve(standing, release=whole), step)
            bare = attrs.evolve(first.workspace.project, services={}, values={})
            first = first.workspace.with_project(bare)[first.name]
            guard_stack(first, cluster, run, say=say, at=at, listen=listen)
            return
        if told != standing.idle:
            told = standing.idle
            say(GuardNote(name="idle", level="warning", condition="open", detail=told))
        run.rest(_PAUSE)
