"""Words of a border that end up in rules and addresses, and so must be no more than they seem."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ("HEADER", "HEADER_VALUE", "LABEL", "OBJECT_NAME", "PATH", "dns_name", "url")

_HOST_MAX = 253
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PATH = re.compile(r"/|(/[A-Za-z0-9._~-]+)+/?")
"""Unreserved characters of RFC 3986 alone: no rule language gives them a sense."""
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, section 5.6.2."""
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def dns_name(text: str) -> bool:
    """Tell whether a text is a DNS name of lower-case letters, digits and hyphens.

    Example:
        >>> dns_name("grafana.example.com"), dns_name("a`) || Host(`b")
        (True, False)

    """
    return 0 < len(text) <= _HOST_MAX and all(LABEL.fullmatch(part) for part in text.split("."))


def url(text: str, *schemes: str) -> bool:
    """Tell whether a text is a URL with a host, without a user, and nothing to quote in it."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    named = bool(parts.hostname) and not (parts.username or parts.password)
    return named and parts.scheme in schemes and not re.search(r"[\s`\"'\\]", text)
