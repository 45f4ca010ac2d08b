"""What Docker says when something is wrong, and the cure.

The words are those of Docker 20 to 29.
"""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("explained", "explaining", "redacted")

_START = "start Docker: sudo systemctl start docker, or Docker Desktop"
_ERRNO: dict[int, tuple[str, str]] = {
    errno.ENOENT: (
        "Docker is not here: it has no socket at {host}",
        (
            "install Docker 20.10 or later and start it; where it listens elsewhere, set `host`, "
            "DOCKER_HOST or the context of the docker program"
        ),
    ),
    errno.ECONNREFUSED: ("Docker does not run: nobody answers at {host}", _START),
    errno.EACCES: (
        "Docker does not let this user in at {host}",
        "let this user use Docker: sudo usermod -aG docker $USER, then log in again",
    ),
    errno.EPERM: (
        "Docker does not let this user in at {host}",
        "let this user use Docker: sudo usermod -aG docker $USER, then log in again",
    ),
}
_CURES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (r"client version \S+ is too (old|new)", r"[Mm]inimum supported API version"),
        "upgrade Docker: this platform needs 20.10 or later",
    ),
    (
        (r"no space left on device", r"disk quota exceeded"),
        "make room on the disk of Docker: 'docker system df' shows what takes it",
    ),
    (
        (r"no matching manifest for", r"exec format error", r"no match for platform"),
        "the image is for another architecture: name one that has this machine's",
    ),
    (
        (r"manifest unknown", r"manifest for \S+ not found", r"not found: manifest"),
        "there is no such version: look at k0s' releases and mend `version`",
    ),
    (
        (r"pull access denied", r"unauthorized", r"authentication required", r"denied: "),
        "log in to the registry with 'docker login', or mend `image`",
    ),
    (
        (
            r"[Nn]o such host",
            r"server misbehaving",
            r"i/o timeout",
            r"TLS handshake timeout",
            r"network is unreachable",
            r"connection refused",
            r"Client\.Timeout",
            r"x509:",
        ),
        (
            "let Docker reach the registry, through a proxy in its own settings if need be; "
            "or bring the image by 'docker save' there and 'docker load' here"
        ),
    ),
    (
        (r"port is already allocated", r"address already in use", r"ports are not available"),
        "end what listens there ('infometis doctor' names it), or choose other `ports`",
    ),
    (
        (r"[Pp]ool overlaps with other one", r"could not find an available.*address pool"),
        "a VPN or another network holds these addresses: name a free subnet with `network`",
    ),
    (
        (r"error adding pid \d+ to cgroups", r"cgroup"),
        "use cgroup v2 alone; 'infometis doctor' says how",
    ),
    (
        (r"capset", r"apply caps", r"operation not permitted"),
        "this Docker may not grant privileges itself: it runs inside a container, or without root",
    ),
    (
        (r"too many open files", r"inotify"),
        "sudo sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288",
    ),
)


def explained(message: str, said: str) -> PlatformError:
    """Return the error for what Docker said, with the cure where it is known.

    Example:
        >>> explained("it failed", "write /x: no space left on device").hint[:9]
        'make room'

    """
    said = redacted(" ".join(said.split()))
    for patterns, cure in _CURES:
        if any(re.search(pattern, said) for pattern in patterns):
            return PlatformError(f"{message}: {said}", hint=cure)
    hint = "the words are Docker's own; 'infometis doctor' may know more"
    return PlatformError(f"{message}: {said or 'it said nothing'}", hint=hint)


def redacted(said: str) -> str:
    """Take passwords out of addresses, which programs like to repeat.

    Example:
        >>> redacted("proxy http://me:secret@proxy:3128 failed")
        'proxy http://…@proxy:3128 failed'

    """
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1…@", said)


@contextmanager
def explaining(message: str, host: str = "") -> Iterator[None]:
    """Turn what the docker SDK raises into an error of ours; ``message`` names what failed.

    Raises:
        PlatformError: Docker is not there, or refuses.

    """
    import docker
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        if isinstance(error, docker.errors.APIError):  # Docker answered, and refuses
            raise explained(message, str(error.explanation or error)) from error
        number = _number(error)
        if number in _ERRNO:
            text, cure = _ERRNO[number]
            raise PlatformError(text.format(host=redacted(host)), hint=cure) from error
        if isinstance(error, requests.Timeout) or "timed out" in str(error):
            text = f"Docker does not answer in time at {redacted(host)}"
            raise PlatformError(text, hint="it may be busy or hang: look at its log") from error
        if isinstance(error, (requests.ConnectionError, OSError)):
            text = f"{message}: the connection to Docker broke"
            hint = "if Docker was started anew, run this again to go on from here"
            raise PlatformError(text, hint=hint) from error
        raise explained(message, str(error)) from error


def _number(error: BaseException) -> int:
    """Find the error number at the bottom of what the SDK, requests and urllib3 wrap."""
    seen: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.append(each)
        if isinstance(each, OSError) and each.errno in _ERRNO:
            return int(each.errno or 0)
        waiting += [
            found
            for found in (*each.args, each.__cause__, each.__context__)
            if isinstance(found, BaseException)
        ]
        reason = getattr(each, "reason", None)
        if isinstance(reason, BaseException):
            waiting.append(reason)
    return 0
