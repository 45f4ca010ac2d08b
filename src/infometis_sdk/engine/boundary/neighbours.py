"""Those outside the stack with whom its pods may speak: what the border and the cluster tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.boundary.declared import Neighbours
from infometis_sdk.engine.boundary.pods import Pods
from infometis_sdk.engine.objects.loose import mapping, maps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infometis_sdk.engine.border.render_border import RenderedBorder
    from infometis_sdk.model.stack import ComposedStack

__all__ = ("neighbours_of",)


def neighbours_of(
    stack: ComposedStack, border: RenderedBorder, api_server: Sequence[str] = ()
) -> Neighbours:
    """Return the neighbours of a stack.

    Args:
        stack: with the routes of its border.
        border: what the adapter rendered.
        api_server: ``ADDRESS:PORT`` of the Kubernetes API.

    """
    return Neighbours(
        border=border.peers,
        routed=[route.name for route in stack.routes],
        egress=border.egress,
        proxied={
            name: tuple(sorted(set(_proxy_ports(border, stack.namespace, name))))
            for name, external in stack.environment.external.items()
            if external.host
        },
        api_server=api_server,
    )


def _proxy_ports(border: RenderedBorder, home: str, name: str) -> Iterator[int]:
    """Yield the ports of the proxy's pods to which the Service of an external system leads."""
    pods = Pods(((draft.service, draft.object) for draft in border.drafts), home, {})
    named = {label: port for group in pods.groups for label, port in group.named.items()}
    for draft in border.drafts:
        obj = draft.object
        if (obj["kind"], obj["metadata"]["name"]) == ("Service", name):
            for port in maps(mapping(obj.get("spec")).get("ports")):
                target = port.get("targetPort") or port.get("port")
                number = named.get(target) if isinstance(target, str) else target
                if isinstance(number, int):
                    yield number
