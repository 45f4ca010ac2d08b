"""The few requests that the platform itself makes to its API server.

Standard library only: the provisioner imports this, and starts in milliseconds because of it.
"""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ("Api", "ApiError", "is_ready")

_JSON = "application/json"
_NOT_FOUND, _CONFLICT = 404, 409
_ERROR = 400


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, method: str, path: str, message: str) -> None:
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status

    @property
    def not_found(self) -> bool:
        """Whether there is no such object."""
        return self.status == _NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Whether the object is there already, or has moved."""
        return self.status == _CONFLICT


class Api:
    """A connection to one API server with a client certificate; not for several threads."""

    def __init__(self, *, port: int, pki: Path, user: str, timeout: float = 10.0) -> None:
        self._port = port
        self._timeout = timeout
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")
        self._connection: http.client.HTTPSConnection | None = None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str) -> dict[str, Any]:
        """Return the object at a path."""
        return self._request("GET", path)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object in a collection."""
        return self._request("POST", path, body)

    def delete(self, path: str) -> None:
        """Delete the object at a path; nothing happens if there is none."""
        try:
            self._request("DELETE", path)
        except ApiError as error:
            if not error.not_found:
                raise

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into the object at a path."""
        return self._request("PATCH", path, body, content="application/merge-patch+json")

    def apply(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make the object at a path have these fields, by server-side apply."""
        query = "?fieldManager=infometis-platform-embedded&force=true"
        return self._request("PATCH", path + query, body, content="application/apply-patch+yaml")

    def watch(self, path: str, version: str, seconds: int) -> Iterator[dict[str, Any]]:
        """Yield the events of a collection until the server ends the watch."""
        connection = self._connect(seconds + self._timeout)
        query = f"?watch=1&resourceVersion={version}&timeoutSeconds={seconds}"
        try:
            connection.request("GET", path + query)
            answer = connection.getresponse()
            if answer.status >= _ERROR:
                raise ApiError(answer.status, "WATCH", path, answer.read().decode())
            for line in answer:
                yield json.loads(line)
        finally:
            connection.close()

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=timeout, context=self._tls
        )

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content: str = _JSON
    ) -> dict[str, Any]:
        reused = self._connection is not None
        try:
            return self._send(method, path, body, content)
        except (http.client.HTTPException, OSError):
            self.close()
            if not reused:
                raise
        # the server closed the idle connection, or restarted: once more on a fresh one
        try:
            return self._send(method, path, body, content)
        except (http.client.HTTPException, OSError):
            self.close()
            raise

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, content: str
    ) -> dict[str, Any]:
        if self._connection is None:
            self._connection = self._connect(self._timeout)
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": _JSON} | ({} if body is None else {"Content-Type": content})
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        raw = answer.read()
        try:
            value = json.loads(raw)
        except ValueError:
            value = {"message": raw.decode(errors="replace").strip()}
        if answer.status >= _ERROR:
            raise ApiError(answer.status, method, path, str(value.get("message", "")))
        return value if isinstance(value, dict) else {}


def is_ready(port: int, authority: Path, timeout: float = 0.5) -> bool:
    """Whether the API server on that port answers ``/readyz`` with ok, by its own certificate."""
    try:
        tls = ssl.create_default_context(cafile=str(authority))
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=tls)
    except (OSError, ValueError):
        return False
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status == http.client.OK and answer.read() == b"ok"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
