"""The order of services by their needs, and the faults in what they say of each other."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.model.external import EXTERNAL
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.model.service import Service

__all__ = ("dependency_order",)


def dependency_order(services: Mapping[str, Service]) -> tuple[tuple[str, ...], list[Fault]]:
    """Sort services so that each comes after those it needs; equals by name.

    Returns:
        The order (empty when there is a fault that makes it impossible), and the faults:
        unknown services in ``needs``, unknown endpoints in ``uses``, and cycles of needs.

    Example:
        >>> from infometis_sdk.model import Service
        >>> dependency_order({"b": Service(name="b"), "a": Service(name="a", needs=("b",))})
        (('b', 'a'), [])

    """
    faults: list[Fault] = []
    graph: dict[str, list[str]] = {}
    for name, service in services.items():
        graph[name] = []
        for need in service.needs:
            if need in services:
                graph[name].append(need)
            else:
                faults.append(_unknown(service, "needs", need, services))
        faults += _use_faults(service, services)
    sorter = TopologicalSorter({name: sorted(needs) for name, needs in sorted(graph.items())})
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = list(error.args[1])
        # graphlib lists each node before the one that depends on it; readers expect "needs".
        text = " needs ".join(reversed(cycle))
        first = services[cycle[0]]
        faults.append(
            Fault(
                message=f"services need each other in a circle: {text}",
                origin=_origin(first, "needs"),
                path="needs",
                legal="needs without a circle; uses, for communication, may have them",
            )
        )
        return (), faults
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return tuple(order), faults


def _use_faults(service: Service, services: Mapping[str, Service]) -> list[Fault]:
    faults = []
    for use in service.uses:
        target, dot, endpoint = use.partition(".")
        if target == EXTERNAL:
            continue  # which ones there are is for an environment to say
        if target not in services:
            faults.append(_unknown(service, "uses", target, services))
        elif not dot or endpoint not in services[target].endpoints:
            known = [f"{target}.{name}" for name in sorted(services[target].endpoints)]
            faults.append(
                Fault(
                    message=f"service {service.name!r} uses the unknown endpoint {use!r}",
                    origin=_origin(service, "uses"),
                    path="uses",
                    legal=", ".join(known) or f"service {target!r} has no endpoint",
                    nearest=nearest(use, known),
                )
            )
    return faults


def _unknown(service: Service, key: str, target: str, services: Mapping[str, Service]) -> Fault:
    return Fault(
        message=f"service {service.name!r} {key} {target!r}, which is not in the project",
        origin=_origin(service, key),
        path=key,
        legal=", ".join(sorted(set(services) - {service.name})) or "no other service",
        nearest=nearest(target, set(services) - {service.name}),
    )


def _origin(service: Service, path: str) -> Origin:
    return Origin(
        layer="base", file=service.origin.file, line=service.lines.get(path, service.origin.line)
    )
