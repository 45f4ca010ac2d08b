"""The scene: everything that a border adapter renders from, and whether it can do what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.engine.border.routes import origin_of
from infometis_sdk.engine.boundary.externals import proxied_externals
from infometis_sdk.model.border import OPEN
from infometis_sdk.model.fault import Fault
from infometis_sdk.ports.border import FEATURES, BorderAdapter, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.border import Border, Route
    from infometis_sdk.model.stack import ComposedStack

__all__ = ("Publisher", "scene_faults", "scene_of")


@frozen(kw_only=True)
class Publisher:
    """Who renders the border of a stack, and what the platform below it says of itself.

    Attributes:
        name: of the adapter, as it is registered.
        adapter: renders.
        settings: the adapter's own section, an object of its settings class.
        capabilities: what the platform declares.
        host_ports: TCP ports of this machine to ports of the nodes.
        certificates: folder of the certificate that the development authority signs.

    """

    name: str
    adapter: BorderAdapter
    settings: Any = None
    capabilities: Mapping[str, str] = field(factory=dict)
    host_ports: Mapping[int, int] = field(factory=dict)
    certificates: str = ""


def scene_of(stack: ComposedStack) -> Scene:
    """Return what the adapter of a stack renders from; pure.

    Raises:
        ValueError: the stack has no border.

    """
    publisher = stack.publisher
    if publisher is None:
        msg = f"{stack.stack_id} has no border"
        raise ValueError(msg)
    return Scene(
        project=stack.project,
        environment=stack.environment.name,
        stack_id=stack.stack_id,
        namespace=stack.namespace,
        mode=stack.environment.mode,
        border=stack.environment.border,
        settings=publisher.settings,
        routes=stack.routes,
        egress=proxied_externals(stack.environment),
        capabilities=publisher.capabilities,
        host_ports=publisher.host_ports,
    )


def scene_faults(stack: ComposedStack) -> tuple[Fault, ...]:
    """Return what the adapter cannot do, and what it finds wrong itself."""
    publisher: Publisher | None = stack.publisher
    if publisher is None:
        return ()
    faults = []
    asked = list(_asked(stack.environment.border, stack.routes))
    if proxied_externals(stack.environment):
        asked.append(("egress", "type"))
    for feature, path in dict.fromkeys(asked):
        if feature not in publisher.adapter.features:
            faults.append(
                Fault(
                    message=f"the border adapter {publisher.name!r} cannot do this:"
                    f" {FEATURES[feature]}",
                    origin=origin_of(stack.environment, path),
                    path=f"border.{path}",
                    legal=", ".join(sorted(publisher.adapter.features)),
                )
            )
    if faults:
        return tuple(faults)
    own = publisher.adapter.faults(scene_of(stack))
    return tuple(
        fault
        if fault.origin.file or not fault.path.startswith("border.")
        else attrs.evolve(
            fault, origin=origin_of(stack.environment, fault.path.removeprefix("border."))
        )
        for fault in own
    )


def _asked(border: Border, routes: tuple[Route, ...]) -> Iterator[tuple[str, str]]:
    """Yield the features that an environment asks for, and the path that asks."""
    tls = border.tls
    if tls.source in ("acme", "cert-manager"):
        yield tls.source, "tls.source"
    if tls.source != "none":
        yield "tls", "tls.source"
        if tls.redirect and any(route.http for route in routes):
            yield "redirect", "tls.redirect"
        if tls.minimum != "1.2":
            yield "tls-minimum", "tls.minimum"
    if tls.hsts:
        yield "hsts", "tls.hsts"
    used = {word for route in routes for word in (route.auth, *(g.auth for g in route.guarded))}
    for name, auth in border.auth.items():
        if name in used and name != OPEN:
            yield auth.type, f"auth.{name}.type"
            if auth.type == "mtls" and auth.names:
                yield "mtls-names", f"auth.{name}.names"
    for route in routes:
        yield from _asked_of_route(route)


def _asked_of_route(route: Route) -> Iterator[tuple[str, str]]:
    place, settings = f"routes.{route.name}", route.settings
    protocol = route.endpoint.protocol
    if protocol in ("tcp", "kafka"):
        yield protocol, place
    if protocol == "https" and route.tls != "passthrough":
        yield "reencrypt", place
    if route.tls == "passthrough":
        yield "passthrough", f"{place}.tls"
    if route.http and route.path != "/":
        yield "paths", f"{place}.path"
    if route.strip:
        yield "strip", f"{place}.strip"
    if route.endpoint.sticky and route.http:
        yield "sticky", place
    if route.guarded:
        yield "methods", f"{place}.sensitive_auth"
    for feature, given in (
        ("allow", settings.allow),
        ("body-limit", settings.body_limit),
        ("in-flight", settings.in_flight),
        ("middlewares", settings.middlewares),
        ("rate", settings.rate),
        ("request-headers", settings.request_headers),
        ("response-headers", settings.response_headers),
        ("retries", settings.retries),
        ("timeout", settings.timeout),
    ):
        if given:
            yield feature, f"{place}.{feature.replace('-', '_')}"
