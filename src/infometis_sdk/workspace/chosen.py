"""Which platform an environment names, and which cluster of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.errors import ProjectError
from infometis_sdk.ports.platform import Platform, PlatformContext

if TYPE_CHECKING:
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.fault import Fault
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("ChosenPlatform", "choose")


@frozen(kw_only=True)
class ChosenPlatform:
    """A platform made for one stack.

    Attributes:
        name: as it is registered.
        cluster: name of the cluster.
        defaults: its values for parameters of scope ``platform``.
    """

    name: str
    cluster: str
    platform: Platform
    defaults: Mapping[str, Any] = field(factory=dict)


def choose(workspace: Workspace, environment: Environment, stack_id: str) -> ChosenPlatform:
    """Make the platform that an environment names.

    In files it is ``platform: {type: NAME, …}``; the key ``cluster`` beside it names the cluster,
    and environments of one project that name the same one share it.
    In code it is an object of the plugin's settings class.

    Raises:
        UnknownPluginError: nobody offers it; the nearest name is told.
        ProjectError: its settings are wrong.

    """
    wanted, shared = environment.platform, ""
    if isinstance(wanted, Mapping):
        shared = str(wanted.get("cluster", ""))
        wanted = {key: value for key, value in wanted.items() if key != "cluster"}
    try:
        spec, settings = workspace.plugins.platform(wanted)
    except ProjectError as error:
        raise ProjectError([_placed(fault, environment) for fault in error.faults]) from None
    owner = workspace.project.id or workspace.project.name
    cluster = f"{owner}-{shared}" if shared else stack_id
    context = PlatformContext(
        cluster=cluster,
        state_dir=workspace.state_dir / "clusters" / spec.name / cluster,
        cache_dir=workspace.cache_dir,
    )
    return ChosenPlatform(
        name=spec.name,
        cluster=cluster,
        platform=spec.factory(settings, context),
        defaults=spec.defaults(settings),
    )


def _placed(fault: Fault, environment: Environment) -> Fault:
    """Add the file and the line to a fault in the platform's settings."""
    origin = environment.sources.get(fault.path, environment.origin)
    return attrs.evolve(fault, origin=origin)
