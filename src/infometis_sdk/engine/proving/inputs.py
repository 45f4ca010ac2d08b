"""Which inputs of the core differ between two services, where their digests do."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.core.digest import core_inputs
from infometis_sdk.engine.objects import paths
from infometis_sdk.model.equivalence import CoreInput
from infometis_sdk.model.fault import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infometis_sdk.model.project import Lock
    from infometis_sdk.model.stack import ComposedService

__all__ = ("differing_inputs", "masked", "place", "text_of")

_TEXTS = ("files", "templates")


def text_of(value: Any) -> str:  # noqa: ANN401 - JSON
    """Write a value for people; nothing where there is none.

    Example:
        >>> text_of("a"), text_of([1, True]), text_of(paths.MISSING)
        ('a', '[1, true]', '')

    """
    if value is paths.MISSING or value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def place(origin: Origin) -> str:
    """Write layer, file and line of a value."""
    return f"{origin.layer}, {origin}" if origin.file else origin.layer


def masked(key: tuple[str, str], path: str, value: Any) -> str:  # noqa: ANN401 - JSON
    """Write a value of an object, known by kind and name, for people; never a secret."""
    if key[0] == "Secret" and path.startswith(("data", "stringData")) and value:
        return "(secret)"
    return text_of(value)


def differing_inputs(
    a: ComposedService, b: ComposedService, locks: tuple[Lock, Lock]
) -> Iterator[CoreInput]:
    """Yield every core input that two versions of a service do not share.

    Args:
        a: the service on one side.
        b: the service of the same name on the other.
        locks: image digests of each side.

    """
    left, right = (core_inputs(side, lock) for side, lock in zip((a, b), locks, strict=True))
    for folder in _TEXTS:
        yield from _texts(folder, left.pop(folder), right.pop(folder), (a, b))
    yield from _manifests(left.pop("manifests"), right.pop("manifests"), (a, b))
    for path, (old, new) in paths.differences(left, right).items():
        yield CoreInput(
            service=a.name,
            input=path,
            a=text_of(old),
            b=text_of(new),
            where_a=_where(a, path) if old is not paths.MISSING else "",
            where_b=_where(b, path) if new is not paths.MISSING else "",
        )


def _where(composed: ComposedService, path: str) -> str:
    """Return file and line of an input; of a value, those of the word that won."""
    service, steps = composed.service, paths.parse(path)
    if steps[0] == "values":
        history = composed.history.get(".".join(steps[1:])) or composed.history.get(steps[1], ())
        return place(history[-1].origin) if history else ""
    known = (".".join(steps[:length]) for length in range(len(steps), 0, -1))
    line = next((service.lines[name] for name in known if name in service.lines), 0)
    return place(Origin(layer="base", file=service.origin.file, line=line))


def _texts(
    folder: str,
    left: Mapping[str, str],
    right: Mapping[str, str],
    sides: tuple[ComposedService, ComposedService],
) -> Iterator[CoreInput]:
    for name in sorted({*left, *right}):
        if left.get(name) == right.get(name):
            continue
        files = [f"{_root(side)}/{folder}/{name}" for side in sides]
        if name not in left or name not in right:
            yield CoreInput(
                service=sides[0].name,
                input=f"{folder}/{name}",
                where_a=files[0] if name in left else "",
                where_b=files[1] if name in right else "",
                a="present" if name in left else "",
                b="present" if name in right else "",
            )
            continue
        old, new = left[name].splitlines(), right[name].splitlines()
        matcher = SequenceMatcher(None, old, new, autojunk=False)
        for tag, a0, a1, b0, b1 in matcher.get_opcodes():
            if tag == "equal":
                continue
            yield CoreInput(
                service=sides[0].name,
                input=f"{folder}/{name} line {a0 + 1}",
                a="\n".join(old[a0:a1]),
                b="\n".join(new[b0:b1]),
                where_a=f"{files[0]}:{a0 + 1}",
                where_b=f"{files[1]}:{b0 + 1}",
            )


def _manifests(
    left: Sequence[str], right: Sequence[str], sides: tuple[ComposedService, ComposedService]
) -> Iterator[CoreInput]:
    """Compare raw manifests, each as canonical JSON, by what they are called."""
    olds, news = (
        {_name(obj): obj for obj in map(json.loads, set(here) - set(there))}
        for here, there in ((left, right), (right, left))
    )
    for name in sorted({*olds, *news}):
        old, new = olds.get(name, paths.MISSING), news.get(name, paths.MISSING)
        differences = paths.differences(old, new) if old and new else {"": (old, new)}
        for path, (a, b) in differences.items():
            yield CoreInput(
                service=sides[0].name,
                input=f"manifests {name} {path}".rstrip(),
                a=_masked(name, path, a),
                b=_masked(name, path, b),
                where_a=str(sides[0].service.origin),
                where_b=str(sides[1].service.origin),
            )


def _masked(name: str, path: str, value: Any) -> str:  # noqa: ANN401 - JSON
    # A list may hold Secrets among its items.
    secretive = name.startswith("Secret/") or name.partition("/")[0].endswith("List")
    if secretive and value is not paths.MISSING and path:
        return "(secret)"
    return "present" if value and not path else text_of(value)


def _name(obj: Mapping[str, Any]) -> str:
    space = (obj.get("metadata") or {}).get("namespace")
    name = f"{obj.get('kind')}/{(obj.get('metadata') or {}).get('name')}"
    return f"{name} in {space}" if space else name


def _root(composed: ComposedService) -> str:
    return composed.service.origin.file.rpartition("/")[0] or composed.name
