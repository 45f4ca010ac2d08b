"""Small stacks beside the user's own, on the same cluster and through the same door and writer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from infometis_sdk.model.environment import Environment, Policies
from infometis_sdk.model.project import Project
from infometis_sdk.model.service import Service
from infometis_sdk.ports.platform import AddOns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infometis_sdk.model.report import ApplyReport
    from infometis_sdk.model.run import Run
    from infometis_sdk.workspace.stack import Stack

__all__ = ("add_ons_of", "beside", "lay_add_ons")


def beside(
    stack: Stack, name: str, objects: Sequence[Mapping[str, Any]], *, stack_id: str
) -> Stack:
    """Make a stack of given objects, on the cluster of another one.

    Args:
        stack: whose cluster, plugins and memory it shares.
        name: of the one service that holds the objects.
        objects: Kubernetes objects; their names are kept as they are.
        stack_id: its identity, and the name of its namespace.

    """
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

    service = Service(name=name, manifests=tuple(objects))
    environment = Environment(
        name,
        namespace=stack_id,
        stack_id=stack_id,
        # The least that is asked of pods is not ours to raise: add-ons mount paths of their node.
        policies=Policies(pod_security="privileged"),
    )
    project = Project(name="infometis", services={name: service}, environments={name: environment})
    home = stack.workspace
    workspace = Workspace(project, state_dir=home.state_dir, cache_dir=home.cache_dir)
    workspace.plugins = home.plugins
    return Stack(workspace, environment, chosen=stack.chosen)


def add_ons_of(stack: Stack) -> str:
    """Return the identity of the stack that holds a cluster's add-ons; one for each cluster."""
    return f"add-ons-{hashlib.sha256(stack.chosen.cluster.encode()).hexdigest()[:12]}"


def lay_add_ons(stack: Stack, run: Run) -> ApplyReport | None:
    """Apply what the platform says that its clusters lack; nothing happens where it says nothing.

    They belong to the cluster: every stack there uses the same ones, and none takes them away.

    Raises:
        PlanRefusedError: something of that name is there, and is not ours.
        ApplyError: some objects were not applied.

    """
    platform = stack.platform
    objects = platform.add_ons() if isinstance(platform, AddOns) else ()
    if not objects:
        return None
    side = beside(stack, "add-ons", objects, stack_id=add_ons_of(stack))
    plan = side.plan(run=run)
    # What the platform no longer returns goes without a word: nobody else ever wrote it.
    return side.apply(plan, confirm=plan.digest, reason="add-ons of the platform", run=run)
