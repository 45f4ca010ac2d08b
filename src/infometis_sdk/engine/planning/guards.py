"""Changes that a running service cannot survive, told from what was deployed and what is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.quantity import compare

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from infometis_sdk.model.parameter import Parameter
    from infometis_sdk.model.plan import Change
    from infometis_sdk.model.release import ServiceRecord
    from infometis_sdk.model.stack import ComposedService, Manifest

__all__ = ("REPLICAS", "guard", "unsurvivable")

REPLICAS = "spec.replicas"


def guard(
    deployed: Mapping[str, ServiceRecord],
    wanted: Mapping[str, ComposedService],
    *,
    scaled: Collection[str] = (),
) -> Iterator[str]:
    """Yield one sentence for every change that must not be applied, with the reason.

    Args:
        deployed: what is known to run, by service.
        wanted: what is desired, by service.
        scaled: services whose number of pods is an autoscaler's, so that their parameter moves
            nothing; what :func:`unsurvivable` says of the live number counts.

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
            rule = composed.service.scaling
            if name in scaled and rule is not None and rule.parameter == parameter_name:
                continue
            old, new = record.values[parameter_name], composed.values.get(parameter_name)
            if old != new:
                problem = _value(parameter, old, new)
                if problem:
                    yield f"{name}.{parameter_name}: {problem}"


def unsurvivable(
    manifest: Manifest, changes: Iterable[Change], wanted: Mapping[str, ComposedService]
) -> Iterator[str]:
    """Say which pods would be taken away without a drain, whoever added them.

    Where an autoscaler did, or an earlier apply, that stops a plan;
    where a person's tool did, which a plan overrules, it is a warning.

    What was deployed last does not tell how many pods there are; the live object does.

    Args:
        manifest: the workload.
        changes: what an apply would change of the live one.
        wanted: what is desired, by service.

    """
    composed = wanted.get(manifest.service)
    for change in changes:
        if change.path != REPLICAS or composed is None:
            continue
        for name, parameter in composed.service.parameters.items():
            sets = any(
                (each.kind, each.name, each.path)
                == (manifest.ref.kind, manifest.ref.name, REPLICAS)
                for each in parameter.affects
            )
            if sets and (problem := _value(parameter, change.old, change.new)):
                yield f"{REPLICAS} {problem}; {composed.name}.{name}: {change.old} keeps them"


def _version(name: str, old: str, composed: ComposedService) -> Iterator[str]:
    new, upgrade = composed.service.version, composed.service.upgrade
    if old == new:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

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
