"""Read configuration files as keys and values, so that two of them can be compared key by key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk._yaml import load_all
from infometis_sdk.engine.objects import paths
from infometis_sdk.engine.templates.encode import kind_of

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

__all__ = ("changed_keys", "parse_config")


def parse_config(name: str, text: str) -> dict[str, Any]:
    r"""Return the values of a configuration file by key.

    Keys are ``a.b`` in properties, ``section.key`` in INI, field paths in JSON and YAML,
    ``/element/element@attribute`` in XML, ``KEY`` in env files.
    A file of another type, or one that cannot be read, is compared by line:
    keys are ``line 1`` and so on.

    Example:
        >>> parse_config("a.properties", "x = 1\n# note\ny.z: 2\n")
        {'x': '1', 'y.z': '2'}

    """
    reader = {
        "properties": _properties,
        "ini": _ini,
        "json": _json,
        "yaml": _yaml,
        "xml": _xml,
        "env": _env,
    }.get(kind_of(name) or "")
    if reader is not None:
        try:
            return dict(reader(text))
        except (LookupError, SyntaxError, ValueError):  # the first two: of XML
            pass  # a fault of the file is its encoder's to tell; here lines do
    return {f"line {number}": line for number, line in enumerate(text.splitlines(), 1)}


def changed_keys(path: str, old: Any, new: Any) -> list[str] | None:  # noqa: ANN401 - JSON
    """Return the keys that differ between two versions of a file in a ConfigMap.

    Args:
        path: field path of the value, such as ``data[server.properties]``.
        old: the value on one side.
        new: the value on the other.

    Returns:
        The keys; ``None`` where the value is no file but one plain value.

    """
    steps = paths.parse(path)
    if len(steps) != len(("data", "key")) or steps[0] != "data":
        return None
    if not isinstance(old, str) or not isinstance(new, str):
        return None
    name = steps[1]
    if kind_of(name) is None and "\n" not in old.strip() + new.strip():
        return None
    left, right = parse_config(name, old), parse_config(name, new)
    return [
        key
        for key in {**left, **right}
        if left.get(key, paths.MISSING) != right.get(key, paths.MISSING)
    ]


def _properties(text: str) -> Iterator[tuple[str, Any]]:
    joined = re.sub(r"(?<!\\)((?:\\\\)*)\\\n[ \t\f]*", r"\1", text)
    for line in joined.splitlines():
        bare = line.lstrip(" \t\f")
        if not bare or bare[0] in "#!":
            continue
        match = re.match(r"((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)", bare, re.DOTALL)
        if match:
            yield match[1], match[2]


def _ini(text: str) -> Iterator[tuple[str, Any]]:
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare[0] in "#;":
            continue
        if bare.startswith("[") and bare.endswith("]"):
            section = bare[1:-1]
            continue
        key, equals, value = bare.partition("=")
        if not equals:
            yield f"line {number}", bare
            continue
        yield f"{section}.{key.strip()}" if section else key.strip(), value.strip()


def _env(text: str) -> Iterator[tuple[str, Any]]:
    for line in text.splitlines():
        bare = line.strip()
        if bare and not bare.startswith("#"):
            key, _, value = bare.partition("=")
            yield key.removeprefix("export ").strip(), value


def _json(text: str) -> Iterator[tuple[str, Any]]:
    data = json.loads(text)
    yield from _leaves(data)


def _yaml(text: str) -> Iterator[tuple[str, Any]]:
    documents, faults = load_all(text, lines=False)
    if faults:
        raise ValueError(faults[0].message)
    for number, document in enumerate(documents):
        data = document.data
        prefix = f"[{number}]." if len(documents) > 1 else ""
        yield from ((f"{prefix}{path}", value) for path, value in _leaves(data))


def _leaves(data: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    yield from paths.leaves(data if isinstance(data, Mapping) else {"": data}).items()


def _xml(text: str) -> Iterator[tuple[str, Any]]:
    from xml.etree import ElementTree as ET

    root = ET.fromstring(text.encode())  # noqa: S314 - our own rendered file
    yield from _element(root, f"/{root.tag}")


def _element(element: ET.Element, path: str) -> Iterator[tuple[str, Any]]:
    yield path, (element.text or "").strip()
    for name, value in sorted(element.attrib.items()):
        yield f"{path}@{name}", value
    counts: dict[str, int] = {}
    for child in element:
        counts[child.tag] = counts.get(child.tag, 0) + 1
        step = f"{child.tag}[{counts[child.tag]}]" if counts[child.tag] > 1 else child.tag
        yield from _element(child, f"{path}/{step}")
