"""Addresses in the forms in which people and policies write them."""

from __future__ import annotations

import ipaddress

__all__ = ("api_address", "block_of")

_PORT_MAX = 65535


def api_address(text: str) -> tuple[str, int]:
    """Read ``ADDRESS:PORT``; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is none.

    Example:
        >>> api_address("[2001:db8::1]:6443")
        ('2001:db8::1', 6443)

    """
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (bare == host) != (":" not in host) or not port.isascii() or not port.isdecimal():
        msg = "not an address and port"
        raise ValueError(msg)
    try:
        address = ipaddress.ip_address(bare)
    except ValueError as error:
        msg = "not an IP address"
        raise ValueError(msg) from error
    if not 0 < int(port) <= _PORT_MAX:
        msg = "not a port"
        raise ValueError(msg)
    return str(address), int(port)


def block_of(address: str) -> str:
    """Return the block of exactly one address.

    Example:
        >>> block_of("192.0.2.1"), block_of("2001:db8::1")
        ('192.0.2.1/32', '2001:db8::1/128')

    """
    return str(ipaddress.ip_network(address))
