"""Asks from outside: one connection for each question, and no other traffic."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import warnings
from typing import TYPE_CHECKING

import attrs

from infometis_border_traefik.proving.answers import Answer

if TYPE_CHECKING:
    from infometis_border_traefik.proving.answers import Question
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.border import Reach

__all__ = ("ask", "trusting")

_PATIENCE = 15.0
_STAYS = 1.0  # seconds after which a connection that nobody closed counts as open
_KEPT = 4096
_VERSIONS = {
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
# ApiVersions, version 0, correlation 7, no client's name: Kafka protocol guide, "Messages".
_KAFKA_HELLO = bytes.fromhex("0000000a0012000000000007ffff")


def trusting(reach: Reach) -> ssl.SSLContext:
    """Return how trusted questions are asked; made once, since it reads every authority."""
    context = ssl.create_default_context()
    if reach.authorities is not None:
        context.load_verify_locations(reach.authorities)
    return context


def ask(question: Question, reach: Reach, trusted: ssl.SSLContext, run: Run) -> Answer:
    """Ask one question, and say what came of it; no trouble of the network is raised.

    Args:
        question: what to ask.
        reach: how this machine gets to the published port.
        trusted: from :func:`trusting`, for questions that want it.
        run: deadline and cancel token.

    """
    address = reach.ports.get(question.port)
    if address is None:
        detail = f"port {question.port} cannot be reached from this machine"
        return Answer(trouble="unreachable", detail=detail)
    try:
        sock = socket.create_connection(address, timeout=run.remaining(_PATIENCE))
    except OSError as error:
        where = f"{address[0]}:{address[1]}"
        return Answer(trouble="refused", detail=f"{where}: {error.strerror or error}")
    with sock:
        if not question.secure:
            return _talk(sock, question, Answer())
        try:
            context = trusted if question.trusted else _lenient(question.newest)
            secure = context.wrap_socket(sock, server_hostname=question.host)
        except ssl.SSLCertVerificationError as error:
            return Answer(trouble="certificate", detail=error.verify_message)
        except OSError as error:
            return Answer(trouble="handshake", detail=_words(error))
        with secure:
            return _talk(secure, question, _handshake(secure))


def _talk(sock: socket.socket, question: Question, so_far: Answer) -> Answer:
    talk = {"http": _http, "kafka": _kafka, "tcp": _tcp, "tls": _tls}[question.kind]
    try:
        return talk(sock, question, so_far)
    except (OSError, http.client.HTTPException) as error:
        return attrs.evolve(so_far, trouble="broken", detail=_words(error))


def _http(sock: socket.socket, question: Question, so_far: Answer) -> Answer:
    usual = 443 if question.secure else 80
    port = "" if question.port == usual else f":{question.port}"
    headers = {"Host": f"{question.host}{port}", "User-Agent": "infometis", "Connection": "close"}
    if question.user:
        pair = base64.b64encode(":".join(question.user).encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    client = http.client.HTTPConnection(question.host)
    client.sock = sock
    with contextlib.closing(client):
        client.request(question.method, question.path, headers=headers)
        answer = client.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return attrs.evolve(so_far, status=answer.status, headers=found, body=answer.read(_KEPT))


def _tls(_: socket.socket, __: Question, so_far: Answer) -> Answer:
    return so_far


def _tcp(sock: socket.socket, _: Question, so_far: Answer) -> Answer:
    """See whether the connection stays: Traefik closes it where it finds nobody behind."""
    sock.settimeout(_STAYS)
    try:
        stays = bool(sock.recv(1))
    except TimeoutError:
        stays = True
    detail = "" if stays else "the connection was closed at once"
    return attrs.evolve(so_far, open=stays, trouble="" if stays else "broken", detail=detail)


def _kafka(sock: socket.socket, _: Question, so_far: Answer) -> Answer:
    sock.sendall(_KAFKA_HELLO)
    answer = b""
    while len(answer) < 8 and (more := sock.recv(8 - len(answer))):  # noqa: PLR2004 - size, correlation
        answer += more
    fits = answer[4:8] == _KAFKA_HELLO[8:12]
    detail = "" if fits else "what answers is no Kafka broker"
    return attrs.evolve(so_far, open=fits, trouble="" if fits else "broken", detail=detail)


def _lenient(newest: str) -> ssl.SSLContext:
    """Take any certificate, and offer versions up to that one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if newest:
        with warnings.catch_warnings():
            # Old versions are offered to see that they are refused.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = _VERSIONS[newest]
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def _handshake(sock: ssl.SSLSocket) -> Answer:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    found = sock.getpeercert(binary_form=True)
    if not found:
        return Answer(version=sock.version() or "")
    certificate = x509.load_der_x509_certificate(found)

    def name(of: x509.Name) -> str:
        names = of.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else ""

    return Answer(
        version=sock.version() or "",
        issuer=name(certificate.issuer),
        subject=name(certificate.subject),
        expires=certificate.not_valid_after_utc,
    )


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(getattr(error, "strerror", "") or error) or type(error).__name__
