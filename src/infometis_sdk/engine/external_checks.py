"""Does an external system answer? Asked from the machine that runs InfoMetis.

The API server proxies to no endpoint that is not a pod, so that nobody reaches through it what he
may not reach himself (https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors);
and the image of a service need not hold a program that could ask from inside.
A system that only the cluster's nodes reach is declared with ``check: {enabled: false}``.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infometis_sdk.model.external import External

__all__ = ("ask_external",)

_WEB = ("http", "https")
_ENCRYPTED = ("https", "tls")


def ask_external(external: External, *, ca: str = "", seconds: float = 5.0) -> str:
    """Ask every address of a system once, as its protocol demands.

    Args:
        external: what is asked.
        ca: certificates (PEM) of the authorities that are trusted; empty for this machine's own.
        seconds: for each connection.

    Returns:
        What is wrong, address by address; empty where all is well.

    """
    wrong = []
    for place in external.addresses or (external.host,):
        try:
            problem = _once(external, place, ca, seconds)
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = _reason(error)
        if problem:
            wrong.append(f"{place} port {external.reached_port}: {problem}")
    return "; ".join(wrong)


def _once(external: External, place: str, ca: str, seconds: float) -> str:
    port = external.reached_port
    with closing(socket.create_connection((place, port), timeout=seconds)) as plain:
        encrypted = external.protocol in _ENCRYPTED or external.tls.originate
        name = external.tls.server_name or external.host
        sock: socket.socket = plain
        if encrypted:
            sock = _context(ca, named=bool(name)).wrap_socket(plain, server_hostname=name or None)
        with closing(sock):
            if external.protocol not in _WEB:
                return ""
            connection = http.client.HTTPConnection(name or place, port, timeout=seconds)
            connection.sock = sock
            connection.request("GET", external.check.path, headers={"user-agent": "infometis-sdk"})
            status = connection.getresponse().status
    expected = external.check.status
    return f"HTTP {status}, expected {expected}" if expected not in (0, status) else ""


def _context(ca: str, *, named: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca or None)
    # Who is known by addresses only has no name that a certificate could hold.
    context.check_hostname = named
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"no answer ({type(error).__name__})"
