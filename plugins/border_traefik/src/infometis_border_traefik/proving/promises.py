"""What a route promises: the questions that show it, and the judgement of the answers; pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_border_traefik.proving.answers import Answer, Question
from infometis_sdk.model.border import ACME_STAGING, OPEN
from infometis_sdk.model.border_report import Proof

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.border import Auth, Guarded, Route
    from infometis_sdk.ports.border import Scene

__all__ = ("NOBODY", "Promise", "promises", "stranger")

NOBODY = "nobody.infometis.invalid"
"""A name that no border routes (RFC 6761, section 6.4)."""

_SOON = timedelta(days=14)
_SAFE = ("GET", "HEAD", "OPTIONS")
_OLDER = {"1.2": "1.1", "1.3": "1.2"}
_NO_BACKEND = {
    502: "the service hung up on Traefik, or its certificate is not the expected one",
    503: "no pod of the service is ready",
    504: "the service did not answer in time",
}


@frozen(kw_only=True)
class Promise:
    """One promise of a route.

    Attributes:
        what: such as ``status``.
        question: what shows it; ``None`` where nothing can be asked.
        judge: turns the answer into a state and its detail.
        reason: why nothing can be asked.

    """

    what: str
    question: Question | None = None
    judge: Callable[[Answer], tuple[str, str]] | None = field(default=None, eq=False)
    reason: str = ""

    def proof(self, route: str, answer: Answer | None) -> Proof:
        """Return what the answer proves."""
        if self.question is None or self.judge is None or answer is None:
            return Proof(route=route, what=self.what, state="unproven", detail=self.reason)
        if answer.trouble == "unreachable":
            state, detail = "unproven", answer.detail
        else:
            state, detail = self.judge(answer)
        url = self.question.url
        return Proof(route=route, what=self.what, state=state, detail=detail, url=url)


def promises(
    scene: Scene, route: Route, users: Mapping[str, tuple[str, str]], now: datetime | None = None
) -> tuple[Promise, ...]:
    """Return every promise of a route, in the order in which people read them.

    Args:
        scene: what was rendered.
        route: one of its routes.
        users: name of an ``auth`` of type ``basic`` to a user and the password, where known.
        now: what expiry is judged by.

    """
    made = _Route(scene, route, users, now or datetime.now(UTC))
    return tuple(made.http() if route.http else made.other())


def stranger(scene: Scene) -> Promise | None:
    """Return the promise of every border: a name that nobody publishes leads nowhere."""
    web = [route for route in scene.routes if route.http]
    if not web:
        return None
    secure = any(route.tls != "none" for route in web)
    port = scene.border.https_port if secure else scene.border.http_port

    def judge(answer: Answer) -> tuple[str, str]:
        if answer.trouble == "handshake":
            return "passed", f"an unknown name is refused in the handshake: {answer.detail}"
        if answer.trouble:
            return "failed", answer.detail
        if answer.status in (404, 421):
            return "passed", f"an unknown name gets {answer.status}"
        return "failed", f"an unknown name gets {answer.status}, so some route takes any host"

    question = Question(host=NOBODY, port=port, secure=secure)
    return Promise(what="unknown host", question=question, judge=judge)


class _Route:
    """The promises of one route."""

    def __init__(
        self, scene: Scene, route: Route, users: Mapping[str, tuple[str, str]], now: datetime
    ) -> None:
        self._border, self._route, self._users, self._now = scene.border, route, users, now
        self._secure = route.tls != "none"

    # --- which ones ---------------------------------------------------------------------------

    def http(self) -> Iterator[Promise]:
        """Yield those of a route that carries HTTP."""
        if self._secure:
            yield from self._handshakes()
            if self._border.tls.redirect:
                question = Question(
                    host=self._route.host,
                    port=self._border.http_port,
                    secure=False,
                    path=self._path,
                )
                yield Promise(what="redirect", question=question, judge=self._redirect)
        if self._route.auth != OPEN:
            yield self._authentication("authentication", self._route.auth, self._path)
        yield self._answers()
        for guarded in self._route.guarded:
            yield from self._sensitive(guarded)
        if headers := self._headers_promised():
            yield self._headers(headers)
        if self._secure and self._border.tls.hsts:
            # Refusals carry it too, but for those in the handshake.
            auth = self._auth(self._route.auth)
            if auth is not None and auth.type == "mtls":
                yield Promise(what="HSTS", reason="needs a client certificate, which is not here")
            else:
                yield Promise(what="HSTS", question=self._ask(self._path), judge=self._hsts)

    def other(self) -> Iterator[Promise]:
        """Yield those of a route that carries something else than HTTP."""
        route = self._route
        if route.tls == "terminate":
            yield from self._handshakes()
        hosts = (route.host, *(member.host for member in route.members))
        kind = "kafka" if route.endpoint.protocol == "kafka" else "tcp"
        if self._auth(route.auth) is not None:
            yield Promise(what="status", reason="needs a client certificate, which is not here")
            return
        if route.tls == "passthrough" and route.endpoint.protocol in ("http", "https"):
            yield Promise(what="certificate", reason="it is the service's own, not the border's")
            question = self._ask(self._path)
            yield Promise(what="status", question=question, judge=self._status)
            return
        for host in hosts:
            what = "status" if host == route.host else f"status {host}"
            question = Question(
                kind=kind,
                host=host,
                port=route.public_port,
                secure=self._secure,
                trusted=route.tls == "terminate",
            )
            yield Promise(what=what, question=question, judge=_connection)

    def _handshakes(self) -> Iterator[Promise]:
        hosts = (self._route.host, *(member.host for member in self._route.members))
        for host in hosts:
            what = "certificate" if host == self._route.host else f"certificate {host}"
            question = Question(kind="tls", host=host, port=self._route.public_port, trusted=True)
            yield Promise(what=what, question=question, judge=self._certificate)
        older = _OLDER[self._border.tls.minimum]
        question = Question(
            kind="tls", host=self._route.host, port=self._route.public_port, newest=older
        )
        yield Promise(what="oldest TLS", question=question, judge=_refuses(older))

    def _answers(self) -> Promise:
        auth = self._auth(self._route.auth)
        if auth is not None and auth.type != "basic":
            missing = {"forward": "a session of the service that decides"}
            what = missing.get(auth.type, "a client certificate")
            return Promise(what="status", reason=f"needs {what}, which is not here")
        question = self._ask(self._path)
        if auth is not None:
            user = self._users.get(self._route.auth)
            if user is None:
                reason = f"no password of {self._route.auth!r} is to be had here"
                return Promise(what="status", reason=reason)
            question = self._ask(self._path, user)
        return Promise(what="status", question=question, judge=self._status)

    def _authentication(
        self, what: str, name: str, path: str, user: tuple[str, str] | tuple[()] = ()
    ) -> Promise:
        auth = self._auth(name)
        kind = auth.type if auth else "basic"
        question = self._ask(path, user)
        return Promise(what=what, question=question, judge=_refusal(kind))

    def _sensitive(self, guarded: Guarded) -> Iterator[Promise]:
        methods = guarded.methods or _SAFE
        for path in guarded.paths:
            what = f"sensitive {'/'.join(guarded.methods) or 'any'} {path}"
            if guarded.auth == OPEN:
                yield Promise(what=what, reason="it is open, as the environment says")
            elif not set(methods) & set(_SAFE):
                reason = "not asked: it would change something, were the guard not there"
                yield Promise(what=what, reason=reason)
            else:
                # With what opens the rest of the route: that must not do here.
                user = self._users.get(self._route.auth, ())
                yield self._authentication(what, guarded.auth, path, user)

    def _headers(self, expected: Mapping[str, str]) -> Promise:
        def judge(answer: Answer) -> tuple[str, str]:
            if answer.trouble:
                return "failed", answer.detail
            wrong = [
                f"{name} is {answer.headers.get(name, '')!r}, not {value!r}"
                for name, value in expected.items()
                if answer.headers.get(name, "") != value
            ]
            return ("failed", "; ".join(wrong)) if wrong else ("passed", ", ".join(expected))

        status = self._answers()
        if status.question is None:
            return Promise(what="headers", reason=status.reason)
        return Promise(what="headers", question=status.question, judge=judge)

    def _headers_promised(self) -> dict[str, str]:
        given = self._route.settings.response_headers
        return {name.lower(): value for name, value in given.items()}

    # --- what the answers say -----------------------------------------------------------------

    def _certificate(self, answer: Answer) -> tuple[str, str]:
        acme = self._border.tls.acme
        if answer.trouble == "certificate":
            if self._border.tls.source == "acme" and acme and acme.server == ACME_STAGING:
                return "unproven", "nobody trusts the certificates of the staging server"
            return "failed", answer.detail
        if answer.trouble or answer.expires is None:
            return "failed", answer.detail or "no certificate was shown"
        left = answer.expires - self._now
        detail = f"{answer.version}, by {answer.issuer or 'an unnamed authority'}"
        if left < _SOON:
            return "passed", f"{detail}; expires in {max(0, left.days)} days: renew it"
        return "passed", f"{detail}, until {answer.expires:%Y-%m-%d}"

    def _redirect(self, answer: Answer) -> tuple[str, str]:
        if answer.trouble:
            return "failed", answer.detail
        port = self._border.https_port
        there = f"https://{self._route.host}{'' if port == 443 else f':{port}'}{self._path}"  # noqa: PLR2004
        location = answer.headers.get("location", "")
        # Which of them is the adapter's choice: browsers keep a permanent one for ever.
        if answer.status in (301, 302, 307, 308) and location == there:
            return "passed", f"{answer.status} to {location}"
        told = f" to {location}" if location else ""
        return "failed", f"{answer.status}{told}, not a redirect to {there}"

    def _hsts(self, answer: Answer) -> tuple[str, str]:
        if answer.trouble:
            return "failed", answer.detail
        found = answer.headers.get("strict-transport-security", "")
        wanted = f"max-age={self._border.tls.hsts}"
        fits = wanted in found.replace(" ", "").split(";")
        return ("passed", found) if fits else ("failed", f"{found or 'no header'}, not {wanted}")

    def _status(self, answer: Answer) -> tuple[str, str]:
        if answer.trouble:
            return "failed", answer.detail
        if answer.status in _NO_BACKEND:
            return "failed", f"{answer.status}: {_NO_BACKEND[answer.status]}"
        if answer.status == 500 and answer.body.strip() == b"Internal Server Error":  # noqa: PLR2004
            return "failed", "500: Traefik does not trust the service's certificate, or it broke"
        if answer.status == 403 and self._route.settings.allow:  # noqa: PLR2004
            return "unproven", "403: this machine is not among the addresses that may pass"
        if answer.status == 404 and answer.body.strip() == b"404 page not found":  # noqa: PLR2004
            return "unproven", "404, in words that Traefik uses where it has no route"
        if self._route.auth != OPEN and answer.status == 401:  # noqa: PLR2004
            return "failed", "401 with the right password"
        return "passed", str(answer.status)

    # --- small things -------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        path = self._route.path
        return path if path.endswith("/") else f"{path}/"

    def _auth(self, name: str) -> Auth | None:
        return None if name == OPEN else self._border.auth.get(name)

    def _ask(self, path: str, user: tuple[str, str] | tuple[()] = ()) -> Question:
        return Question(
            host=self._route.host,
            port=self._route.public_port,
            secure=self._secure,
            # A password is shown to nobody else.
            trusted=bool(user) and self._secure,
            path=path,
            user=user,
        )


def _refuses(older: str) -> Callable[[Answer], tuple[str, str]]:
    def judge(answer: Answer) -> tuple[str, str]:
        if answer.trouble == "handshake":
            return "passed", f"TLS {older} is refused"
        if answer.trouble:
            return "failed", answer.detail
        return "failed", f"a handshake with {answer.version} was accepted"

    return judge


def _refusal(kind: str) -> Callable[[Answer], tuple[str, str]]:
    def judge(answer: Answer) -> tuple[str, str]:
        if kind == "mtls" and answer.trouble in ("handshake", "broken"):
            return "passed", f"refused without a client certificate: {answer.detail}"
        if answer.trouble:
            return "failed", answer.detail
        if answer.status in (401, 403):
            return "passed", f"{answer.status} without the right to pass"
        if kind == "forward" and answer.status in (302, 303, 307):
            return "passed", f"{answer.status} to {answer.headers.get('location', '')}"
        if kind == "forward" and answer.status >= 500:  # noqa: PLR2004 - server errors
            return "failed", f"{answer.status}: the service that decides does not answer"
        return "failed", f"{answer.status} without the right to pass"

    return judge


def _connection(answer: Answer) -> tuple[str, str]:
    if answer.trouble or not answer.open:
        return "failed", answer.detail or "nobody answers behind the border"
    return "passed", f"open{f', {answer.version}' if answer.version else ''}"
