"""Field paths inside Kubernetes objects, with list items addressed by their keys.

``spec.template.spec.containers[name=kafka].resources.limits.cpu`` names the same field whatever
the order of the containers; map keys that hold dots or slashes stand in brackets,
as in ``data[server.properties]``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = (
    "MISSING",
    "differences",
    "item_steps",
    "leaves",
    "matches",
    "parse",
    "remove",
    "render",
    "set_value",
    "value_at",
)

_Path = tuple[str, ...]
"""Steps of a path: a map key as it is, a list item as ``[key=value]`` or ``[index]``."""


class _Missing:
    """Stands for a field that is not there; ``None`` is a value."""

    def __repr__(self) -> str:
        return "(missing)"

    def __bool__(self) -> bool:
        return False


MISSING = _Missing()

_PLAIN = re.compile(r"[A-Za-z0-9_$-]+")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")

# Keys of list items by field, first one that all items have and that is unique among them.
# Source: x-kubernetes-list-map-keys and x-kubernetes-patch-merge-key of the API server's OpenAPI.
# Names come first in ports, since people know them better than numbers.
_BY_NAME = (("name",),)
_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "volumeMounts": (("mountPath",),),
    "volumeDevices": (("devicePath",),),
    "volumeClaimTemplates": (("metadata.name",),),
    "ports": (
        ("name",),
        ("containerPort", "protocol"),
        ("containerPort",),
        ("port", "protocol"),
        ("port",),
    ),
    "hostAliases": (("ip",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "conditions": (("type",),),
    "subjects": (("kind", "name"),),
    "versions": (("name",),),
    "webhooks": (("name",),),
    "ownerReferences": (("uid",),),
    "items": (("key",), ("path",)),
}


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> _Path:
    """Split a path into its steps.

    Raises:
        ValueError: not a path.

    Example:
        >>> parse("spec.containers[name=kafka].data[server.properties]")
        ('spec', 'containers', '[name=kafka]', 'data', 'server.properties')

    """
    steps: list[str] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            msg = f"{text!r} is not a field path; one looks like spec.containers[name=kafka].image"
            raise ValueError(msg)
        name, bracket = match.groups()
        if name is not None:
            steps.append(name)
        elif "=" in bracket or bracket.isdecimal() or bracket == "*":
            steps.append(f"[{bracket}]")
        else:
            steps.append(bracket)
        position = match.end()
    return tuple(steps)


def render(path: Sequence[str]) -> str:
    """Write steps as a path; the inverse of :func:`parse`.

    Example:
        >>> render(("data", "server.properties"))
        'data[server.properties]'

    """
    out = ""
    for step in path:
        if step.startswith("["):
            out += step
        elif _PLAIN.fullmatch(step):
            out += f".{step}" if out else step
        else:
            out += f"[{step}]"
    return out


def item_steps(field: str, items: Sequence[Any]) -> list[str]:
    """Return the step of each item of the list in ``field``: by key where that is unique."""
    if items and all(isinstance(item, Mapping) for item in items):
        for keys in (*_KEYS.get(field, ()), *_BY_NAME):
            steps = [_item_step(item, keys) for item in items]
            if None not in steps and len(set(steps)) == len(steps):
                return [step for step in steps if step is not None]
    return [f"[{index}]" for index in range(len(items))]


def _item_step(item: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    parts = []
    for key in keys:
        value: Any = item
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, (Mapping, list)):
            return None
        parts.append(f"{key}={value}")
    return f"[{','.join(parts)}]"


def _walk(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _walk(item, (*path, key))
    elif isinstance(value, list) and value:
        for step, item in zip(item_steps(path[-1] if path else "", value), value, strict=True):
            yield from _walk(item, (*path, step))
    else:
        yield path, value


def leaves(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return every leaf by its path; an empty map or list is a leaf.

    Example:
        >>> leaves({"spec": {"containers": [{"name": "a", "image": "x"}]}})
        {'spec.containers[name=a].name': 'a', 'spec.containers[name=a].image': 'x'}

    """
    return {render(path): value for path, value in _walk(obj, ())}


def differences(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:  # noqa: ANN401 - JSON
    """Return the leaves that differ, as ``(old, new)`` by path; :data:`MISSING` for no such leaf.

    Example:
        >>> differences({"a": 1, "b": [2]}, {"a": 1, "b": [3]})
        {'b[0]': (2, 3)}

    """
    found: dict[str, tuple[Any, Any]] = {}
    _compare(old, new, (), found)
    return found


def _compare(old: Any, new: Any, path: _Path, found: dict[str, tuple[Any, Any]]) -> None:  # noqa: ANN401 - JSON
    if old is new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        pairs = [(key, old.get(key, MISSING), new.get(key, MISSING)) for key in {**old, **new}]
    elif isinstance(old, list) and isinstance(new, list):
        field = path[-1] if path else ""
        left = dict(zip(item_steps(field, old), old, strict=True))
        right = dict(zip(item_steps(field, new), new, strict=True))
        pairs = [(k, left.get(k, MISSING), right.get(k, MISSING)) for k in {**left, **right}]
        if left == right and list(left) != list(right):
            # The same items in another order: the list as a whole differs.
            found[render(path)] = (old, new)
            return
    elif old is MISSING or new is MISSING:
        present = new if old is MISSING else old
        for below, value in _walk(present, path):
            found[render(below)] = (MISSING, value) if old is MISSING else (value, MISSING)
        return
    else:
        # As JSON they differ in type too: true is not 1.
        if type(old) is not type(new) or old != new:
            found[render(path)] = (old, new)
        return
    for step, a, b in pairs:
        _compare(a, b, (*path, step), found)


@functools.lru_cache(maxsize=4096)
def _glob(step: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in step.split("*")), re.DOTALL)


def matches(pattern: str, path: str) -> bool:
    """Tell whether ``pattern`` is ``path`` or lies above it; ``*`` stands for any text in a step.

    Example:
        >>> matches("containers[name=*].resources", "containers[name=a].resources.limits.cpu")
        True

    """
    wanted, given = parse(pattern), parse(path)
    return len(wanted) <= len(given) and all(
        _glob(w).fullmatch(g) for w, g in zip(wanted, given, strict=False)
    )


def _find(items: list[Any], step: str) -> int:
    """Return the position of the item that ``step`` names, or -1."""
    inner = step[1:-1]
    if inner.isdecimal():
        return int(inner) if int(inner) < len(items) else -1
    wanted = dict(part.split("=", 1) for part in inner.split(",") if "=" in part)
    for index, item in enumerate(items):
        if isinstance(item, Mapping) and all(
            str(value_at(item, key)) == value for key, value in wanted.items()
        ):
            return index
    return -1


def value_at(obj: Any, path: str | Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    """Return the value at a path, or :data:`MISSING`.

    Example:
        >>> value_at({"ports": [{"name": "http", "port": 80}]}, "ports[name=http].port")
        80

    """
    here = obj
    for step in parse(path) if isinstance(path, str) else path:
        if isinstance(here, Mapping):
            key = step[1:-1] if step.startswith("[") else step
            if key not in here:
                return MISSING
            here = here[key]
        elif isinstance(here, list) and step.startswith("["):
            index = _find(here, step)
            if index < 0:
                return MISSING
            here = here[index]
        else:
            return MISSING
    return here


def set_value(obj: dict[str, Any], path: str | Sequence[str], value: Any) -> None:  # noqa: ANN401 - JSON
    """Set the value at a path in place; maps on the way are made, list items must be there.

    Raises:
        KeyError: a list item on the way is not there, or a scalar is in the way.

    """
    steps = parse(path) if isinstance(path, str) else tuple(path)
    here: Any = obj
    for position, step in enumerate(steps):
        last = position == len(steps) - 1
        if isinstance(here, dict):
            key: Any = step[1:-1] if step.startswith("[") else step
            if not last and here.get(key) is None:
                here[key] = {}
        elif isinstance(here, list) and step.startswith("[") and (key := _find(here, step)) >= 0:
            pass
        else:
            raise KeyError(render(steps[: position + 1]))
        if last:
            here[key] = value
        else:
            here = here[key]


def remove(obj: dict[str, Any], path: str | Sequence[str]) -> None:
    """Remove what is at a path in place; nothing happens where nothing is."""
    steps = parse(path) if isinstance(path, str) else tuple(path)
    parent = value_at(obj, steps[:-1])
    step = steps[-1]
    if isinstance(parent, dict):
        parent.pop(step[1:-1] if step.startswith("[") else step, None)
    elif isinstance(parent, list) and step.startswith("["):
        index = _find(parent, step)
        if index >= 0:
            del parent[index]
