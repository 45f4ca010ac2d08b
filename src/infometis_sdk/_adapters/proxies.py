"""Which proxy leads to a host: the rules that Kubernetes' own tools follow."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("is_loopback", "proxy_for")


def proxy_for(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the proxy for a URL by the environment variables; empty for none.

    ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` in capitals or small letters.
    Loopback addresses never go through a proxy, as in Go's ``golang.org/x/net/http/httpproxy``.

    Example:
        >>> proxy_for("https://10.1.2.3:6443", {"HTTPS_PROXY": "http://p:3128"})
        'http://p:3128'
        >>> proxy_for("https://10.1.2.3", {"https_proxy": "http://p", "NO_PROXY": "10.0.0.0/8"})
        ''

    """
    parts = urlsplit(url)
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        proxy = environ.get(name) or environ.get(name.upper())
        if proxy:
            break
    else:
        return ""
    if is_loopback(url):
        return ""
    host = (parts.hostname or "").lower()
    address = _address(host)
    excluded = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if any(_matches(host, parts.port, address, rule) for rule in excluded.split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine itself.

    Example:
        >>> is_loopback("https://[::1]:6443"), is_loopback("https://10.1.2.3")
        (True, False)

    """
    host = (urlsplit(url).hostname or "").lower()
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _matches(
    host: str,
    port: int | None,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
    rule: str,
) -> bool:
    rule = rule.strip().lower()
    if not rule:
        return False
    if rule == "*":
        return True
    name, colon, number = rule.rpartition(":")
    if colon and number.isdigit() and ":" not in name:
        if int(number) != port:
            return False
        rule = name
    if address is not None:
        try:
            return address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    rule = rule.removeprefix("*").lstrip(".")
    return host == rule or host.endswith(f".{rule}")
