"""Rules: which requests a router takes, as text that no input can break out of.

Source of the syntax: https://doc.traefik.io/traefik/reference/routing-configuration/http/routing/rules-and-priority/
The text is parsed as a Go expression, so strings are Go strings.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = (
    "all_of",
    "any_of",
    "client_name",
    "header_matches",
    "host",
    "method",
    "operation",
    "priority",
    "quote",
    "sni",
    "under",
)

_ANY_ESCAPE_BUT_QUOTE = "(?:[^%]|%(?:[013-9A-F][0-9A-F]|2[013-9A-F]))*"
_REPLACEMENT = 0xFFFD
_PLAIN_NAMES = "(?:(?:[A-Za-z0-9._~-]|%2A)+%2C)*"

_KNOWN = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
"""Methods of RFC 9110 and RFC 5789; their names are case-sensitive."""


def quote(text: str) -> str:
    r"""Write a text as a Go string literal, so that it stays one text whatever is in it.

    Example:
        >>> quote("/nifi"), quote("a`) || Host(`b")
        ('`/nifi`', '"a`) || Host(`b"')

    """
    if "`" not in text and text.isascii() and text.isprintable():
        return f"`{text}`"
    return '"' + "".join(_go(character) for character in text) + '"'


def _go(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isascii() and character.isprintable():
        return character
    # Lone surrogates are no text in Go, which is told the replacement character instead.
    code = _REPLACEMENT if unicodedata.category(character) == "Cs" else ord(character)
    return f"\\U{code:08x}"


def host(name: str) -> str:
    """Match the name of a host."""
    return f"Host({quote(name)})"


def sni(name: str) -> str:
    """Match the name in the TLS handshake; an empty name matches all."""
    return f"HostSNI({quote(name or '*')})"


def method(name: str) -> str:
    """Match an HTTP method."""
    return f"Method({quote(name)})"


def under(path: str) -> str:
    """Match a path and all below it, and not another one that begins with the same letters.

    Example:
        >>> under("/nifi")
        '(Path(`/nifi`) || PathPrefix(`/nifi/`))'

    """
    if path == "/":
        return f"PathPrefix({quote('/')})"
    return f"(Path({quote(path)}) || PathPrefix({quote(f'{path}/')}))"


def operation(paths: Iterable[str], methods: Iterable[str]) -> str:
    r"""Match sensitive operations, however a client spells their paths.

    Servers in Java ignore what stands after a semicolon in a part of a path, so
    ``/admin;x/users`` is ``/admin/users`` to them.
    A method that nobody knows, such as ``delete``, may be one of these to some server.

    Example:
        >>> operation(["/admin"], ["GET"]).partition(" || !")[0]
        'PathRegexp(`^/(?:;[^/]*/)*admin(?:;[^/]*)?(?:/|$)|/[.][.]?;`) && (Method(`GET`)'

    """
    spelt = [f"PathRegexp({quote(_spelling(path))})" for path in paths if path != "/"]
    if any(path == "/" for path in paths):
        spelt = []
    named = [method(each) for each in methods]
    if named:
        named.append(f"!{any_of(*map(method, _KNOWN))}")
    return all_of(*([any_of(*spelt)] if spelt else []), any_of(*named))


def _spelling(path: str) -> str:
    parts = [
        ("[^/;]+" if part == "*" else re.escape(part)) + "(?:;[^/]*)?"
        for part in path.strip("/").split("/")
    ]
    nothing = "(?:;[^/]*/)*"
    # A dot or two with such a parameter climbs: who says so wants to get around something.
    return f"^/{nothing}{f'/{nothing}'.join(parts)}(?:/|$)|/[.][.]?;"


def header_matches(header: str, expression: str) -> str:
    """Match a header by a regular expression."""
    return f"HeaderRegexp({quote(header)}, {quote(expression)})"


def client_name(name: str) -> tuple[str, str]:
    """Return what the shown certificate of a client looks like: by common name, by DNS name.

    The whole chain is shown, the client's own certificate first; only that one counts.
    An authority that signs common names with quotes in them could make one name look like two.
    """
    shown = re.escape(quote_plus(name, safe=""))
    return (
        f"^Subject%3D%22CN%3D{shown}%22(?:%3B|%2C|$)",
        f"^(?:Subject%3D%22CN%3D{_ANY_ESCAPE_BUT_QUOTE}%22%3B)?SAN%3D%22{_PLAIN_NAMES}{shown}(?:%2C|%22)",
    )


def all_of(*rules: str) -> str:
    """Match what every rule matches; empty rules are left out."""
    return " && ".join(rule for rule in rules if rule)


def any_of(*rules: str) -> str:
    """Match what one of the rules matches."""
    kept = [rule for rule in rules if rule]
    return f"({' || '.join(kept)})" if len(kept) > 1 else "".join(kept)


def priority(path: str, *, guarded: bool = False) -> int:
    """Return how important a router is: the longest path first, sensitive operations above.

    Traefik's own order, by the length of a rule, would let a long host win over a path.

    Example:
        >>> priority("/nifi") > priority("/", guarded=True) > priority("/")
        True

    """
    return 1000 * len(path) + (500 if guarded else 0)
