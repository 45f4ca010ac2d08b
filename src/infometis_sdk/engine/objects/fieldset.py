"""Who owns which field: reading ``metadata.managedFields`` without any schema.

A FieldsV1 tree carries the structure that the API server's schema gave it:
``f:name`` is a field, ``k:{…}`` a list item found by its keys, ``v:…`` a member of a set,
``.`` the thing itself, and an empty tree is a leaf or an atomic value.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ and
sigs.k8s.io/structured-merge-diff.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from infometis_sdk.engine.objects.paths import item_steps

__all__ = (
    "Owner",
    "Path",
    "display",
    "entries",
    "find_item",
    "ours",
    "owned_leaves",
    "proven",
    "value_at",
    "without",
)

Path = tuple[str, ...]

_PLAIN = re.compile(r"[A-Za-z0-9_$-]+")
_IDENTITY = frozenset({"apiVersion", "kind"})
_META_IDENTITY = frozenset({"name", "namespace"})


@frozen(kw_only=True)
class Owner:
    """One entry of managedFields."""

    manager: str
    operation: str
    subresource: str
    time: str
    fields: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Manager, with its subresource where there is one."""
        return f"{self.manager}/{self.subresource}" if self.subresource else self.manager


def entries(live: Mapping[str, Any]) -> tuple[Owner, ...]:
    """Return every entry of a live object's managedFields."""
    return tuple(
        Owner(
            manager=entry.get("manager", ""),
            operation=entry.get("operation", ""),
            subresource=entry.get("subresource", ""),
            time=entry.get("time", ""),
            fields=entry.get("fieldsV1") or {},
        )
        for entry in (live.get("metadata") or {}).get("managedFields") or ()
    )


def ours(live: Mapping[str, Any], manager: str) -> Mapping[str, Any] | None:
    """Return the field tree that ``manager`` owns through server-side apply, or ``None``."""
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
        ):
            fields: Mapping[str, Any] = entry.get("fieldsV1") or {}
            return fields
    return None


def proven(desired: Mapping[str, Any], live: Mapping[str, Any], manager: str) -> bool:
    """Whether a server-side apply of ``desired`` by ``manager`` could change nothing.

    That is so when every desired leaf equals the live one
    and the manager owns exactly the desired set of fields:
    then nothing would be set, taken over or given up.
    ``desired`` must carry a digest of its own content as one of its fields, as stamped objects do.
    An atomic value that we own, under an unchanged digest, is what we sent plus what the server
    filled in, since any other writer would have taken its ownership;
    so there it is enough that what is desired is contained in what is live.

    Args:
        desired: the object as it would be sent.
        live: the object as the API server returned it, with managedFields.
        manager: our field manager.

    Returns:
        ``False`` also where nothing can be said: the caller then asks the API server by a dry-run.

    """
    fields = ours(live, manager)
    if fields is None:
        # An object that is sent with nothing but its identity leaves no entry at all.
        return not list(_sent(desired))
    return _same_map(desired, live, fields, top=True)


def _sent(desired: Mapping[str, Any]) -> Iterator[str]:
    for key, value in desired.items():
        if key in _IDENTITY:
            continue
        if key == "metadata":
            yield from (k for k in value if k not in _META_IDENTITY)
        else:
            yield key


def _same_map(
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    fields: Mapping[str, Any],
    *,
    top: bool = False,
    meta: bool = False,
) -> bool:
    seen = 0
    skipped = _IDENTITY if top else _META_IDENTITY if meta else frozenset()
    for key, want in desired.items():
        if key in skipped:
            continue
        tree = fields.get(f"f:{key}")
        if tree is None:
            # Metadata that holds nothing but the identity is not recorded.
            if top and key == "metadata" and not (want.keys() - _META_IDENTITY):
                continue
            return False
        seen += 1
        if key not in live:
            if not tree and _zero(want, top=top):
                continue
            return False
        have = live[key]
        if not _same_value(want, have, tree, meta=top and key == "metadata"):
            return False
    return seen == len(fields) - ("." in fields)


def _same_value(want: Any, have: Any, tree: Mapping[str, Any], *, meta: bool) -> bool:  # noqa: ANN401
    if not tree:
        return _contained(want, have)
    if isinstance(want, (dict, Mapping)):
        return isinstance(have, (dict, Mapping)) and _same_map(want, have, tree, meta=meta)
    if isinstance(want, Sequence) and not isinstance(want, str):
        return isinstance(have, list) and _same_list(want, have, tree)
    return False


def _same_list(want: Sequence[Any], have: list[Any], tree: Mapping[str, Any]) -> bool:
    members = [key for key in tree if key != "."]
    if len(members) != len(want):
        return False
    pairs: list[tuple[Any, Any]] = []
    for key in members:
        if key.startswith("v:"):
            value = json.loads(key[2:])
            if value not in want or value not in have:
                return False
            continue
        if not key.startswith("k:"):
            return False
        keys = json.loads(key[2:])
        wanted, found = find_item(want, keys), find_item(have, keys)
        if wanted is None or found is None:
            return False
        if tree[key] and not _same_map(_with_keys(wanted, keys, tree[key]), found, tree[key]):
            return False
        pairs.append((wanted, found))
    return _same_order(pairs, want, have)


def _same_order(pairs: list[tuple[Any, Any]], want: Sequence[Any], have: list[Any]) -> bool:
    """Whether items follow each other alike; ownership says nothing about that.

    Init containers run in their order, and variables may use those before them.
    """
    places = {id(item): place for place, item in enumerate(want)}
    live = {id(item): place for place, item in enumerate(have)}
    order = [live[id(b)] for _, b in sorted(pairs, key=lambda pair: places[id(pair[0])])]
    return order == sorted(order)


def _with_keys(
    item: Mapping[str, Any], keys: Mapping[str, Any], tree: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Add list keys that the server defaulted (such as ``protocol``) where it owns them for us."""
    missing = {k: v for k, v in keys.items() if k not in item and f"f:{k}" in tree}
    return {**item, **missing} if missing else item


def find_item(items: Sequence[Any], keys: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the one list item that has these keys; a key that it lacks counts as defaulted."""
    exact = [i for i in items if all(i.get(k) == v for k, v in keys.items())]
    if exact:
        return exact[0] if len(exact) == 1 else None
    loose = [i for i in items if all(k not in i or i[k] == v for k, v in keys.items())]
    return loose[0] if len(loose) == 1 else None


def _zero(want: Any, *, top: bool = False) -> bool:  # noqa: ANN401 - any JSON
    """Whether the API server leaves a value out because it is as good as absent.

    Had somebody removed it, they would have taken its ownership from us.
    Of empty maps that is only sure at the top, as for the data of a ConfigMap: below, where it was
    filled before, the server drops it at first and keeps it the next time.
    """
    return want is False or want in (0, "") or (top and want in ({}, []))


def _contained(want: Any, have: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(want, str):
        return bool(want == have)
    if isinstance(want, (dict, Mapping)):
        return isinstance(have, Mapping) and all(
            _contained(value, have[key]) if key in have else _zero(value)
            for key, value in want.items()
        )
    if isinstance(want, (list, tuple)):
        return (
            isinstance(have, list)
            and len(want) == len(have)
            and all(_contained(a, b) for a, b in zip(want, have, strict=True))
        )
    if isinstance(want, bool) or isinstance(have, bool):
        return want is have
    return bool(want == have)


def owned_leaves(live: Mapping[str, Any], fields: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield path and live value of every leaf in a field tree; paths name list items by key.

    A path is a tuple of steps: ``name`` for a field, ``[{"k":"v"}]`` for a list item,
    ``[=value]`` for a member of a set; :func:`display` makes it readable.
    A value that is no longer there is yielded as ``None``.
    """
    yield from _leaves(live, fields, ())


def _leaves(have: Any, tree: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401
    children = [key for key in tree if key != "."]
    if not children:
        yield path, have
        return
    for key in children:
        kind, rest = key[:2], key[2:]
        if kind == "f:":
            child = have.get(rest) if isinstance(have, Mapping) else None
            yield from _leaves(child, tree[key], (*path, rest))
        elif kind == "k:":
            keys = json.loads(rest)
            item = find_item(have, keys) if isinstance(have, list) else None
            yield from _leaves(item, tree[key], (*path, f"[{rest}]"))
        else:
            yield (*path, f"[={rest}]"), json.loads(rest) if kind == "v:" else None


def value_at(obj: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return the value at a path of :func:`owned_leaves`; ``None`` where there is none."""
    for step in path:
        if step.startswith("[="):
            member = json.loads(step[2:-1])
            return member if isinstance(obj, list) and member in obj else None
        if step.startswith("["):
            obj = find_item(obj, json.loads(step[1:-1])) if isinstance(obj, list) else None
        else:
            obj = obj.get(step) if isinstance(obj, Mapping) else None
        if obj is None:
            return None
    return obj


def display(path: Path, obj: Any = None) -> str:  # noqa: ANN401 - any JSON
    """Write a path for people, as in ``spec.containers[name=kafka].image``.

    Args:
        path: a path of :func:`owned_leaves`.
        obj: the object that it leads into; then list items are named as :mod:`.paths` names them,
            which knows ports by their names and not by the keys of server-side apply.

    Example:
        >>> display(("spec", "containers", '[{"name":"kafka"}]', "image"))
        'spec.containers[name=kafka].image'

    """
    text, here, name = "", obj, ""
    for step in path:
        if step.startswith("[{"):
            keys = json.loads(step[1:-1])
            item = find_item(here, keys) if isinstance(here, list) else None
            if item is None:
                text += "[" + ",".join(f"{k}={v}" for k, v in keys.items()) + "]"
            else:
                at = next(n for n, each in enumerate(here) if each is item)
                text += item_steps(name, here)[at]
            here = item
            continue
        if step.startswith("[="):
            text += step
        elif not _PLAIN.fullmatch(step):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
        here, name = here.get(step) if isinstance(here, Mapping) else None, step
    return text


def without(obj: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return a copy of ``obj`` that lacks the value at ``path``; shares what it does not change."""
    if not path:
        return obj
    step, rest = path[0], path[1:]
    if step.startswith("["):
        if not isinstance(obj, list):
            return obj
        member = step.startswith("[=")
        target = json.loads(step[2:-1]) if member else find_item(obj, json.loads(step[1:-1]))
        kept = []
        for item in obj:
            if item is target or (member and item == target):
                if rest:
                    kept.append(without(item, rest))
            else:
                kept.append(item)
        return kept
    if not isinstance(obj, Mapping) or step not in obj:
        return obj
    if not rest:
        return {key: value for key, value in obj.items() if key != step}
    return {**obj, step: without(obj[step], rest)}
