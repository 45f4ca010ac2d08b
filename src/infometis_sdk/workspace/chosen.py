"""Which platform an environment names, and which cluster of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk._serde import nearest
from infometis_sdk.errors import InfometisError, PlatformError, ProjectError, RefusedError
from infometis_sdk.model.fault import Fault
from infometis_sdk.ports.platform import Platform, PlatformContext, Preflight
from infometis_sdk.workspace.pins import Pin

if TYPE_CHECKING:
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("AUTO", "PREFERRED", "ChosenPlatform", "choose")

AUTO = "auto"
"""The platform of an environment that leaves the choice to this machine."""

PREFERRED = ("k0s-docker", "kind", "embedded")
"""What ``auto`` tries, best first: real containers before simulated ones."""

_OWN_KEYS = ("type", "cluster")


@frozen(kw_only=True)
class ChosenPlatform:
    """A platform made for one stack.

    Attributes:
        name: as it is registered.
        cluster: name of the cluster.
        defaults: its values for parameters of scope ``platform``.
        by: who chose: empty for the environment, ``auto``, or ``asked`` for one verb's wish.
        why: what spoke for it and against the others, where there was a choice.

    """

    name: str
    cluster: str
    platform: Platform
    defaults: Mapping[str, Any] = field(factory=dict)
    by: str = ""
    why: str = ""

    def pin(self, cluster_uid: str = "") -> Pin:
        """Return what is to be remembered of the choice."""
        return Pin(
            platform=self.name, cluster=self.cluster, cluster_uid=cluster_uid, chosen_by=self.by
        )


def choose(
    workspace: Workspace, environment: Environment, stack_id: str, *, pin: Pin, asked: str = ""
) -> ChosenPlatform:
    """Make the platform that an environment names, or that was chosen for its stack.

    In files it is ``platform: {type: NAME, …}``; the key ``cluster`` beside it names the cluster,
    and environments of one project that name the same one share it.
    With the type ``auto``, other keys name platforms and hold their settings.
    In code it is an object of the plugin's settings class.

    A choice that was made for a stack on this machine holds until its cluster is destroyed:
    a container engine that is down never leads to a second, empty stack.

    Args:
        workspace: whose plugins are looked at.
        environment: what names the platform.
        stack_id: for the name of the cluster.
        pin: what is remembered of the stack.
        asked: name of the platform that somebody wants instead; empty for none.

    Raises:
        UnknownPluginError: nobody offers it; the nearest name is told.
        ProjectError: its settings are wrong.
        RefusedError: another one is wanted than the stack lives on.
        PlatformError: ``auto`` finds none that would work here.

    """
    wanted, shared = environment.platform, ""
    if isinstance(wanted, Mapping):
        shared = str(wanted.get("cluster", ""))
    owner = workspace.project.id or workspace.project.name
    cluster = f"{owner}-{shared}" if shared else stack_id

    def make(wish: Any, by: str = "", why: str = "") -> ChosenPlatform:  # noqa: ANN401 - settings
        return _make(workspace, environment, wish, cluster, by=by, why=why)

    if asked:
        _refuse_to_move(pin, asked, environment)
        if asked != AUTO:
            return make(_settings(wanted, asked, workspace), "asked", "it was asked for")
    if pin.chosen_by and pin.platform and (not asked or pin.cluster_uid):
        why = "it was chosen before, and the stack lives there"
        return make(_settings(wanted, pin.platform, workspace), pin.chosen_by, why)
    if asked == AUTO or _type_of(wanted) == AUTO:
        return _pick(workspace, wanted, make)
    return make(wanted)


def _type_of(wanted: Any) -> str:  # noqa: ANN401 - settings of any plugin, or a mapping
    return str(wanted.get("type", "")) if isinstance(wanted, Mapping) else ""


def _refuse_to_move(pin: Pin, asked: str, environment: Environment) -> None:
    if pin.cluster_uid and asked not in (AUTO, pin.platform):
        msg = f"the stack of {environment.name} lives on {pin.platform}, not on {asked}"
        hint = (
            f"'infometis destroy -e {environment.name}' removes that cluster, "
            f"'infometis abandon -e {environment.name}' forgets it"
        )
        raise RefusedError(msg, hint=hint)


def _settings(wanted: Any, name: str, workspace: Workspace) -> Any:  # noqa: ANN401 - as above
    """Return what an environment says for a platform that it need not name itself."""
    if not isinstance(wanted, Mapping):
        spec = workspace.plugins.platforms().get(name)
        return wanted if spec and isinstance(wanted, spec.settings) else {"type": name}
    if wanted.get("type") == name:
        return wanted
    own = wanted.get(name) if wanted.get("type") == AUTO else None
    return {"type": name, **(own if isinstance(own, Mapping) else {})}


def _pick(
    workspace: Workspace,
    wanted: Any,  # noqa: ANN401 - as above
    make: Callable[..., ChosenPlatform],
) -> ChosenPlatform:
    """Take the best platform that says of itself that it would work here."""
    known = workspace.plugins.platforms()
    if isinstance(wanted, Mapping) and _type_of(wanted) == AUTO:
        _check_keys(wanted, known)
    against: list[str] = []
    for name in PREFERRED:
        if name not in known:
            against.append(f"{name}: its plugin is not installed")
            continue
        chosen = make(_settings(wanted, name, workspace), AUTO)
        if why := _unfit(chosen.platform):
            against.append(f"{name}: {why}")
            continue
        return attrs.evolve(chosen, why="; ".join(against) or "the best of all, and it works here")
    msg = "\n".join(
        ("no platform would work on this machine", *(f"  - {reason}" for reason in against))
    )
    raise PlatformError(msg, hint="install or mend one of them, or name another platform")


def _check_keys(wanted: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    legal = [*_OWN_KEYS, *known]
    faults = [
        Fault(
            message=f"unknown key {key!r} of the platform auto",
            path=f"platform.{key}",
            legal="type, cluster, and the names of platforms with their settings",
            nearest=nearest(key, legal),
        )
        for key in wanted
        if key not in legal
    ]
    if faults:
        raise ProjectError(faults)


def _unfit(platform: Platform) -> str:
    """Return why a platform would not work here; empty where it would, or cannot tell."""
    if not isinstance(platform, Preflight):
        return ""
    try:
        findings = platform.preflight()
    except InfometisError as error:
        return error.message.splitlines()[0]
    return ", ".join(finding.detail for finding in findings if finding.level == "error")


def _make(
    workspace: Workspace,
    environment: Environment,
    wanted: Any,  # noqa: ANN401 - as above
    cluster: str,
    *,
    by: str,
    why: str,
) -> ChosenPlatform:
    if isinstance(wanted, Mapping):
        wanted = {key: value for key, value in wanted.items() if key != "cluster"}
    try:
        spec, settings = workspace.plugins.platform(wanted)
    except ProjectError as error:
        raise ProjectError([_placed(fault, environment) for fault in error.faults]) from None
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
        by=by,
        why=why,
    )


def _placed(fault: Fault, environment: Environment) -> Fault:
    """Add the file and the line to a fault in the platform's settings."""
    origin = environment.sources.get(fault.path, environment.origin)
    return attrs.evolve(fault, origin=origin)
