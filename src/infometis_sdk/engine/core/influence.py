"""Influence: where the values of non-core parameters may show in the rendered objects.

At every render the result is compared with a reference render at the descriptor's defaults.
A difference that no ``affects`` of the parameters whose values differ declares is a fault.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.core.reach import forbidden
from infometis_sdk.engine.objects import paths
from infometis_sdk.engine.templates.configfile import changed_keys
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infometis_sdk.model.parameter import Influence
    from infometis_sdk.model.service import Service

__all__ = ("changed_parameters", "check_influence", "declaring", "influence", "uncovered")

_Key = tuple[str, str]


def influence(service: Service) -> dict[str, tuple[str, ...]]:
    """Return the paths that each non-core parameter of a service declares, as written.

    Example:
        >>> from infometis_sdk.model import Service
        >>> influence(Service(name="a"))
        {}

    """
    return {
        name: tuple(str(item) for item in parameter.affects)
        for name, parameter in service.parameters.items()
        if parameter.scope != "core"
    }


def changed_parameters(
    service: Service, values: Mapping[str, Any], reference: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the non-core parameters whose values differ between two renders."""
    return tuple(
        name
        for name, parameter in service.parameters.items()
        if parameter.scope != "core" and values.get(name) != reference.get(name)
    )


def check_influence(
    service: Service,
    changed: Sequence[str],
    actual: Mapping[_Key, Mapping[str, Any]],
    reference: Mapping[_Key, Mapping[str, Any]],
    origins: Mapping[_Key, Origin],
) -> list[Fault]:
    """Return a fault for every difference that the changed parameters do not declare.

    Args:
        service: whose objects these are.
        changed: names of the parameters whose values differ.
        actual: objects of this render by kind and name, before they are stamped.
        reference: the same of the reference render.
        origins: template of each object, for the messages.

    """
    faults = []
    names = ", ".join(changed)
    for (kind, name), path, why in uncovered(service, changed, reference, actual):
        origin = origins.get((kind, name), service.origin)
        where = f"{kind}/{name} {path}".rstrip()
        if why:
            message = (
                f"{path} is {why}, which only a core parameter may change; here it follows {names}"
            )
            legal = "a core parameter, or another way to reach the aim"
        elif path:
            message = f"changes with a parameter that does not declare it: one of {names}"
            legal = f"affects: [{kind}/{name} {path}]"
        else:
            message = f"comes or goes with a parameter that does not declare it: one of {names}"
            legal = f"affects: [+ {kind}/{name}]"
        faults.append(Fault(message=message, origin=origin, path=where, legal=legal))
    return faults


def declaring(
    service: Service, names: Sequence[str], obj: _Key, path: str = "", key: str = ""
) -> tuple[str, ...]:
    """Return those of the parameters that declare a place.

    Args:
        service: whose parameters they are.
        names: of the parameters that come into question.
        obj: kind and name.
        path: field path; empty for the coming and going of the object.
        key: key of the configuration file at ``path``; empty for a plain value.

    """
    kind, name = obj

    def says(item: Influence) -> bool:
        if item.kind != kind or not _glob(item.name, name) or item.presence is bool(path):
            return False
        if not path:
            return True
        return paths.matches(item.path, path) and (not item.key or _covers(item.key, key))

    return tuple(n for n in names if any(says(i) for i in service.parameters[n].affects))


def uncovered(
    service: Service,
    changed: Sequence[str],
    left: Mapping[_Key, Mapping[str, Any]],
    right: Mapping[_Key, Mapping[str, Any]],
) -> Iterator[tuple[_Key, str, str]]:
    """Yield each undeclared difference: object, path, and why no parameter may cause it, if so."""
    declared = [i for name in changed for i in service.parameters[name].affects]
    for key in {**left, **right}:
        kind, name = key
        here = [i for i in declared if i.kind == kind and _glob(i.name, name)]
        if key not in left or key not in right:
            if not any(item.presence for item in here):
                yield key, "", ""
            continue
        if left[key] == right[key]:
            continue
        for path, (old, new) in paths.differences(left[key], right[key]).items():
            if why := forbidden(path):
                yield key, path, why
            else:
                yield from ((key, p, "") for p in _outside(here, path, old, new))


def _outside(declared: Sequence[Influence], path: str, old: Any, new: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield what of one difference is not declared; files are compared key by key."""
    covering = [i for i in declared if not i.presence and paths.matches(i.path, path)]
    if any(not item.key for item in covering):
        return
    keys = changed_keys(path, old, new)
    if keys is None:
        yield path
        return
    for key in keys:
        if not any(_covers(item.key, key) for item in covering):
            yield f"{path} {key}"


def _covers(pattern: str, key: str) -> bool:
    if _glob(pattern, key):
        return True
    try:
        return paths.matches(pattern, key)
    except ValueError:
        return False


def _glob(pattern: str, text: str) -> bool:
    return (
        re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.DOTALL)
        is not None
    )
