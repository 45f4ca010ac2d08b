"""Read documents: values, lines and faults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf, isfinite
from typing import Any

import yaml
from attrs import field, frozen

from infometis_sdk._yaml.scalars import (
    BOOL,
    FLOAT,
    GO_BOOL,
    GO_INT,
    INT,
    NULL,
    PLAIN,
    TAG,
    integer,
)
from infometis_sdk.model.fault import Fault, Origin

__all__ = ("Document", "child", "load_all", "load_yaml")

_ALIAS_VALUES = 100_000
"""How many values aliases may add to a file; a person's file stays far below, a bomb far above."""
_DEPTH = 100
"""How deep values may nest; the C parser recurses and would take the process down."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MAYBE_DEEP = re.compile(r"^(?: {30}| *(?:[-?] +){20})", re.MULTILINE)
"""Without such a line, blocks nest at most 82 deep: each two levels take a column, or a dash."""
_MAYBE_SPECIAL = frozenset("~nNtTfFyYoO+-.0123456789")
"""What the plain scalars begin with that may mean something else than text."""
_TRUE = frozenset(("y", "yes", "on", "true"))
_WHOLE = 2**53
_DIGITS = 300
"""No number that anybody means is longer; Python refuses to read more than 4300 digits."""


@frozen(kw_only=True)
class Document:
    """One YAML document.

    Attributes:
        data: mappings, lists and scalars that JSON can carry.
        line: where it starts, counted from 1.
        lines: dotted path (see :func:`child`) to the line of that key or item.

    """

    data: Any
    line: int = 1
    lines: Mapping[str, int] = field(factory=dict, repr=False)


def child(path: str, key: str | int) -> str:
    """Return the path of a key or an item below ``path``.

    Example:
        >>> child(child("patches", 0), "kind")
        'patches[0].kind'

    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def load_yaml(
    text: str | bytes, *, file: str = "", layer: str = "code", dialect: str = "project"
) -> tuple[Document | None, tuple[Fault, ...]]:
    """Read one document.

    Returns:
        The document, or ``None`` where there is none (empty, or broken), and every fault.

    """
    documents, faults = load_all(text, file=file, layer=layer, dialect=dialect)
    if len(documents) > 1:
        extra = Fault(
            message="more than one document in a file that holds one",
            origin=Origin(layer=layer, file=file, line=documents[1].line),
            legal="one document, no second '---'",
        )
        return documents[0], (*faults, extra)
    return (documents[0] if documents else None), faults


def load_all(
    text: str | bytes,
    *,
    file: str = "",
    layer: str = "code",
    dialect: str = "kubernetes",
    lines: bool = True,
) -> tuple[tuple[Document, ...], tuple[Fault, ...]]:
    """Read all documents of a text; empty ones are dropped.

    Args:
        text: what was read; bytes are decoded as UTF-8, with or without a byte order mark.
        file: for the faults.
        layer: for the faults.
        dialect: ``project`` or ``kubernetes``.
        lines: whether to note the line of every path.

    Returns:
        The documents and every fault; after a fault of syntax the rest of the text is unread.

    """
    reader = _Reader(file=file, layer=layer, dialect=dialect, lines=lines)
    documents = reader.read(text)
    return tuple(documents), tuple(reader.faults)


class _Loader(yaml.CSafeLoader):
    """Composes the node tree; what plain scalars mean is decided by the reader."""

    def resolve(self, kind: type[yaml.Node], _value: Any, implicit: Any) -> str:  # noqa: ANN401
        if kind is yaml.ScalarNode:
            return PLAIN if implicit[0] else TAG + "str"
        return TAG + ("seq" if kind is yaml.SequenceNode else "map")


class _Reader:
    """Builds values from nodes, collecting faults."""

    def __init__(self, *, file: str, layer: str, dialect: str, lines: bool) -> None:
        self.file = file
        self.layer = layer
        self.kubernetes = dialect == "kubernetes"
        self.want_lines = lines
        self.faults: list[Fault] = []
        self.lines: dict[str, int] = {}
        self.seen: set[int] = set()
        self.open: set[int] = set()
        self.inside_alias = 0
        self.aliased = 0

    def fault(self, message: str, line: int, **more: str) -> None:
        origin = Origin(layer=self.layer, file=self.file, line=line)
        self.faults.append(Fault(message=message, origin=origin, **more))

    def read(self, text: str | bytes) -> list[Document]:
        decoded = self.decode(text)
        if decoded is None or self.too_deep(decoded):
            return []
        documents: list[Document] = []
        loader = None
        try:
            loader = _Loader(decoded)
            while loader.check_node():
                node = loader.get_node()
                if node is None:
                    break
                self.lines, self.seen = {}, set()
                data = self.build(node, "")
                if data is not None:
                    documents.append(
                        Document(data=data, line=node.start_mark.line + 1, lines=self.lines)
                    )
        except _TooManyAliasesError:
            message = f"aliases make more than {_ALIAS_VALUES} values of this file"
            self.fault(message, 1, legal="fewer aliases")
        except yaml.MarkedYAMLError as error:
            self.syntax(error, decoded)
        except yaml.reader.ReaderError as error:
            line = decoded.count("\n", 0, max(error.position, 0)) + 1
            self.fault(f"not readable as text: {error.reason}", line)
        finally:
            if loader is not None:
                loader.dispose()
        return documents

    def decode(self, raw: str | bytes) -> str | None:
        try:
            text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            self.fault("not UTF-8 text", line, legal="UTF-8")
            return None
        control = _CONTROL.search(text)
        if control:
            line = text.count("\n", 0, control.start()) + 1
            self.fault(f"holds the control character {control[0]!a}", line, legal="text")
            return None
        return text.removeprefix("\ufeff")

    def too_deep(self, text: str) -> bool:
        flat = max(text.count("["), text.count("{")) < _DEPTH
        if flat and not _MAYBE_DEEP.search(text):
            return False
        depth = 0
        try:
            for event in yaml.parse(text, Loader=_Loader):
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                    if depth > _DEPTH:
                        line = event.start_mark.line + 1 if event.start_mark else 0
                        self.fault("nested too deeply", line, legal=f"at most {_DEPTH} levels")
                        return True
                elif isinstance(event, yaml.CollectionEndEvent):
                    depth -= 1
        except yaml.YAMLError as error:
            # Newer releases of libyaml have a limit of their own, far above ours.
            if "nesting depth" in str(error):
                mark = getattr(error, "problem_mark", None)
                line = mark.line + 1 if mark else 0
                self.fault("nested too deeply", line, legal=f"at most {_DEPTH} levels")
                return True
            return False  # said better by the composer
        return False

    def syntax(self, error: yaml.MarkedYAMLError, text: str) -> None:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        rows = text.split("\n")
        row = rows[line - 1] if 0 < line <= len(rows) else ""
        if "\t" in row[: len(row) - len(row.lstrip())]:
            self.fault("a tab indents this line", line, legal="spaces")
            return
        problem = (error.problem or "not YAML").strip()
        if problem == "found duplicate anchor":
            problem = "an anchor is defined twice"
        context = f" {error.context.strip()}" if error.context else ""
        begun = error.context_mark
        since = f", begun at line {begun.line + 1}" if begun and begun.line + 1 != line else ""
        self.fault(f"not valid YAML: {problem}{context}{since}", line, found=row.strip()[:80])

    # --- values -------------------------------------------------------------------------------

    def build(self, node: yaml.Node, path: str) -> Any:  # noqa: ANN401
        if isinstance(node, yaml.ScalarNode):
            if self.inside_alias:
                self.count_alias()
            return self.scalar(node, path)
        mine = id(node)
        again = mine in self.seen
        if again or self.inside_alias:
            self.count_alias()
        if mine in self.open:
            self.fault("an alias holds itself", node.start_mark.line + 1, path=path)
            return None
        self.seen.add(mine)
        self.open.add(mine)
        self.inside_alias += again
        try:
            if isinstance(node, yaml.SequenceNode):
                return self.sequence(node, path)
            return self.mapping(node, path) if isinstance(node, yaml.MappingNode) else None
        finally:
            self.inside_alias -= again
            self.open.discard(mine)

    def count_alias(self) -> None:
        self.aliased += 1
        if self.aliased > _ALIAS_VALUES:
            raise _TooManyAliasesError

    def sequence(self, node: yaml.SequenceNode, path: str) -> list[Any]:
        self.known_tag(node, "seq", path)
        values = []
        for index, item in enumerate(node.value):
            below = child(path, index)
            if self.want_lines:
                self.lines[below] = item.start_mark.line + 1
            values.append(self.build(item, below))
        return values

    def mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        self.known_tag(node, "map", path)
        values: dict[str, Any] = {}
        first: dict[str, yaml.Node] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.tag != PLAIN or not key or key[0] in _MAYBE_SPECIAL:
                key = self.key(key_node, path)
                if key is None:
                    continue
            elif key == "<<":
                merged.append(value_node)
                continue
            below = f"{path}.{key}" if path else key
            if key in first:
                self.twice(key, first[key], key_node, below)
                continue
            first[key] = key_node
            if self.want_lines:
                self.lines[below] = key_node.start_mark.line + 1
            text = value_node.value
            if (
                value_node.tag == PLAIN
                and isinstance(value_node, yaml.ScalarNode)
                and text
                and text[0] not in _MAYBE_SPECIAL
                and not self.inside_alias
            ):
                values[key] = text  # as build() would, at a third of the cost
            else:
                values[key] = self.build(value_node, below)
        for value_node in merged:
            self.merge(values, value_node, path)
        return values

    def twice(self, key: str, first: yaml.Node, second: yaml.Node, path: str) -> None:
        lines = [node.start_mark.line + 1 for node in (first, second)]
        where = f"at lines {lines[0]} and {lines[1]}" if lines[0] != lines[1] else "in one line"
        message = f"the key {key!r} is here twice, {where}"
        self.fault(message, lines[1], path=path, legal="each key once")

    def merge(self, values: dict[str, Any], node: yaml.Node, path: str) -> None:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self.fault("'<<' wants a mapping", node.start_mark.line + 1, path=path)
                continue
            # what is merged keeps the lines of the place where it was written
            outer, self.lines = self.lines, {}
            found = self.build(source, path)
            self.lines, inner = outer, self.lines
            for where, line in inner.items():
                self.lines.setdefault(where, line)
            for key, value in (found or {}).items():
                values.setdefault(key, value)

    def key(self, node: yaml.Node, path: str) -> str | None:
        value = self.scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, str):
            return value
        if self.kubernetes and value is not None:
            # kubectl makes text of number and boolean keys, in the way JSON writes them
            return str(value).lower() if isinstance(value, bool) else str(value)
        shown = node.value if isinstance(node, yaml.ScalarNode) else "a collection"
        line = node.start_mark.line + 1
        self.fault(f"the key {shown!r} is not text", line, path=path, legal="text; quote it")
        return None

    def scalar(self, node: yaml.ScalarNode, path: str) -> Any:  # noqa: ANN401
        text: str = node.value
        if node.tag == PLAIN:
            return self.plain(text, node, path)
        kind = node.tag.removeprefix(TAG)
        if kind in ("str", "!"):
            return text
        if kind in ("int", "float", "bool", "null"):
            value = self.plain(text, node, path)
            if isinstance(value, _KINDS[kind]):
                return value
        self.fault(
            f"the tag {node.tag.replace(TAG, '!!')} does not fit here",
            node.start_mark.line + 1,
            path=path,
            found=text[:80],
            legal="no tag, or !!str, !!int, !!float, !!bool, !!null with such a value",
        )
        return None

    def plain(self, text: str, node: yaml.Node, path: str) -> Any:  # noqa: ANN401
        if text and text[0] not in _MAYBE_SPECIAL:
            return text
        if NULL.match(text):
            return None
        if (GO_BOOL if self.kubernetes else BOOL).match(text):
            return text.lower() in _TRUE
        if len(text) < _DIGITS and (GO_INT if self.kubernetes else INT).match(text):
            return integer(text)
        digits = text.replace("_", "") if self.kubernetes and text[:1] not in "_." else text
        return self.number(digits, node, path) if FLOAT.match(digits) else text

    def number(self, text: str, node: yaml.Node, path: str) -> float | None:
        words = text.lstrip("+-")[:2].lower() in (".i", ".n")
        number = inf if words else float(text)
        if not isfinite(number):
            line = node.start_mark.line + 1
            self.fault("infinity and NaN are no values", line, path=path, found=text[:80])
            return None
        whole = self.kubernetes and number.is_integer() and abs(number) < _WHOLE
        return int(number) if whole else number

    def known_tag(self, node: yaml.Node, kind: str, path: str) -> None:
        if node.tag != TAG + kind:
            self.fault(
                f"the tag {node.tag.replace(TAG, '!!')} is not known",
                node.start_mark.line + 1,
                path=path,
                legal="no tag",
            )


class _TooManyAliasesError(Exception):
    """Aliases grow beyond the cap."""


_KINDS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "null": type(None),
}
