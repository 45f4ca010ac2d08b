"""HTTP to the API server: timeouts, retries, credentials; bytes in, bytes out."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import frozen

from infometis_sdk._adapters.refusals import object_at_fault
from infometis_sdk._adapters.session import Channel, Session
from infometis_sdk._adapters.troubles import Trouble, diagnose
from infometis_sdk._log import get_logger
from infometis_sdk.errors import UnreachableError

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from infometis_sdk.model.run import Run

__all__ = ("UNKNOWN_YET", "Answer", "Call", "Patience", "Transport")

UNKNOWN_YET = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""What an API server answers that has not read its accounts and roles yet."""

_log = get_logger(__name__)

_NOT_READY = b"not yet ready to handle request"  # k8s.io/apiserver/pkg/admission, WaitForReady
_UNAVAILABLE = (
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


@frozen(kw_only=True)
class Patience:
    """How long to try; every number is in seconds and bounded by the run's deadline.

    Until a server has answered once, giving up early is right: a wrong address or a cluster that
    is down should be reported in seconds. Once it has answered, a restart of the API server
    (some ten seconds, more on a busy machine) must be survived.

    Attributes:
        first_contact: no new try is started after this time while there was never an answer;
            with ``connect`` it bounds a dead cluster to about six seconds.
        established: the same, once there was an answer.
        connect: for TCP and TLS each.
        first_read: for an answer while there was never one.
        read: for an answer, and between two pieces of one; an API server gives up by itself after
            60 s (``--request-timeout``), and asking a busy one twice would make it busier.
        watch: the same for watches, on which a bookmark comes about every minute.
        internal_tries: tries where the API server reports an error of its own (500).
        recovering: an API server that has just started refuses whom it does not know yet, so after
            a lost connection 401 and 403 are tried again for so long.

    """

    first_contact: float = 4.0
    established: float = 60.0
    connect: float = 3.0
    first_read: float = 10.0
    read: float = 62.0
    watch: float = 75.0
    internal_tries: int = 5
    recovering: float = 15.0


@frozen(kw_only=True)
class Call:
    """One request.

    Attributes:
        doing: what it is for, in words that follow "while", such as "listing pods".
        method, target: HTTP method, path with query.
        body, content_type, accept: as the names say.
        repeatable: whether it may be sent again when it may have been done already.

    """

    doing: str
    method: str
    target: str
    body: bytes | None = None
    content_type: str = ""
    accept: str = "application/json"
    repeatable: bool = True


@frozen(kw_only=True)
class Answer:
    """Status, body and headers as they came."""

    status: int
    data: bytes
    headers: Mapping[str, str]
    channel: Channel


class Transport:
    """Sends requests to one API server; safe to share between threads."""

    def __init__(self, session: Session, patience: Patience) -> None:
        self._session = session
        self._patience = patience
        self._answered = False
        self._lost = float("-inf")
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._lock = threading.Lock()

    def send(self, call: Call, run: Run) -> Answer:
        """Send a request until it is answered for good.

        429 and 503 mean that nothing was done, so they are tried again for every request,
        and so are 401 and 403 of a server that is starting;
        dropped connections, 500, 502 and 504 for repeatable ones only.

        Returns:
            The answer, whatever its status.

        Raises:
            UnreachableError: no answer for as long as the patience lasts.
            UnauthorizedError: credentials cannot be had.

        """
        retry = _Retry(self, call, run)
        renewed = False
        while True:
            run.check(call.doing)
            channel = self._session.channel(run)
            try:
                response = self._open(channel, call, run, stream=False)
            except Exception as error:  # noqa: BLE001 - what is not urllib3's is raised again
                retry.after_trouble(error, channel)
                continue
            if response.status == HTTPStatus.UNAUTHORIZED and not renewed:
                renewed = True
                if self._session.renew(channel, run):
                    continue
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._answered = True
            if retry.after_status(response):
                continue
            return Answer(
                status=response.status,
                data=response.data,
                headers=response.headers,
                channel=channel,
            )

    def stream(self, call: Call, run: Run) -> tuple[BaseHTTPResponse, Channel]:
        """Open one answer that goes on; tried once only, since the caller has to resume anyway.

        Raises:
            UnreachableError: there is no answer.

        """
        channel = self._session.channel(run)
        try:
            response = self._open(channel, call, run, stream=True)
        except Exception as error:
            raise self.unreachable(call, _diagnosed(error, channel), channel) from error
        if response.status == HTTPStatus.UNAUTHORIZED and self._session.renew(channel, run):
            response.close()
            return self.stream(call, run)
        return response, channel

    def unreachable(self, call: Call, trouble: Trouble, channel: Channel) -> UnreachableError:
        """Make the error for a request without an answer."""
        doubt = ""
        if trouble.sent and not call.repeatable:
            doubt = "; it may have been done or not"
        return UnreachableError(
            f"no answer from {channel.connection.server} ({channel.connection.source}) "
            f"while {call.doing}: {trouble.text}{doubt}",
            hint=trouble.hint,
        )

    def _open(self, channel: Channel, call: Call, run: Run, *, stream: bool) -> BaseHTTPResponse:
        from urllib3.util.timeout import Timeout

        patience = self._patience
        headers = {"accept": call.accept, "user-agent": "infometis-sdk"}
        if call.content_type:
            headers["content-type"] = call.content_type
        if channel.compressed:
            headers["accept-encoding"] = "gzip"
        if channel.credentials.authorization:
            headers["authorization"] = channel.credentials.authorization
        if stream:
            read = patience.watch
        else:
            read = patience.read if self._answered else patience.first_read
        # 0 would mean "at once" to urllib3, and the run was checked just now
        left = max(0.05, run.remaining())
        began = time.monotonic()
        response = channel.pool.urlopen(
            call.method,
            channel.prefix + call.target,
            body=call.body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=Timeout(connect=min(left, patience.connect), read=min(left, read)),
            preload_content=not stream,
        )
        _log.debug(
            "request answered",
            method=call.method,
            target=call.target,
            status=response.status,
            seconds=round(time.monotonic() - began, 3),
        )
        return response

    # --- for _Retry -------------------------------------------------------------------------

    @property
    def patience(self) -> Patience:
        """The policy."""
        return self._patience

    @property
    def window(self) -> float:
        """How long to keep trying now."""
        return self._patience.established if self._answered else self._patience.first_contact

    @property
    def recovering(self) -> bool:
        """Whether a connection was lost a moment ago, so that the server may be starting."""
        return time.monotonic() - self._lost < self._patience.recovering

    def lost_contact(self) -> None:
        """Take note of a connection that was lost."""
        if self._answered:
            self._lost = time.monotonic()

    def forget_contact(self) -> None:
        """Be quick to give up from now on: the server that once answered is gone."""
        self._answered = False

    def jitter(self, seconds: float) -> float:
        """Spread a pause over half to all of it, so that many clients do not come back at once."""
        return seconds * self._random.uniform(0.5, 1.0)


class _Retry:
    """The tries of one request."""

    def __init__(self, transport: Transport, call: Call, run: Run) -> None:
        self._transport = transport
        self._call = call
        self._run = run
        self._tries = 0
        self._since = time.monotonic()

    def after_trouble(self, error: Exception, channel: Channel) -> None:
        """Sleep before the next try, or raise."""
        trouble = _diagnosed(error, channel)
        unsafe = trouble.sent and not self._call.repeatable
        self._transport.lost_contact()
        failed = self._transport.unreachable(self._call, trouble, channel)
        if trouble.hopeless or unsafe:
            raise failed from error
        pause = self._transport.jitter(min(2.0, 0.1 * 2**self._tries))
        if self._too_late(pause):
            self._transport.forget_contact()
            raise failed from error
        self._run.sleep(pause, f"{self._call.doing} ({trouble.text})")

    def after_status(self, response: BaseHTTPResponse) -> bool:
        """Sleep before the next try and return true, or return false: the answer stands."""
        status, call = response.status, self._call
        if status in UNKNOWN_YET:
            if not self._transport.recovering and _NOT_READY not in response.data:
                return False
            pause = min(1.0, 0.2 * 2**self._tries)
        elif status == HTTPStatus.TOO_MANY_REQUESTS:
            pause = 0.25 * 2**self._tries
        elif status == HTTPStatus.INTERNAL_SERVER_ERROR:
            used_up = self._tries + 1 >= self._transport.patience.internal_tries
            if used_up or not call.repeatable or object_at_fault(response.data):
                return False
            pause = 0.2 * 2**self._tries
        elif status in _UNAVAILABLE:
            if not call.repeatable and status != HTTPStatus.SERVICE_UNAVAILABLE:
                return False
            pause = 0.2 * 2**self._tries
        else:
            return False
        pause = self._transport.jitter(min(8.0, pause))
        asked = response.headers.get("retry-after", "")
        if asked.isdigit():
            # The server's wish, and up to a quarter more, so that not all come back at once.
            pause = int(asked) * (1 + self._transport.jitter(0.25))
        if self._too_late(pause):
            return False
        self._run.sleep(pause, f"{call.doing} (the API server answers {status})")
        return True

    def _too_late(self, pause: float) -> bool:
        self._tries += 1
        return time.monotonic() - self._since + pause > self._transport.window


def _diagnosed(error: Exception, channel: Channel) -> Trouble:
    """Return the trouble behind what urllib3 raised; what is not its own goes up as it is."""
    from urllib3.exceptions import HTTPError

    if not isinstance(error, HTTPError):
        raise error
    return diagnose(error, channel.connection.server)
