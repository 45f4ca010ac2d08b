"""Two Releases -> what they do not share; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects import paths
from infometis_sdk.engine.proving.inputs import differing_inputs, place, text_of
from infometis_sdk.model.release_diff import ReleaseChange, ReleaseDiff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infometis_sdk.model.release import Release, ServiceRecord
    from infometis_sdk.model.stack import ComposedStack

__all__ = ("diff_releases",)


def diff_releases(
    a: Release,
    b: Release,
    stacks: tuple[ComposedStack, ComposedStack] | None = None,
    notes: Sequence[str] = (),
) -> ReleaseDiff:
    """Compare two Releases of one stack.

    Args:
        a: one.
        b: the other.
        stacks: both as they were deployed, from their Bundles;
            without them, of the core only the digests are compared.
        notes: why there are none.

    Example:
        >>> from infometis_sdk.model import Release
        >>> one = Release(number=1, status="superseded", bundle="sha256:x")
        >>> diff_releases(one, one).changes
        ()

    """
    changes: list[ReleaseChange] = []
    for name in sorted(a.services.keys() | b.services.keys()):
        old, new = a.services.get(name), b.services.get(name)
        if old is None or new is None:
            there = {"a": old.version if old else "", "b": new.version if new else ""}
            changes.append(ReleaseChange(kind="service", service=name, path="version", **there))
            continue
        changes += _core(name, old, new, stacks)
        changes += _values(name, old, new, stacks)
    changes += _plain("environment", a.definition, b.definition)
    changes += _plain("credential", a.credentials, b.credentials)
    return ReleaseDiff(
        stack_id=b.stack_id,
        a=a.number,
        b=b.number,
        same_bundle=a.bundle == b.bundle,
        changes=changes,
        notes=notes,
    )


def _core(
    name: str,
    old: ServiceRecord,
    new: ServiceRecord,
    stacks: tuple[ComposedStack, ComposedStack] | None,
) -> Iterator[ReleaseChange]:
    if old.digest == new.digest:
        return
    if stacks is None:
        yield ReleaseChange(kind="core", service=name, path="digest", a=old.digest, b=new.digest)
        return
    left, right = (stack.service(name) for stack in stacks)
    for found in differing_inputs(left, right, (stacks[0].lock, stacks[1].lock)):
        yield ReleaseChange(
            kind="core",
            service=name,
            path=found.input,
            a=found.a,
            b=found.b,
            where_a=_set_by(old, found.input) or found.where_a,
            where_b=_set_by(new, found.input) or found.where_b,
        )


def _values(
    name: str,
    old: ServiceRecord,
    new: ServiceRecord,
    stacks: tuple[ComposedStack, ComposedStack] | None,
) -> Iterator[ReleaseChange]:
    core = set()
    if stacks is not None:
        # Told among the inputs of the core already.
        core = {
            key
            for stack in stacks
            for key, parameter in stack.service(name).service.parameters.items()
            if parameter.scope == "core"
        }
    left = {key: value for key, value in old.values.items() if key not in core}
    right = {key: value for key, value in new.values.items() if key not in core}
    for path, (before, after) in paths.differences(left, right).items():
        yield ReleaseChange(
            kind="value",
            service=name,
            path=path,
            a=text_of(before),
            b=text_of(after),
            where_a=_where(old, path),
            where_b=_where(new, path),
        )


def _set_by(record: ServiceRecord, name: str) -> str:
    """Return who set a core parameter then; nothing for other inputs."""
    head, _, path = name.partition(".")
    return _where(record, path) if head == "values" else ""


def _where(record: ServiceRecord, path: str) -> str:
    """Return who set a value, or the nearest thing above it."""
    text = path
    while text:
        if text in record.origins:
            return place(record.origins[text])
        text = text.rpartition(".")[0]
    return ""


def _plain(kind: str, left: Any, right: Any) -> Iterator[ReleaseChange]:  # noqa: ANN401 - JSON
    for path, (before, after) in paths.differences(left, right).items():
        yield ReleaseChange(kind=kind, path=path, a=text_of(before), b=text_of(after))
