"""Traefik's own API, asked through the cluster: it listens for nobody outside of its pod."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

from infometis_border_traefik.proving.loaded import Loaded
from infometis_sdk.errors import InfometisError

if TYPE_CHECKING:
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.pods import PodStreams

__all__ = ("ApiError", "ask_loaded")

_PATIENCE = 15.0
_PAGE = 1000


class ApiError(Exception):
    """Traefik's API cannot be asked; its text says why."""


def ask_loaded(streams: PodStreams, pod: ObjectRef, port: int, run: Run) -> Loaded:
    """Ask a pod of Traefik what it loaded.

    Raises:
        ApiError: it cannot be asked.

    """

    def everything(path: str) -> tuple[Any, ...]:
        found: list[Any] = []
        page = 1
        while page:
            headers, body = _get(streams, pod, port, f"{path}?per_page={_PAGE}&page={page}", run)
            found += body
            # The last page names the first as the next one.
            following = int(headers.get("x-next-page") or 1)
            page = following if following > page else 0
        return tuple(found)

    _, version = _get(streams, pod, port, "/api/version", run)
    return Loaded(
        version=str(version.get("Version", "")),
        routers={each: everything(f"/api/{each}/routers") for each in ("http", "tcp")},
        middlewares={each: everything(f"/api/{each}/middlewares") for each in ("http", "tcp")},
    )


def _get(
    streams: PodStreams, pod: ObjectRef, port: int, path: str, run: Run
) -> tuple[dict[str, str], Any]:
    near, far = socket.socketpair()
    said: list[str] = []

    def carry() -> None:
        try:
            said.append(streams.carry(pod, port, far, run))
        except InfometisError as error:
            said.append(str(error))
        finally:
            far.close()

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    client = http.client.HTTPConnection("localhost")
    client.sock = near
    near.settimeout(run.remaining(_PATIENCE))
    try:
        client.request("GET", path, headers={"Host": "localhost", "Connection": "close"})
        answer = client.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ApiError(next(filter(None, said), "") or str(error) or "no answer") from error
    finally:
        client.close()
        near.close()
        thread.join(1)
    if answer.status != 200:  # noqa: PLR2004 - HTTP OK
        msg = f"{path} gives {answer.status}"
        raise ApiError(msg)
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return headers, json.loads(body)
