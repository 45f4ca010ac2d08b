"""Logs that are followed, and connections to pods by the port-forward WebSocket.

The sub-protocol ``v4.channel.k8s.io``: each binary message begins with the number of a channel,
0 for data and 1 for errors of the first port; the first message on each is the port itself,
two bytes, little-endian (k8s.io/kubelet ``pkg/cri/streaming/portforward/websocket.go``).
It cannot close one direction only, so a side that has said all it has to say
is given :data:`LINGER` seconds of silence for the answer.
"""

from __future__ import annotations

import select
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from infometis_sdk._adapters.asked import Asked
from infometis_sdk._adapters.proxies import proxy_for
from infometis_sdk._adapters.refusals import refusal
from infometis_sdk._adapters.session import tls_context
from infometis_sdk._adapters.transport import Answer, Call, Transport
from infometis_sdk.errors import UnreachableError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from websocket import WebSocket

    from infometis_sdk._adapters.session import Channel, Session
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.run import Run

__all__ = ("LINGER", "carry", "lines")

LINGER = 10.0
_CONNECT = 10.0
_GLANCE = 0.5
_FRAME = 30.0
_CHUNK = 32 * 1024
_RECORD = 16 * 1024
_KEPT = 1024 * 1024
_DATA, _ERROR = 0, 1
_LONGEST_ERROR = 2000


def lines(transport: Transport, path: str, run: Run, params: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines at a path as they come; see :class:`~infometis_sdk.ports.PodStreams`."""
    from urllib3.exceptions import HTTPError

    asked = Asked(verb="get", path=path)
    call = Call(doing=asked.doing, method="GET", target=f"{path}?{urlencode(params)}", accept="*/*")
    response, channel = transport.stream(call, run)
    try:
        if response.status >= HTTPStatus.BAD_REQUEST:
            data = response.read()
            raise refusal(
                Answer(
                    status=response.status, data=data, headers=response.headers, channel=channel
                ),
                asked,
            )
        rest = b""
        try:
            for piece in response.stream(_CHUNK, decode_content=True):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    yield line.decode("utf-8", "replace")
        except HTTPError:
            pass  # cut off, or silent for longer than the transport waits: the caller goes on
        if rest:
            yield rest.decode("utf-8", "replace")
    finally:
        response.close()


def carry(session: Session, pod: ObjectRef, port: int, near: socket.socket, run: Run) -> str:
    """Carry bytes between a socket and a port of a pod; see ``PodStreams.carry``."""
    space, name = quote(pod.namespace, safe=""), quote(pod.name, safe="")
    path = f"/api/v1/namespaces/{space}/pods/{name}/portforward"
    far = _open(session.channel(run), f"{path}?ports={port}", run)
    try:
        return _Carrier(far, near, run).carry()
    finally:
        far.shutdown()
        near.close()


def _open(channel: Channel, target: str, run: Run) -> WebSocket:
    import websocket

    connection = channel.connection
    parts = urlsplit(connection.server)
    headers = []
    if channel.credentials.authorization:
        headers.append(f"authorization: {channel.credentials.authorization}")
    options: dict[str, object] = {}
    if parts.scheme == "https":
        context = tls_context(connection, channel.credentials)
        options["sslopt"] = {"context": context, "server_hostname": connection.server_name or None}
    scheme = "wss" if parts.scheme == "https" else "ws"
    url = f"{scheme}://{parts.netloc}{channel.prefix}{target}"
    proxy = urlsplit(connection.proxy or proxy_for(connection.server))
    if proxy.hostname:
        options |= {
            "http_proxy_host": proxy.hostname,
            "http_proxy_port": proxy.port,
            "proxy_type": proxy.scheme,
        }
        if proxy.username:
            options["http_proxy_auth"] = (proxy.username, proxy.password or "")
    else:
        # Otherwise the library looks for proxies by rules of its own.
        options["http_no_proxy"] = ["*"]
    far = websocket.WebSocket(enable_multithread=True, sslopt=options.pop("sslopt", None))
    asked = Asked(verb="create", path=target.partition("?")[0])
    try:
        far.connect(
            url,
            header=headers,
            subprotocols=["v4.channel.k8s.io"],
            timeout=run.remaining(_CONNECT),
            suppress_origin=True,
            **options,
        )
    except websocket.WebSocketBadStatusException as error:
        answer = Answer(
            status=error.status_code, data=error.resp_body or b"", headers={}, channel=channel
        )
        raise refusal(answer, asked) from error
    except (websocket.WebSocketException, OSError) as error:
        msg = f"no connection to {connection.server} for a forwarded port: {error}"
        raise UnreachableError(msg, hint="is the cluster still up?") from error
    return far


class _Carrier:
    """One connection, both directions in one thread: a TLS socket is not to be shared by two.

    Neither direction waits for the other: what cannot be passed on yet is kept, and a side whose
    bytes are not taken is not read from.
    """

    def __init__(self, far: WebSocket, near: socket.socket, run: Run) -> None:
        self._far = far
        self._near = near
        self._run = run
        self._up = b""  # frames for the pod
        self._down = b""  # bytes for our side
        self._heard = time.monotonic()
        self._near_done = False
        self._far_done = False
        self._greeted: set[int] = set()
        self._message = b""
        self._error = b""

    def carry(self) -> str:
        """Carry until one side has ended and the other got all that was on its way."""
        self._near.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._far.settimeout(_FRAME)
        try:
            while not self._ended():
                self._turn()
        except (OSError, ValueError, self._broken()):
            pass  # one side is gone, and so is the connection
        return self._error.decode("utf-8", "replace").strip()

    @staticmethod
    def _broken() -> type[Exception]:
        import websocket

        broken: type[Exception] = websocket.WebSocketException
        return broken

    def _ended(self) -> bool:
        if self._run.cancel.cancelled or self._run.remaining() <= 0:
            return True
        if self._far_done:
            return not self._down
        silent = time.monotonic() - self._heard > LINGER
        return self._near_done and not self._up and silent

    def _turn(self) -> None:
        far, near = self._far.sock, self._near
        waiting = far.pending() if hasattr(far, "pending") else 0
        read = [] if self._near_done or len(self._up) > _KEPT else [near]
        read += [] if self._far_done or len(self._down) > _KEPT else [far]
        write = ([far] if self._up else []) + ([near] if self._down else [])
        readable, writable, _ = select.select(read, write, [], 0 if waiting else _GLANCE)
        if far in writable:
            # At most one TLS record at a time, which the kernel takes at once.
            self._up = self._up[far.send(self._up[:_RECORD]) :]
        if near in writable:
            self._down = self._down[near.send(self._down) :]
        if near in readable:
            self._from_near()
        if far in readable or (waiting and far in read):
            self._from_far()

    def _from_near(self) -> None:
        data = self._near.recv(_CHUNK)
        if data:
            self._send(bytes((_DATA,)) + data)
        else:
            self._near_done = True
            self._heard = time.monotonic()

    def _send(self, data: bytes, *, pong: bool = False) -> None:
        from websocket import ABNF

        opcode = ABNF.OPCODE_PONG if pong else ABNF.OPCODE_BINARY
        self._up += ABNF.create_frame(data, opcode).format()

    def _from_far(self) -> None:
        from websocket import ABNF, WebSocketTimeoutException

        try:
            # Frames, not messages: the library would answer pings in the middle of a frame of ours.
            frame = self._far.recv_frame()
        except WebSocketTimeoutException:
            return  # half a frame; the rest is read the next time
        if frame is None or frame.opcode == ABNF.OPCODE_CLOSE:
            self._far_done = True
        elif frame.opcode == ABNF.OPCODE_PING:
            self._send(frame.data, pong=True)
        elif frame.opcode in {ABNF.OPCODE_BINARY, ABNF.OPCODE_CONT}:
            self._message += frame.data
            if frame.fin:
                self._take(self._message)
                self._message = b""

    def _take(self, message: bytes) -> None:
        channel, payload = message[0] if message else _DATA, message[1:]
        if channel not in self._greeted:
            self._greeted.add(channel)  # the payload is the number of the port
            return
        self._heard = time.monotonic()
        if channel == _ERROR:
            self._error = (self._error + payload)[:_LONGEST_ERROR]
            self._far_done = True
        else:
            self._down += payload
