"""Compose: a project and an environment become one stack with final values.

Layers, lowest first: base (the descriptor's defaults), project, platform defaults, border (what
services must know of their routes), mode, environment, local.
Maps merge, lists replace, ``null`` unsets what lower layers said.
Base and project may set core parameters; mode, environment and local never.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.border.check_border import border_faults, member_faults
from infometis_sdk.engine.border.routes import announced, routes_of, with_members
from infometis_sdk.engine.inputs import values as checks
from infometis_sdk.engine.inputs.check_capacity import capacity_faults
from infometis_sdk.engine.inputs.check_externals import external_faults, undeclared_faults
from infometis_sdk.engine.inputs.descriptor import faults_of
from infometis_sdk.engine.inputs.layers import Layer, layers_of, name_faults, other_mode_faults
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.engine.inputs.needs import dependency_order
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.environment import MODES, Environment
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.stack import ComposedService, ComposedStack, Setting

if TYPE_CHECKING:
    from infometis_sdk.engine.border.scene import Publisher
    from infometis_sdk.model.parameter import Parameter
    from infometis_sdk.model.project import Project
    from infometis_sdk.model.service import Service

__all__ = ("compose", "compose_core", "derived_stack_id", "home_namespace")

_STACK_ID_MAX = 40
_LABEL_MAX = 63
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NO_DEFAULTS: Mapping[str, Any] = MappingProxyType({})
_MAY_SET_CORE = ("base", "project")


def compose(
    project: Project,
    environment: Environment,
    *,
    platform_defaults: Mapping[str, Any] = _NO_DEFAULTS,
    publisher: Publisher | None = None,
) -> ComposedStack:
    """Lay all layers of values over each other.

    Args:
        project: services, project values, values per mode.
        environment: the environment; need not be one of the project's own.
        platform_defaults: values by parameter name, given to every service that declares a
            parameter of that name with scope ``platform``.
        publisher: who renders the environment's border.

    Returns:
        The stack: every value final and checked, each with the whole history of its layers,
        services in the order of their needs.

    Raises:
        ProjectError: every fault of every layer, with file and line.

    Example:
        >>> from infometis_sdk.model import Environment, Parameter, Project, Service
        >>> hello = Service(name="hello", parameters={"replicas": Parameter(
        ...     type="integer", default=1, scope="scale")})
        >>> project = Project(name="demo", services={"hello": hello})
        >>> stack = compose(project, Environment("dev", values={"hello": {"replicas": 2}}))
        >>> stack.service("hello").values["replicas"], stack.stack_id
        (2, 'demo-dev')

    """
    faults = _service_faults(project)
    faults += _environment_faults(project, environment)
    faults += undeclared_faults(project, environment)
    faults += external_faults(project, environment)
    faults += border_faults(project.services, environment)
    faults += capacity_faults(project.services, environment)
    layers = layers_of(project, environment)
    for layer in layers:
        faults += name_faults(project, layer)
    faults += other_mode_faults(project, environment)
    routes = routes_of(project.services, environment)
    learned = announced(routes)

    composed: dict[str, ComposedService] = {}
    for name, service in project.services.items():
        composed[name], found = _compose_service(
            service, layers, platform_defaults, learned.get(name, {})
        )
        faults += found
    order, found = dependency_order(project.services)
    faults += found
    routes = with_members(routes, {name: made.values for name, made in composed.items()})
    faults += member_faults(routes, environment)
    if errors := [fault for fault in faults if fault.level == "error"]:
        raise ProjectError(errors)
    return ComposedStack(
        project=project.name,
        environment=environment,
        stack_id=environment.stack_id or derived_stack_id(project, environment),
        namespace=home_namespace(project, environment),
        services=tuple(composed[name] for name in order),
        lock=project.lock,
        routes=routes,
        publisher=publisher,
    )


def compose_core(project: Project) -> tuple[ComposedService, ...]:
    """Compose the core parameters alone, which no environment may set.

    Returns:
        Every service with the values of its core parameters, by name.

    Raises:
        ProjectError: every fault of the services, the project layer and the modes.

    """
    environment = Environment("core")
    layers = layers_of(project, environment)
    faults = _service_faults(project)
    for layer in layers:
        faults += name_faults(project, layer)
    faults += other_mode_faults(project, environment)
    faults += dependency_order(project.services)[1]
    composed = []
    for _, service in sorted(project.services.items()):
        core = {name: p for name, p in service.parameters.items() if p.scope == "core"}
        made, found = _compose_service(attrs.evolve(service, parameters=core), layers, {})
        composed.append(attrs.evolve(made, service=service))
        faults += found
    if errors := [fault for fault in faults if fault.level == "error"]:
        raise ProjectError(errors)
    return tuple(composed)


def _service_faults(project: Project) -> list[Fault]:
    faults = [fault for service in project.services.values() for fault in faults_of(service)]
    faults += [
        Fault(
            message=f"service {service.name!r} is listed under the name {name!r}",
            origin=service.origin,
            path=f"services.{name}",
            legal="one name",
        )
        for name, service in project.services.items()
        if name != service.name
    ]
    return faults


def derived_stack_id(project: Project, environment: Environment) -> str:
    """Return the stack id of an environment that does not write one.

    Example:
        >>> from infometis_sdk.model import Environment, Project
        >>> derived_stack_id(Project(name="Demo"), Environment("dev"))
        'demo-dev'

    """
    return _label(f"{project.id or project.name}-{environment.name}", _STACK_ID_MAX)


def home_namespace(project: Project, environment: Environment) -> str:
    """Return the namespace of an environment, also where it does not write one.

    Example:
        >>> from infometis_sdk.model import Environment, Project
        >>> home_namespace(Project(name="demo", id="demo-7f3a"), Environment("dev"))
        'demo-dev'

    """
    return environment.namespace or _label(f"{project.name}-{environment.name}", _LABEL_MAX)


def _label(text: str, limit: int) -> str:
    """Make a DNS label; what had to be changed or cut gets a hash, so that two never meet."""
    lower = text.lower()
    label = re.sub(r"[^-a-z0-9]", "-", lower).strip("-")
    if label == lower and len(label) <= limit:
        return label
    mark = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{label[: limit - len(mark) - 1].strip('-')}-{mark}"


def _environment_faults(project: Project, environment: Environment) -> list[Fault]:
    faults = []

    def add(path: str, message: str, **more: str) -> None:
        origin = environment.sources.get(path, environment.origin)
        faults.append(Fault(message=message, origin=origin, path=path, **more))

    label = "lower-case letters, digits and hyphens, at most"
    for path, text, limit in (
        ("name", environment.name, _STACK_ID_MAX),
        ("stack_id", environment.stack_id, _STACK_ID_MAX),
        ("namespace", environment.namespace, _LABEL_MAX),
    ):
        if (text or path == "name") and (len(text) > limit or not _LABEL.fullmatch(text)):
            add(path, "not a DNS label", found=repr(text), legal=f"{label} {limit} characters")
    if environment.mode not in MODES:
        add(
            "mode",
            f"unknown mode {environment.mode!r}",
            legal=", ".join(MODES),
            nearest=nearest(environment.mode, MODES),
        )
    if environment.protected and environment.local:
        add("local", "a protected environment takes no local values", legal="no local file")
    known = {f"{s.name}.{c}" for s in project.services.values() for c in s.credentials}
    for name in environment.credentials:
        if name not in known:
            add(
                f"credentials.{name}",
                f"no service declares the credential {name!r}",
                nearest=nearest(name, known),
            )
    return faults


def _compose_service(
    service: Service,
    layers: tuple[Layer, ...],
    platform_defaults: Mapping[str, Any],
    learned: Mapping[str, Any] = _NO_DEFAULTS,
) -> tuple[ComposedService, list[Fault]]:
    project, mode, environment, local = layers
    platform = Layer(
        name="platform",
        values={
            service.name: {
                name: platform_defaults[name]
                for name, parameter in service.parameters.items()
                if parameter.scope == "platform" and name in platform_defaults
            }
        },
        sources={},
        prefixes=(),
        fallback=Origin(layer="platform"),
    )
    border = Layer(
        name="border",
        values={service.name: learned},
        sources={},
        prefixes=(),
        fallback=Origin(layer="border"),
    )
    values: dict[str, Any] = {}
    history: dict[str, tuple[Setting, ...]] = {}
    faults: list[Fault] = []
    for name, parameter in service.parameters.items():
        line = service.lines.get(
            f"parameters.{name}.default", service.lines.get(f"parameters.{name}", 0)
        )
        base = Origin(layer="base", file=service.origin.file, line=line)
        value = checks.plain(parameter.default)
        _record(history, name, value, base)
        origin = base
        for layer in (project, platform, border, mode, environment, local):
            given = layer.values.get(service.name)
            if not isinstance(given, Mapping) or name not in given:
                continue
            word = given[name]
            here = layer.origin(service.name, name)
            if fault := _word_fault(service, name, parameter, word, here):
                faults.append(fault)
                continue
            value = _merge(value, word)
            origin = here
            word = checks.plain(word)
            _record(history, name, word, here, layer=layer, service=service.name)
        values[name], fault = _final(service, name, parameter, value, origin)
        if fault:
            faults.append(fault)
    return ComposedService(service=service, values=values, history=history), faults


def _word_fault(
    service: Service,
    name: str,
    parameter: Parameter,
    word: Any,  # noqa: ANN401 - JSON
    origin: Origin,
) -> Fault | None:
    path = f"values.{service.name}.{name}"
    if parameter.scope == "core" and origin.layer not in _MAY_SET_CORE:
        return Fault(
            message=f"parameter {name!r} of service {service.name!r} is core: the same everywhere,"
            f" so the {origin.layer} layer may not set it",
            origin=origin,
            path=path,
            legal="set it in the project's values",
        )
    if word is not None and (legal := checks.type_error(parameter, word)):
        return Fault(
            message=f"parameter {name!r} of service {service.name!r} has the wrong type",
            origin=origin,
            path=path,
            found=repr(word),
            legal=legal,
        )
    return None


def _final(
    service: Service,
    name: str,
    parameter: Parameter,
    value: Any,  # noqa: ANN401 - JSON
    origin: Origin,
) -> tuple[Any, Fault | None]:
    path = f"values.{service.name}.{name}"
    if value is None:
        if parameter.optional:
            return None, None
        return None, Fault(
            message=f"parameter {name!r} of service {service.name!r} has no value",
            origin=origin,
            path=path,
            found="null",
            legal="a value: the parameter is not optional",
        )
    if checks.type_error(parameter, value):
        # A wrong default; the descriptor's own check reports it.
        return value, None
    final = checks.normal(parameter, value)
    if legal := checks.bound_error(parameter, final):
        return final, Fault(
            message=f"parameter {name!r} of service {service.name!r} is out of bounds",
            origin=origin,
            path=path,
            found=repr(value),
            legal=legal,
        )
    return final, None


def _merge(below: Any, above: Any) -> Any:  # noqa: ANN401 - JSON
    """Lay one value over another: maps merge, all else replaces, ``None`` unsets."""
    if not isinstance(above, Mapping) or not isinstance(below, Mapping):
        return _without_nulls(above)
    merged = dict(below)
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return checks.plain(value)


def _record(
    history: dict[str, tuple[Setting, ...]],
    path: str,
    value: Any,  # noqa: ANN401 - JSON
    origin: Origin,
    *,
    layer: Layer | None = None,
    service: str = "",
) -> None:
    """Note a layer's word on a value, and on every value below it."""
    history[path] = (*history.get(path, ()), Setting(value=value, origin=origin))
    if isinstance(value, Mapping):
        for key, item in value.items():
            below = f"{path}.{key}"
            here = layer.origin(service, *below.split(".")) if layer else origin
            _record(history, below, item, here, layer=layer, service=service)
