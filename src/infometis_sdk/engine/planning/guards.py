"""Changes that a running service cannot survive, told from what was deployed and what is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from infometis_sdk.engine.objects.quantity import compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.parameter import Parameter
    from infometis_sdk.model.release import ServiceRecord
    from infometis_sdk.model.stack import ComposedService

__all__ = ("guard",)


def guard(
    deployed: Mapping[str, ServiceRecord], wanted: Mapping[str, ComposedService]
) -> Iterator[str]:
    """Yield one sentence for every change that must not be applied, with the reason.

    Args:
        deployed: what is known to run, by service.
        wanted: what is desired, by service.

    Example:
        >>> list(guard({}, {}))
        []

    """
    for name, composed in wanted.items():
        record = deployed.get(name)
        if record is None:
            continue
        yield from _version(name, record.version, composed)
        for parameter_name, parameter in composed.service.parameters.items():
            if parameter_name not in record.values:
                continue
            old, new = record.values[parameter_name], composed.values.get(parameter_name)
            if old != new:
                problem = _value(parameter, old, new)
                if problem:
                    yield f"{name}.{parameter_name}: {problem}"


def _version(name: str, old: str, composed: ComposedService) -> Iterator[str]:
    new, upgrade = composed.service.version, composed.service.upgrade
    if old == new:
        return
    try:
        before, after = Version(old), Version(new)
    except InvalidVersion:
        return
    why = f": {upgrade.why}" if upgrade.why else ""
    if after < before and upgrade.downgrade == "never":
        yield f"{name} must not go back from version {old} to {new}{why}"
    elif upgrade.accepts:
        try:
            legal = before in SpecifierSet(upgrade.accepts, prereleases=True)
        except InvalidSpecifier:
            return
        if not legal:
            only = f"only from {upgrade.accepts}"
            yield f"{name} {new} does not accept an upgrade from {old}, {only}{why}"


def _value(parameter: Parameter, old: Any, new: Any) -> str:  # noqa: ANN401 - any parameter value
    why = f": {parameter.why}" if parameter.why else ""
    if parameter.mutability == "create-only":
        return f"cannot change from {old!r} to {new!r} once the service exists{why}"
    if (
        parameter.shrink != "allow"
        and old is not None
        and new is not None
        and _less(parameter, new, old)
    ):
        if parameter.shrink == "never":
            return f"cannot shrink from {old} to {new}{why}"
        return f"cannot shrink from {old} to {new} without a drain{why}"
    return ""


def _less(parameter: Parameter, new: Any, old: Any) -> bool:  # noqa: ANN401 - any parameter value
    if parameter.type == "quantity":
        return compare(new, old) < 0
    if isinstance(new, (int, float)) and isinstance(old, (int, float)):
        return new < old
    return False
