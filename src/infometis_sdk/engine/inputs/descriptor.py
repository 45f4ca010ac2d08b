"""Check what a descriptor says about itself; for services from files and from code alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infometis_sdk.engine.core.reach import out_of_reach
from infometis_sdk.engine.inputs import values as checks
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.model.external import EXTERNAL
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.parameter import MUTABILITIES, SCOPES, SHRINKS, TYPES, Parameter
from infometis_sdk.model.service import (
    ANNOUNCED,
    CREDENTIAL_TYPES,
    DERIVED_FORMS,
    DOWNGRADES,
    PATH_STYLES,
    PROTOCOLS,
    ROTATIONS,
    SCALING_DIRECTIONS,
    Scaling,
    Service,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ("faults_of",)

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PORT_MAX = 65535
_SCALED = ("Deployment", "StatefulSet")
# A Kubernetes Service's name is a DNS label of 63; "-headless" and the like need some room.
_NAME_MAX = 40


def faults_of(service: Service) -> tuple[Fault, ...]:
    """Return every fault of a service's descriptor.

    Example:
        >>> bad = Service(name="a", parameters={"x": Parameter(type="int", default=1)})
        >>> faults_of(bad)[0].nearest
        'integer'

    """
    return tuple(_faults(service))


def _fault(
    service: Service,
    path: str,
    message: str,
    *,
    found: object = None,
    legal: str = "",
    near: str = "",
) -> Fault:
    line = next(
        (service.lines[p] for p in _upwards(path) if p in service.lines), service.origin.line
    )
    return Fault(
        message=message,
        origin=Origin(layer="base", file=service.origin.file, line=line),
        path=path,
        found="" if found is None else repr(found),
        legal=legal,
        nearest=near,
    )


def _upwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


def _choice(
    service: Service, path: str, value: str, legal: Iterable[str], *, what: str = ""
) -> Iterator[Fault]:
    known = tuple(legal)
    if value not in known:
        yield _fault(
            service,
            path,
            f"the service declares no {what} {value!r}" if what else f"unknown word {value!r}",
            legal=", ".join(known) or "none is declared",
            near=nearest(value, known),
        )


def _faults(service: Service) -> Iterator[Fault]:
    if len(service.name) > _NAME_MAX or not _LABEL.fullmatch(service.name):
        yield _fault(
            service,
            "name",
            "not a DNS label",
            found=service.name,
            legal=f"lower-case letters, digits and hyphens, at most {_NAME_MAX} characters",
        )
    if service.name == EXTERNAL:
        message = f"{EXTERNAL!r} stands for systems outside the stack, not for a service"
        yield _fault(service, "name", message, legal="another name")
    for use in service.uses:
        if use in (EXTERNAL, f"{EXTERNAL}."):
            message = f"{use!r} names no system"
            yield _fault(service, "uses", message, legal=f"{EXTERNAL}.NAME")
    for name, parameter in service.parameters.items():
        yield from _parameter_faults(service, f"parameters.{name}", name, parameter)
    yield from _image_faults(service)
    yield from _offer_faults(service)
    if service.scaling is not None:
        yield from _scaling_faults(service, service.scaling)
    yield from _choice(service, "upgrade.downgrade", service.upgrade.downgrade, DOWNGRADES)


def _image_faults(service: Service) -> Iterator[Fault]:
    for name in service.images:
        if not _IDENTIFIER.fullmatch(name):
            yield _fault(
                service,
                f"images.{name}",
                "not a name that templates can use",
                found=name,
                legal="letters, digits and underscores",
            )
    for name, image in service.images.items():
        if not image.digest and image.tag in ("", "latest"):
            yield _fault(
                service,
                f"images.{name}",
                f"image {image.repository!r} is not pinned",
                found=image.tag,
                legal="a tag other than latest, or a digest",
            )


def _offer_faults(service: Service) -> Iterator[Fault]:
    """Check endpoints and credentials, and what refers to them."""
    for name, endpoint in service.endpoints.items():
        path = f"endpoints.{name}"
        if not 1 <= endpoint.port <= _PORT_MAX:
            yield _fault(
                service,
                f"{path}.port",
                "not a port",
                found=endpoint.port,
                legal=f"1 to {_PORT_MAX}",
            )
        yield from _choice(service, f"{path}.protocol", endpoint.protocol, PROTOCOLS)
        yield from _choice(service, f"{path}.path_style", endpoint.path_style, PATH_STYLES)
        for what, parameter in endpoint.announce.items():
            yield from _choice(service, f"{path}.announce.{what}", what, ANNOUNCED)
            yield from _told(service, f"{path}.announce.{what}", parameter, "border")
        if endpoint.members:
            yield from _told(service, f"{path}.members", endpoint.members, "scale")
    for name, credential in service.credentials.items():
        path = f"credentials.{name}"
        yield from _choice(service, f"{path}.type", credential.type, CREDENTIAL_TYPES)
        yield from _choice(service, f"{path}.rotation", credential.rotation, ROTATIONS)
        for form in credential.derived:
            yield from _choice(service, f"{path}.derived", form, DERIVED_FORMS)
    for name, check in service.checks.items():
        yield from _endpoint(service, f"checks.{name}.endpoint", check.endpoint)
        if check.credential:
            path = f"checks.{name}.credential"
            yield from _choice(
                service, path, check.credential, service.credentials, what="credential"
            )
    if service.metrics:
        yield from _endpoint(service, "metrics.endpoint", service.metrics.endpoint)


def _told(service: Service, path: str, name: str, scope: str) -> Iterator[Fault]:
    """Check a parameter that an endpoint names."""
    known = {key for key, parameter in service.parameters.items() if parameter.scope == scope}
    yield from _choice(service, path, name, sorted(known), what=f"{scope} parameter")


def _scaling_faults(service: Service, rule: Scaling) -> Iterator[Fault]:
    """Check that the rule names what an autoscaler can drive, and contradicts no parameter."""
    if unknown := [word for word in rule.directions if word not in SCALING_DIRECTIONS]:
        for word in unknown:
            yield from _choice(service, "scaling.directions", word, SCALING_DIRECTIONS)
        return
    parameter = service.parameters.get(rule.parameter)
    why = rule.why or (parameter.why if parameter else "")
    if set(SCALING_DIRECTIONS) - {*rule.directions} and not why:
        path = "scaling.why"
        yield _fault(service, path, "says not why it may not scale", legal="the reason")
    if not rule.directions:
        return
    kind, _, name = rule.workload.partition("/")
    if kind not in _SCALED or not name:
        yield _fault(service, "scaling.workload", "names no workload that can be scaled",
                     found=rule.workload, legal="Deployment/NAME or StatefulSet/NAME")  # fmt: skip
    if "out" not in rule.directions:
        yield _fault(service, "scaling.directions", "could never come back",
                     found=list(rule.directions), legal="out, or out and in")  # fmt: skip
    path = "scaling.parameter"
    if parameter is None:
        yield from _choice(service, path, rule.parameter, service.parameters, what="parameter")
        return
    wanted = {"type": "integer", "scope": "scale", "mutability": "live"}
    if "in" in rule.directions:
        wanted["shrink"] = "allow"
    for word, value in wanted.items():
        if getattr(parameter, word) != value:
            message = f"what an autoscaler changes has {word} {value}"
            yield _fault(service, path, message, found=getattr(parameter, word), legal=value)
    if not any(
        (each.kind, each.name, each.path) == (kind, name, "spec.replicas")
        for each in parameter.affects
    ):
        message = f"{rule.parameter!r} does not say that it sets the pods of {rule.workload}"
        legal = f"affects: {rule.workload} spec.replicas"
        yield _fault(service, path, message, legal=legal)


def _endpoint(service: Service, path: str, name: str) -> Iterator[Fault]:
    yield from _choice(service, path, name, service.endpoints, what="endpoint")


def _parameter_faults(
    service: Service, path: str, name: str, parameter: Parameter
) -> Iterator[Fault]:
    if not _IDENTIFIER.fullmatch(name):
        yield _fault(
            service,
            path,
            "not a name that templates can use",
            found=name,
            legal="letters, digits and underscores",
        )
    yield from _choice(service, f"{path}.scope", parameter.scope, SCOPES)
    yield from _choice(service, f"{path}.mutability", parameter.mutability, MUTABILITIES)
    yield from _choice(service, f"{path}.shrink", parameter.shrink, SHRINKS)
    if parameter.type not in TYPES:
        yield from _choice(service, f"{path}.type", parameter.type, TYPES)
        return
    if parameter.pattern:
        try:
            re.compile(parameter.pattern)
        except re.error as error:
            yield _fault(
                service,
                f"{path}.pattern",
                f"not a regular expression: {error}",
                found=parameter.pattern,
            )
            return
    for key, value in (
        ("min", parameter.min),
        ("max", parameter.max),
        ("default", parameter.default),
    ):
        if value is not None and (legal := checks.type_error(parameter, value)):
            yield _fault(service, f"{path}.{key}", "has the wrong type", found=value, legal=legal)
            return
    for influence in parameter.affects:
        if parameter.scope == "core":
            yield _fault(
                service,
                f"{path}.affects",
                f"a core parameter may change anything, so {influence} says nothing",
                legal="no affects",
            )
            break
        if why := out_of_reach(influence):
            yield _fault(
                service,
                f"{path}.affects",
                f"{influence} is {why}, which only core may change",
                legal="another path, or scope core",
            )
    if parameter.default is not None:
        value = checks.normal(parameter, parameter.default)
        if legal := checks.bound_error(parameter, value):
            yield _fault(
                service, f"{path}.default", "is out of bounds", found=parameter.default, legal=legal
            )
