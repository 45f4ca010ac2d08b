"""What no parameter but a core one may ever change, whatever its ``affects`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.objects import paths

if TYPE_CHECKING:
    from infometis_sdk.model.parameter import Influence

__all__ = ("forbidden", "out_of_reach")

# Design: "Commands, image digests, ports, selectors and service names of existing objects are never
# in reach". Last steps of a path, with what they are in people's words; steps in brackets aside.
_FORBIDDEN = {
    "command": "a command",
    "args": "arguments of a command",
    "image": "an image",
    "ports": "a port",
    "containerPort": "a port",
    "targetPort": "a port",
    "hostPort": "a port",
    "nodePort": "a port",
    "selector": "a selector",
    "matchLabels": "a selector",
    "serviceName": "the name of a Kubernetes Service",
}
# A label selector inside scheduling picks pods to spread from, and is scheduling, not identity.
_SCHEDULING = ("affinity", "topologySpreadConstraints")


def forbidden(path: str) -> str:
    """Say what a path is where no non-core parameter may change it; empty elsewhere.

    Example:
        >>> forbidden("spec.template.spec.containers[name=kafka].args[0]")
        'arguments of a command'

    """
    steps = paths.parse(path)
    if steps in (("metadata", "name"), ("kind",), ("apiVersion",)):
        return "the identity of an object"
    if any(step in _SCHEDULING for step in steps):
        return ""
    if steps and steps[0] == "data":
        return ""
    return next((_FORBIDDEN[step] for step in steps if step in _FORBIDDEN), "")


def out_of_reach(influence: Influence) -> str:
    """Say why an ``affects`` entry can never be honoured; empty where it can."""
    return "" if influence.presence else forbidden(influence.path)
