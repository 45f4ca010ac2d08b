"""Check the external systems that an environment declares, and those that services use."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.model.external import EXTERNAL, EXTERNAL_PROTOCOLS
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.external import External
    from infometis_sdk.model.project import Project

__all__ = ("external_faults", "undeclared_faults", "used_externals")

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_HOST = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
)
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_PORT_MAX = 65535
_STATUS = range(100, 600)
_WEB = ("http", "https")


def used_externals(uses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the external systems among what a service uses.

    Example:
        >>> used_externals(("kafka.client", "external.orders-db"))
        ('orders-db',)

    """
    parts = (use.partition(".") for use in uses)
    return tuple(name for first, _, name in parts if first == EXTERNAL and name)


def undeclared_faults(project: Project, environment: Environment) -> Iterator[Fault]:
    """Yield a fault for each external system that a service uses and the environment lacks.

    Example:
        >>> from infometis_sdk.model import Environment, Project, Service
        >>> project = Project(name="demo", services={
        ...     "a": Service(name="a", uses=("external.orders-db",))})
        >>> [fault.message for fault in undeclared_faults(project, Environment("dev"))]
        ["service 'a' uses external.orders-db, which environment 'dev' does not declare"]

    """
    for service in project.services.values():
        for name in used_externals(service.uses):
            if name in environment.external:
                continue
            line = service.lines.get("uses", service.origin.line)
            said = f" ({service.origin.file}:{line})" if service.origin.file else ""
            yield Fault(
                message=f"service {service.name!r}{said} uses {EXTERNAL}.{name}, which environment"
                f" {environment.name!r} does not declare",
                origin=environment.sources.get(EXTERNAL, environment.origin),
                path=EXTERNAL,
                legal=", ".join(sorted(environment.external)) or f"{EXTERNAL}: {{{name}: …}}",
                nearest=nearest(name, environment.external),
            )


def external_faults(project: Project, environment: Environment) -> Iterator[Fault]:
    """Yield what is wrong with the external systems that an environment declares.

    Sources: the API server's rules for the addresses of an EndpointSlice
    (``ValidateEndpointIP`` in ``k8s.io/kubernetes/pkg/apis/core/validation``).

    Example:
        >>> from infometis_sdk.model import Environment, External, Project
        >>> bad = Environment("dev", external={"db": External(addresses=["127.0.0.1"], port=5432)})
        >>> [fault.path for fault in external_faults(Project(name="demo"), bad)]
        ['external.db.addresses[0]']

    """
    for name, external in environment.external.items():
        for path, message, found, legal in (
            *_name(project, name),
            *_where(environment, external),
            *_ports(external),
            *_words(external),
        ):
            where = ".".join(part for part in (EXTERNAL, name, path) if part)
            yield Fault(
                message=message,
                origin=_origin(environment, where),
                path=where,
                found=found,
                legal=legal,
                nearest=nearest(external.protocol, EXTERNAL_PROTOCOLS)
                if path == "protocol"
                else "",
            )
        yield from _same_everywhere(project, environment, name, external)


_Found = tuple[str, str, str, str]
"""Path below the external system, message, what was found, what is legal."""


def _name(project: Project, name: str) -> Iterator[_Found]:
    if not _LABEL.fullmatch(name):
        legal = "lower-case letters, digits and hyphens, first a letter, at most 40 characters"
        yield "", "not a DNS label", repr(name), legal
    if name in project.services:
        yield "", f"{name!r} is a service, and names lead to one of both only", "", "another name"


def _where(environment: Environment, external: External) -> Iterator[_Found]:
    if bool(external.addresses) == bool(external.host):
        found = "both" if external.host else "neither"
        yield "", "is known by its addresses or by its host", found, "one of addresses and host"
    for number, text in enumerate(external.addresses):
        if why := _address_fault(text):
            legal = "an address that the cluster's nodes reach, such as 192.0.2.10"
            yield f"addresses[{number}]", why, repr(text), legal
    if not external.host:
        if external.tls.originate:
            yield (
                "tls.originate",
                "the egress proxy is in the way only of what is known by its host",
                "addresses",
                "host: NAME; or a service that speaks TLS itself",
            )
        return
    if not _HOST.fullmatch(external.host):
        yield "host", "not a DNS name", repr(external.host), "lower-case, such as db.corp.example"
    if environment.border.type == "none":
        yield (
            "host",
            "only the egress proxy of a border leads to a name, and this environment has no border",
            external.host,
            "addresses; or a border whose adapter has an egress proxy",
        )


def _address_fault(text: str) -> str:
    """Say why the API server takes no such address in an EndpointSlice; empty where it does."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "not an IP address"
    mapped = getattr(address, "ipv4_mapped", None)
    for bad, why in (
        (mapped is not None, "an IPv4 address in the form of IPv6"),
        (str(address) != text, f"not written as {address}"),
        (address.is_unspecified, "the unspecified address"),
        (address.is_loopback, "a loopback address, which is another one on every node"),
        (address.is_link_local, "a link-local address"),
        (address.is_multicast, "a multicast address"),
    ):
        if bad:
            return why
    return ""


def _ports(external: External) -> Iterator[_Found]:
    for path, port, least in (("port", external.port, 1), ("target_port", external.target_port, 0)):
        if not least <= port <= _PORT_MAX:
            yield path, "not a port", str(port), f"1 to {_PORT_MAX}"
    status = external.check.status
    if status and status not in _STATUS:
        yield "check.status", "not an HTTP status", str(status), "100 to 599, or 0 for any"


def _words(external: External) -> Iterator[_Found]:
    if external.protocol not in EXTERNAL_PROTOCOLS:
        legal = ", ".join(EXTERNAL_PROTOCOLS)
        yield "protocol", f"unknown word {external.protocol!r}", "", legal
    elif external.check.status and external.protocol not in _WEB:
        yield "check.status", f"{external.protocol} has no status", "", "protocol http or https"
    if not external.check.path.startswith("/"):
        yield "check.path", "not a path", repr(external.check.path), "a path that begins with /"
    for key in external.credentials:
        if not _KEY.fullmatch(key):
            legal = "letters, digits, '-', '_' and '.', since a Secret holds it"
            yield f"credentials.{key}", "not a key", repr(key), legal
    for key, reference in {**external.credentials, "": external.tls.ca}.items():
        if reference is not None and reference.scheme == "generated":
            path = f"credentials.{key}" if key else "tls.ca"
            yield path, "the system knows nothing of what is made up here", "generated", "env:NAME"
    if external.tls.ca is not None and "ca.crt" in external.credentials:
        yield "tls.ca", "the key ca.crt is given twice", "credentials.ca.crt", "one of both"


def _same_everywhere(
    project: Project, environment: Environment, name: str, external: External
) -> Iterator[Fault]:
    """Hold a declaration against those of other environments: the core finds one port."""
    for other in project.environments.values():
        theirs = other.external.get(name)
        if other.name == environment.name or theirs is None or theirs.port == external.port:
            continue
        where = f"{EXTERNAL}.{name}.port"
        yield Fault(
            message=f"services find {name!r} under one port everywhere, and environment"
            f" {other.name!r} says {theirs.port}",
            origin=_origin(environment, where),
            path=where,
            found=str(external.port),
            legal=f"{theirs.port}, with target_port: {external.reached_port}",
        )
        return


def _origin(environment: Environment, path: str) -> Origin:
    """Return file and line of a path, or of the nearest thing above it."""
    while path:
        if path in environment.sources:
            return environment.sources[path]
        path = path.rpartition(".")[0]
    return environment.origin
