"""Why a request got no answer: urllib3's exceptions in words for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

__all__ = ("Trouble", "diagnose")

_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED, openssl/x509_vfy.h; so are the others
_NOT_YET_VALID = 9
_HOSTNAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_UNTRUSTED = (2, 18, 19, 20, 21)


@frozen(kw_only=True)
class Trouble:
    """Why there is no answer.

    Attributes:
        text: what happened, without the address.
        hint: what to do.
        sent: whether the API server may have got the request.
        hopeless: whether trying again cannot help.

    """

    text: str
    hint: str = ""
    sent: bool = False
    hopeless: bool = False


def diagnose(error: Exception, server: str) -> Trouble:
    """Say what an exception of urllib3 means for a request to a server."""
    chain = tuple(_chain(error))
    return _handshake(chain, server) or _connection(error, chain)


def _handshake(chain: tuple[BaseException, ...], server: str) -> Trouble | None:
    import ssl

    verification = next((e for e in chain if isinstance(e, ssl.SSLCertVerificationError)), None)
    if verification is not None:
        return _certificate(verification, server)
    if any(isinstance(e, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(e) for e in chain):
        return Trouble(
            text="the answer is no TLS",
            hint=f"does {server} speak plain HTTP, or is another program listening there?",
            hopeless=True,
        )
    if any(isinstance(e, ssl.SSLError) and "ALERT" in str(e) for e in chain):
        return Trouble(
            text="the API server refused the TLS handshake",
            hint="is the client certificate in the kubeconfig still the right one?",
            hopeless=True,
        )
    return None


def _connection(error: Exception, chain: tuple[BaseException, ...]) -> Trouble:
    from urllib3 import exceptions as u

    if isinstance(error, u.ProxyError):
        return Trouble(
            text="the proxy does not let us through",
            hint="check proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY",
        )
    if isinstance(error, u.NameResolutionError):
        return Trouble(
            text="the name is unknown",
            hint="check the server's address in the kubeconfig, DNS and VPN",
        )
    if isinstance(error, u.NewConnectionError):
        return _not_connected(chain)
    if isinstance(error, u.ConnectTimeoutError):  # the base class of the two above
        return Trouble(
            text="no answer while connecting",
            hint="is the machine up, and is a firewall or a missing VPN in between?",
        )
    if isinstance(error, u.ReadTimeoutError):
        return Trouble(
            text="it accepts connections but does not answer in time",
            hint="the API server may be overloaded or hung; look at its log",
            sent=True,
        )
    return Trouble(
        text="the connection was dropped",
        hint="the API server, or something in between, is restarting or overloaded",
        sent=True,
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and all that it wraps, in ``args`` as urllib3 does or as a cause."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        link = todo.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        todo.extend(arg for arg in link.args if isinstance(arg, BaseException))
        todo.extend((link.__cause__, link.__context__))


def _certificate(error: ssl.SSLCertVerificationError, server: str) -> Trouble:
    code, words = error.verify_code, error.verify_message
    if code == _EXPIRED:
        return Trouble(
            text="the API server's certificate has expired",
            hint="renew the API server's certificate, and check the clock of this machine",
            hopeless=True,
        )
    if code == _NOT_YET_VALID:
        return Trouble(
            text="the API server's certificate is not valid yet",
            hint="check the clock of this machine and of the server",
            hopeless=True,
        )
    if code in _HOSTNAME:
        return Trouble(
            text=f"the API server's certificate is not made out for this name: {words}",
            hint=f"use an address that the certificate of {server} names, "
            "or set tls-server-name in the kubeconfig",
            hopeless=True,
        )
    if code in _UNTRUSTED:
        return Trouble(
            text=f"the API server's certificate is signed by an authority we do not trust: {words}",
            hint="the cluster may have been made anew: get its kubeconfig again; "
            "or something in between intercepts TLS",
            hopeless=True,
        )
    return Trouble(text=f"the API server's certificate is not valid: {words}", hopeless=True)


def _not_connected(chain: tuple[BaseException, ...]) -> Trouble:
    for link in chain:
        if isinstance(link, ConnectionRefusedError):
            return Trouble(
                text="connection refused",
                hint="nothing listens there: is the cluster running?",
            )
    for link in chain:
        if isinstance(link, OSError) and link.strerror:
            return Trouble(
                text=re.sub(r"^\[Errno -?\d+\] ", "", link.strerror).lower(),
                hint="is the machine reachable from here (network, VPN)?",
            )
    return Trouble(text="no connection", hint="is the cluster running?")
