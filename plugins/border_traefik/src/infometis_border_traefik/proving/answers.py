"""Questions to a border from outside, and its answers: values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

__all__ = ("Answer", "Question")


@frozen(kw_only=True)
class Question:
    """One request from outside.

    Attributes:
        kind: ``http``, ``tls`` (a handshake alone), ``tcp`` (a connection that must stay open) or
            ``kafka`` (which versions a broker speaks).
        host: name in the TLS handshake and in the header ``Host``.
        port: published port.
        secure: whether TLS is spoken.
        trusted: the certificate must be trusted and be made out for the host, or nothing is asked.
        newest: newest version of TLS that is offered, such as ``1.1``; empty for any.
        method, path: of the request.
        user: name and password for basic authentication; empty for none.

    """

    kind: str = "http"
    host: str = ""
    port: int = 443
    secure: bool = True
    trusted: bool = False
    newest: str = ""
    method: str = "GET"
    path: str = "/"
    user: tuple[str, str] | tuple[()] = field(default=(), repr=False)

    @property
    def url(self) -> str:
        """What was asked, for people."""
        if self.kind in ("kafka", "tcp"):
            return f"{self.kind}://{self.host or 'localhost'}:{self.port}"
        scheme, usual = ("https", 443) if self.secure else ("http", 80)
        port = "" if self.port == usual else f":{self.port}"
        return f"{scheme}://{self.host}{port}{self.path}"


@frozen(kw_only=True)
class Answer:
    """What came of a question.

    Attributes:
        status: of an HTTP answer; 0 for none.
        headers: of an HTTP answer, names in lower case.
        body: its first bytes.
        version: of TLS, such as ``TLSv1.3``.
        issuer, subject: common names of the certificate, as far as it has such.
        expires: when the certificate does.
        open: the connection stayed open, or a broker answered.
        trouble: why there is no answer: ``unreachable`` (no way from this machine), ``refused``,
            ``certificate``, ``handshake`` or ``broken``; empty for an answer.
        detail: the trouble in words.

    """

    status: int = 0
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""
    version: str = ""
    issuer: str = ""
    subject: str = ""
    expires: datetime | None = None
    open: bool = False
    trouble: str = ""
    detail: str = ""
