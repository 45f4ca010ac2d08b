"""Encode the values printed into configuration files, each for the type of its file.

A rendered file arrives with marks around every printed value (JSON between the marks),
so the encoder sees where in the file it stands: in a key, in a value, or inside quotes.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from infometis_sdk._yaml import load_all
from infometis_sdk.engine.templates.sandbox import CLOSE, OPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("EXTENSIONS", "EncodeError", "encode", "kind_of")

EXTENSIONS = (".properties", ".ini", ".conf", ".json", ".yaml", ".yml", ".xml", ".env")

_KINDS = {
    ".properties": "properties",
    ".ini": "ini",
    ".conf": "ini",
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".xml": "xml",
    ".env": "env",
}
_PRINTED = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}")


class EncodeError(ValueError):
    """A value cannot be written where it stands; ``line`` is the line of the rendered text."""

    def __init__(self, message: str, line: int, legal: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.legal = legal


def kind_of(name: str) -> str | None:
    """Return the type of a file by its name, or ``None`` for an unknown one.

    Example:
        >>> kind_of("server.properties"), kind_of("run.sh")
        ('properties', None)

    """
    dot = name.rfind(".")
    return _KINDS.get(name[dot:].lower()) if dot >= 0 else None


def encode(kind: str, text: str) -> str:
    """Replace every marked value by its encoding, and check the result where its type can be read.

    Args:
        kind: what :func:`kind_of` returned.
        text: the rendered text with its marks.

    Raises:
        EncodeError: a value cannot be written there, or the result is not of its type.

    """
    encoder = _ENCODERS.get(kind)
    if encoder is not None:
        text = "".join(encoder(text))
    _check(kind, text)
    return text


def _check(kind: str, text: str) -> None:
    try:
        if kind == "json":
            json.loads(text)
        elif kind == "yaml":
            _, faults = load_all(text, lines=False)
            if faults:
                message = f"once rendered: {faults[0].message}"
                raise EncodeError(message, faults[0].origin.line)
        elif kind == "xml":
            _check_xml(text)
    except json.JSONDecodeError as error:
        message = f"not JSON once rendered: {error.msg}"
        raise EncodeError(message, error.lineno) from error


def _check_xml(text: str) -> None:
    from xml.etree import ElementTree as ET

    try:
        ET.fromstring(text.encode())  # noqa: S314 - our own template; expat limits entities
    except ET.ParseError as error:
        message = f"not XML once rendered: {error}"
        raise EncodeError(message, error.position[0]) from error
    except LookupError as error:
        message = f"not XML once rendered: {error}"
        raise EncodeError(message, 1) from error


def _pieces(text: str) -> Iterator[tuple[str, Any, int]]:
    """Yield each fixed text, the value that follows it (none after the last), and its line."""
    at = 0
    for match in _PRINTED.finditer(text):
        yield text[at : match.start()], json.loads(match[1]), text.count("\n", 0, match.start()) + 1
        at = match.end()
    yield text[at:], _NOTHING, 0


_NOTHING = object()


def _scalar(value: Any, line: int, null: str = "") -> str:  # noqa: ANN401 - JSON
    if value is None:
        return null
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return json.dumps(value)
    if isinstance(value, str):
        return value
    msg = (
        f"a {'list' if isinstance(value, list) else 'map'} cannot be printed into this type of file"
    )
    raise EncodeError(msg, line, 'text, such as {{ items | join(",") }}')


def _linewise(text: str, write: Callable[[str, str, str, int], str]) -> Iterator[str]:
    """Encode values by what stands before them on their line and what follows up to its end."""
    done: list[str] = []
    pieces = list(_pieces(text))
    for index, (fixed, value, line) in enumerate(pieces):
        done.append(fixed)
        if value is _NOTHING:
            break
        before = (
            "".join(done).rpartition("\n")[2] if "\n" not in fixed else fixed.rpartition("\n")[2]
        )
        after = pieces[index + 1][0].partition("\n")[0]
        done.append(write(before, after, _scalar(value, line), line))
    yield from done


def _properties(text: str) -> Iterator[str]:
    """Java properties, as ``java.util.Properties.load`` reads them."""

    def write(before: str, after: str, value: str, line: int) -> str:
        del after, line
        key = not re.search(r"(?<!\\)[=:]", before)
        out = []
        for position, char in enumerate(value):
            if char == "\\":
                out.append("\\\\")
            elif char in "\n\r\t\f":
                out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}[char])
            elif char == " " and (key or (position == 0 and re.search(r"[=:]\s*$", before))):
                out.append("\\ ")
            elif key and char in "=:#!":
                out.append(f"\\{char}")
            elif not " " <= char <= "~":
                units = char.encode("utf-16-be").hex()
                out += [f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4)]
            else:
                out.append(char)
        return "".join(out)

    return _linewise(text, write)


def _ini(text: str) -> Iterator[str]:
    """INI and the like: readers differ on escapes, so nothing is written that needs one."""

    def write(before: str, after: str, value: str, line: int) -> str:
        del before, after
        if bad := re.search(r"[^ -~\u00a0-\uffff]|[;#\"'`]|^\s|\s$", value):
            what = repr(bad.group())
            msg = f"the value holds {what}, which readers of such files understand differently"
            legal = "text without line breaks, quotes, ; and #, or another type of file"
            raise EncodeError(msg, line, legal)
        return value

    return _linewise(text, write)


def _env(text: str) -> Iterator[str]:
    """``KEY=value`` lines as a POSIX shell reads them."""

    def write(before: str, after: str, value: str, line: int) -> str:
        if "\0" in value:
            msg = "the value holds a NUL character"
            raise EncodeError(msg, line)
        head = before.partition("=")[2] if "=" in before else None
        if head == "" and not after.strip():
            return value if re.fullmatch(r"[A-Za-z0-9_./:@%+,=-]*", value) else shlex.quote(value)
        quote = _open_quote(head or "")
        if quote == '"':
            return re.sub(r'([\\"$`])', r"\\\1", value)
        if quote == "'":
            return value.replace("'", "'\\''")
        if not re.fullmatch(r"[A-Za-z0-9_./:@%+,=-]*", value):
            msg = "the value must be quoted here"
            raise EncodeError(msg, line, 'KEY="text {{ value }}"')
        return value

    return _linewise(text, write)


def _open_quote(text: str) -> str:
    """Return the quote that is open at the end of a piece of shell."""
    quote = ""
    escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
    return quote


def _json(text: str) -> Iterator[str]:
    """JSON: a whole value, or part of a string."""
    in_string = False
    for fixed, value, line in _pieces(text):
        yield fixed
        for match in re.finditer(r'\\.|"', fixed, re.DOTALL):
            if match.group() == '"':
                in_string = not in_string
        if value is _NOTHING:
            return
        if in_string:
            yield json.dumps(_scalar(value, line), ensure_ascii=False)[1:-1]
        else:
            yield json.dumps(value, ensure_ascii=False)


_XML_ENTITIES = {
    '"': "&quot;",
    "'": "&apos;",
    "\n": "&#10;",
    "\r": "&#13;",
    "\t": "&#9;",
}


def _xml(text: str) -> Iterator[str]:
    """XML text and attributes."""
    from xml.sax.saxutils import escape  # brings urllib.request and all that belongs to it

    for fixed, value, line in _pieces(text):
        yield fixed
        if value is _NOTHING:
            return
        plain = _scalar(value, line)
        if bad := re.search(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", plain):
            msg = f"the value holds {bad.group()!r}, which XML cannot carry"
            raise EncodeError(msg, line)
        yield escape(plain, _XML_ENTITIES)


_ENCODERS: dict[str, Callable[[str], Iterator[str]]] = {
    "properties": _properties,
    "ini": _ini,
    "env": _env,
    "json": _json,
    "xml": _xml,
}
