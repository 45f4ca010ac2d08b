"""Which platform an environment names, and which cluster of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk._serde import nearest, structure
from infometis_sdk.errors import ProjectError, UnknownPluginError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.fault import Fault
from infometis_sdk.ports.platform import Platform, PlatformContext, PlatformSpec

if TYPE_CHECKING:
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
    spec, settings, shared = _settings(workspace, environment)
    owner = workspace.project.id or workspace.project.name
    cluster = f"{owner}-{shared}" if shared else stack_id
    context = PlatformContext(
        cluster=cluster,
        state_dir=workspace.state_dir / "clusters" / spec.name / cluster,
        cache_dir=workspace.cache_dir / spec.name,
    )
    return ChosenPlatform(
        name=spec.name,
        cluster=cluster,
        platform=spec.factory(settings, context),
        defaults=spec.defaults(settings),
    )


def _settings(workspace: Workspace, environment: Environment) -> tuple[PlatformSpec, Any, str]:
    specs = workspace.plugins.platforms()
    given = environment.platform
    if not isinstance(given, Mapping):
        for spec in specs.values():
            if type(given) is spec.settings:
                return spec, given, ""
        msg = f"no installed platform has settings of the class {type(given).__name__}"
        raise UnknownPluginError(msg, hint=f"installed: {', '.join(specs) or 'none'}")
    fields = dict(given)
    name, shared = str(fields.pop("type", "")), str(fields.pop("cluster", ""))
    known = specs.get(name)
    if known is None:
        workspace.plugins.explain_missing("platform", name)
        near = nearest(name, tuple(specs))
        msg = f"environment {environment.name} names the platform {name!r}, which nobody offers"
        hint = f"did you mean {near!r}? " if near else ""
        raise UnknownPluginError(
            msg, plugin=name, hint=f"{hint}installed: {', '.join(specs) or 'none'}"
        )
    settings, faults = structure(
        known.settings,
        fields,
        path="platform",
        file=environment.origin.file,
        layer="environment",
        lines={path: where.line for path, where in environment.sources.items()},
    )
    if faults:
        raise ProjectError(faults)
    if settings is None:
        raise ProjectError((Fault(message="the platform's settings cannot be read"),))
    return known, settings, shared
