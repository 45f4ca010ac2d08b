"""Which leaves of a desired object a live one lacks: a comparison that asks nobody.

Unlike :func:`.fieldset.proven` it does not care who owns a field.
Which lists are atomic, and by which keys the others are matched, is read from managedFields;
so no schema is needed, and an item that somebody added to an atomic list is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infometis_sdk.engine.objects.fieldset import (
    Path,
    display,
    entries,
    find_item,
    ours,
    owned_leaves,
    value_at,
)
from infometis_sdk.engine.objects.paths import MISSING

__all__ = ("lacking", "surplus")

_SERVER = frozenset({"apiVersion", "kind"})
_IDENTITY = frozenset({"name", "namespace"})


def lacking(desired: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[tuple[Path, Any, Any]]:
    """Yield path, desired and live value of every desired leaf that is not live.

    A value that the API server leaves out when it is as good as absent is not told.

    Example:
        >>> [each[1:] for each in lacking({"data": {"a": "1"}}, {"data": {"a": "2", "b": "3"}})]
        [('1', '2')]

    """
    trees = [o.fields for o in entries(live) if o.subresource != "status"]
    for key, want in desired.items():
        if key in _SERVER:
            continue
        if key == "metadata":
            want = {k: v for k, v in want.items() if k not in _IDENTITY}  # noqa: PLW2901
        below = [tree[f"f:{key}"] for tree in trees if f"f:{key}" in tree]
        yield from _compare(want, live.get(key, MISSING), below, (key,))


def surplus(
    desired: Mapping[str, Any], live: Mapping[str, Any], manager: str
) -> Iterator[tuple[Path, Any]]:
    """Yield path and live value of every leaf that we own although it is not desired any more."""
    for path, value in owned_leaves(live, ours(live, manager) or {}):
        # The keys of a list item are its name; the server owns those that it defaulted for us.
        named = (
            len(path) > 1 and path[-2].startswith("[{") and path[-1] in json.loads(path[-2][1:-1])
        )
        if path and value is not None and not named and value_at(desired, path) is None:
            yield path, value


def _compare(
    want: Any,  # noqa: ANN401 - any JSON
    have: Any,  # noqa: ANN401 - any JSON
    trees: Sequence[Mapping[str, Any]],
    path: Path,
) -> Iterator[tuple[Path, Any, Any]]:
    if have is MISSING:
        if not _absent(want):
            yield path, want, None
    elif isinstance(want, Mapping) and isinstance(have, Mapping):
        for key, value in want.items():
            below = [tree[f"f:{key}"] for tree in trees if f"f:{key}" in tree]
            yield from _compare(value, have.get(key, MISSING), below, (*path, key))
    elif isinstance(want, (list, tuple)) and isinstance(have, list):
        yield from _items(want, have, trees, path)
    elif type(want) is not type(have) or want != have:
        yield path, want, have


def _items(
    want: Sequence[Any], have: list[Any], trees: Sequence[Mapping[str, Any]], path: Path
) -> Iterator[tuple[Path, Any, Any]]:
    keys = sorted({key for tree in trees for key in tree if key.startswith("k:")})
    if keys:
        yield from _keyed(want, have, trees, path, keys)
        return
    if any(key.startswith("v:") for tree in trees for key in tree):
        for value in want:
            if value not in have:
                yield (*path, f"[={json.dumps(value)}]"), value, None
        return
    if len(want) != len(have):
        yield path, list(want), have
        return
    for one, other in zip(want, have, strict=True):
        # An atomic list is one value: what differs in it makes it differ as a whole.
        if any(True for _ in _compare(one, other, (), ())):
            yield path, list(want), have
            return


def _keyed(
    want: Sequence[Any],
    have: list[Any],
    trees: Sequence[Mapping[str, Any]],
    path: Path,
    keys: Sequence[str],
) -> Iterator[tuple[Path, Any, Any]]:
    places = {id(item): place for place, item in enumerate(have)}
    found: dict[int, int] = {}
    for key in keys:
        named = json.loads(key[2:])
        wanted, live = find_item(want, named), find_item(have, named)
        if wanted is None or id(wanted) in found:
            continue
        if live is None:
            continue
        found[id(wanted)] = places[id(live)]
        below = [tree[key] for tree in trees if key in tree]
        yield from _compare(wanted, live, below, (*path, f"[{key[2:]}]"))
    for item in want:
        if id(item) not in found:
            name = {k: v for k, v in item.items() if k in json.loads(keys[0][2:])}
            yield (*path, f"[{json.dumps(name, separators=(',', ':'))}]"), item, None
    order = [found[id(item)] for item in want if id(item) in found]
    if order != sorted(order):
        # Init containers run in their order, and variables may use those before them.
        yield (
            path,
            [display((s,)) for s in _names(want, keys)],
            [display((s,)) for s in _names(have, keys)],
        )


def _names(items: Sequence[Any], keys: Sequence[str]) -> list[str]:
    fields = json.loads(keys[0][2:])
    return [json.dumps({k: item.get(k) for k in fields if k in item}) for item in items]


def _absent(want: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether the API server leaves a value out because it means the same as none."""
    return want is False or want in (0, "") or want in ({}, [])
