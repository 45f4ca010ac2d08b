"""Check a whole project; from files and from code alike, all faults at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk._serde import structure
from infometis_sdk.engine.compose import compose, derived_stack_id
from infometis_sdk.engine.inputs.check_environment import environment_faults
from infometis_sdk.engine.inputs.check_externals import used_externals
from infometis_sdk.engine.inputs.check_pipelines import FUNCTION, pipeline_faults
from infometis_sdk.engine.inputs.check_templates import template_faults
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.external import External
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from infometis_sdk.model.project import Project
    from infometis_sdk.model.service import Service
    from infometis_sdk.ports.border import BorderSpec
    from infometis_sdk.ports.platform import PlatformSpec

__all__ = ("platform_faults", "project_faults")

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")


def project_faults(
    project: Project,
    platforms: Mapping[str, PlatformSpec] | None = None,
    borders: Mapping[str, BorderSpec] | None = None,
    *,
    ignore: Collection[str] = (),
    parts: Collection[tuple[str, str, str]] = (),
) -> tuple[Fault, ...]:
    """Return every fault of a project: errors and warnings.

    Args:
        project: from files or built in code.
        platforms: known platforms by name, whose settings are checked; ``None`` checks none.
        borders: the same for border adapters.
        ignore: services that could not be read; nobody who names them is blamed.
        parts: ``(service, section, name)`` of parameters, endpoints and credentials that could
            not be read; the same.

    Example:
        >>> from infometis_sdk.model import Project
        >>> faults = project_faults(Project(name="Demo"))
        >>> faults[0].path
        'name'

    """
    checked = _without(project, frozenset(ignore), frozenset(parts))
    faults = [*_own_faults(checked), *pipeline_faults(checked)]
    for service in checked.services.values():
        faults += template_faults(service)
    # one environment at least, so that the project's own values are checked without any
    environments = list(checked.environments.values()) or [_some_environment(checked)]
    for environment in environments:
        try:
            compose(_with_platform_values(checked), environment)
        except ProjectError as error:
            faults += error.faults
        faults += environment_faults(checked, environment)
        if platforms is not None and checked.environments:
            faults += platform_faults(environment, platforms)
        if borders is not None:
            faults += adapter_faults(environment, borders)
    return _without_echoes(faults, frozenset(parts))


def platform_faults(
    environment: Environment, platforms: Mapping[str, PlatformSpec]
) -> tuple[Fault, ...]:
    """Check the platform section of an environment against the platform's settings.

    A platform that nobody offers here is a warning: it may be installed elsewhere,
    and asking for the environment here is an error anyhow.
    """
    section = environment.platform
    if not isinstance(section, Mapping) or not isinstance(section.get("type"), str):
        return ()
    name = section["type"]
    if name == "auto":
        return ()  # its other keys are looked at when the choice is made
    lines = {path: origin.line for path, origin in environment.sources.items()}
    origin = environment.sources.get("platform.type", environment.origin)
    if name not in platforms:
        return (
            Fault(
                message=f"no plugin that is installed here offers the platform {name!r}",
                origin=origin,
                path="platform.type",
                legal=", ".join(sorted(platforms)),
                nearest=nearest(name, platforms),
                level="warning",
            ),
        )
    try:
        _, faults = structure(
            platforms[name].settings,
            {key: value for key, value in section.items() if key != "type"},
            path="platform",
            file=environment.origin.file,
            layer=environment.origin.layer,
            lines=lines,
        )
    except NameError as error:
        # a settings class whose field types exist for type checkers only
        message = f"the settings of platform {name!r} cannot be read: {error}"
        return (Fault(message=message, origin=origin, path="platform"),)
    return faults


def adapter_faults(
    environment: Environment, borders: Mapping[str, BorderSpec]
) -> tuple[Fault, ...]:
    """Check a border's own section against the settings of its adapter.

    An adapter that nobody offers here is a warning, as with platforms.
    """
    border = environment.border
    if border.type == "none":
        return ()
    if border.type not in borders:
        return (
            Fault(
                message=f"no plugin that is installed here offers the border {border.type!r}",
                origin=environment.sources.get("border.type", environment.origin),
                path="border.type",
                legal=", ".join(sorted(borders)) or "none",
                nearest=nearest(border.type, borders),
                level="warning",
            ),
        )
    if not isinstance(border.settings, Mapping):
        return ()
    _, faults = structure(
        borders[border.type].settings,
        border.settings,
        path=f"border.{border.type}",
        file=environment.origin.file,
        layer=environment.origin.layer,
        lines={path: origin.line for path, origin in environment.sources.items()},
    )
    return faults


def _own_faults(project: Project) -> Iterator[Fault]:
    for path, text in (("name", project.name), ("id", project.id)):
        if (text or path == "name") and not _LABEL.fullmatch(text):
            yield Fault(
                message="not a DNS label",
                origin=project.sources.get(path, Origin(layer="project")),
                path=path,
                found=repr(text),
                legal="lower-case letters, digits, hyphens, first a letter, at most 40 characters",
            )
    for number, name in enumerate(project.probes):
        if not FUNCTION.fullmatch(name):
            path = f"probes[{number}]"
            yield Fault(
                message="not the name of a probe",
                origin=project.sources.get(path, Origin(layer="project")),
                path=path,
                found=repr(name),
                legal="module:name",
            )
    yield from _same_stack_ids(project)
    yield from _renames(project)


def _same_stack_ids(project: Project) -> Iterator[Fault]:
    met: dict[str, Environment] = {}
    for environment in project.environments.values():
        stack_id = environment.stack_id or derived_stack_id(project, environment)
        other = met.setdefault(stack_id, environment)
        if other is not environment:
            yield Fault(
                message=f"environments {other.name!r} and {environment.name!r} have one stack_id,"
                f" {stack_id!r}, and would take each other's objects",
                origin=environment.sources.get("stack_id", environment.origin),
                path="stack_id",
                legal="an id of its own; an environment without one gets it from its name",
            )


def _renames(project: Project) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    for name, service in project.services.items():
        origin = attrs.evolve(
            service.origin, line=service.lines.get("renamed_from", service.origin.line)
        )
        for old in service.renamed_from:
            if old in project.services:
                message = f"{name!r} says that it was {old!r}, which is another service here"
                yield Fault(message=message, origin=origin, path="renamed_from")
            elif owners.setdefault(old, name) != name:
                message = f"{name!r} and {owners[old]!r} both say that they were {old!r}"
                yield Fault(message=message, origin=origin, path="renamed_from")


def _some_environment(project: Project) -> Environment:
    """Return an environment that lacks nothing, for a project that has none."""
    names = {name for each in project.services.values() for name in used_externals(each.uses)}
    stub = External(addresses=["192.0.2.1"], port=1)
    return Environment("none", external=dict.fromkeys(sorted(names), stub))


def _without_echoes(
    faults: list[Fault], parts: frozenset[tuple[str, str, str]]
) -> tuple[Fault, ...]:
    """Drop repeated faults, and what composing says of a parameter that is at fault itself."""
    declared = {
        (fault.origin.file, fault.path.split(".")[1])
        for fault in faults
        if fault.path.startswith("parameters.")
    }

    def echo(fault: Fault) -> bool:
        section, _, rest = fault.path.partition(".")
        service, _, name = rest.partition(".")
        if section != "values" or not name:
            return False
        at_default = fault.origin.layer == "base" and (fault.origin.file, name) in declared
        return at_default or (service, "parameters", name) in parts

    return tuple(fault for fault in dict.fromkeys(faults) if not echo(fault))


# --- what could not be read -----------------------------------------------------------------------


def _without(
    project: Project, services: frozenset[str], parts: frozenset[tuple[str, str, str]]
) -> Project:
    """Take out whatever names something that could not be read: that has been said already."""
    if not services and not parts:
        return project

    def values(layer: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        return {
            name: {k: v for k, v in given.items() if (name, "parameters", k) not in parts}
            for name, given in layer.items()
            if name not in services
        }

    def environment(env: Environment) -> Environment:
        credentials = {
            key: value
            for key, value in env.credentials.items()
            if key.partition(".")[0] not in services
            and (key.partition(".")[0], "credentials", key.partition(".")[2]) not in parts
        }
        scaling = {k: v for k, v in env.policies.scaling.items() if k not in services}
        return attrs.evolve(
            env,
            values=values(env.values),
            local=values(env.local),
            credentials=credentials,
            policies=attrs.evolve(env.policies, scaling=scaling),
        )

    def service(one: Service) -> Service:
        uses = (
            use
            for use in one.uses
            if use.partition(".")[0] not in services
            and (use.partition(".")[0], "endpoints", use.partition(".")[2]) not in parts
        )
        return attrs.evolve(one, uses=uses, needs=(n for n in one.needs if n not in services))

    return attrs.evolve(
        project,
        services={name: service(one) for name, one in project.services.items()},
        values=values(project.values),
        modes={mode: values(layer) for mode, layer in project.modes.items()},
        environments={name: environment(env) for name, env in project.environments.items()},
    )


def _with_platform_values(project: Project) -> Project:
    """Let parameters without a value pass where the platform may bring it later."""
    return attrs.evolve(
        project,
        services={
            name: attrs.evolve(
                service,
                parameters={
                    key: attrs.evolve(parameter, optional=True)
                    if parameter.scope == "platform" and parameter.default is None
                    else parameter
                    for key, parameter in service.parameters.items()
                },
            )
            for name, service in project.services.items()
        },
    )
