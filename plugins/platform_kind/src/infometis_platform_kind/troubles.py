"""What kind and container engines say when something is wrong, and the cure.

The words are those of kind 0.33 and Docker 20 to 29;
most cures are those of https://kind.sigs.k8s.io/docs/user/known-issues/
"""

from __future__ import annotations

import re

from infometis_sdk.errors import PlatformError

__all__ = ("explained", "redacted")

_CURES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            r"permission denied while trying to connect",
            r"dial unix \S+: connect: permission denied",
        ),
        "let this user use the engine: sudo usermod -aG docker $USER, then log in again",
    ),
    (
        (
            r"Cannot connect to the Docker daemon",
            r"Is the docker daemon running",
            r"failed to connect to the docker API",
            r"dial unix \S+: connect: (no such file|connection)",
        ),
        "start {program}: sudo systemctl start {program}, or Docker Desktop",
    ),
    (
        (r"client version \S+ is too (old|new)", r"Minimum supported API version"),
        "upgrade {program}: kind needs Docker 20.10 or later on both sides",
    ),
    (
        (
            r"[Nn]o such host",
            r"server misbehaving",
            r"i/o timeout",
            r"TLS handshake timeout",
            r"network is unreachable",
            r"failed to pull image",
            r"Unable to find image",
        ),
        (
            "let this machine reach the registry, or bring the image by 'docker save' and "
            "'docker load'; the setting `image` names another one"
        ),
    ),
    (
        (r"port is already allocated", r"address already in use", r"ports are not available"),
        "end what listens there ('infometis doctor' names it), or choose other `ports`",
    ),
    (
        (r"node\(s\) already exist for a cluster with the name",),
        "choose another cluster name, or use that cluster with `adopt`",
    ),
    (
        (r"no space left on device", r"disk quota exceeded"),
        "make room on the engine's disk: 'docker system df' shows what takes it",
    ),
    (
        (
            r"exec format error",
            r"does not match the (detected host )?platform",
            r"no matching manifest for",
        ),
        "the image is for another architecture: name one for this machine with `image`",
    ),
    (
        (r"too many open files", r"inotify"),
        "sudo sysctl -w fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288",
    ),
    (
        (r"error adding pid \d+ to cgroups", r"cgroup"),
        (
            "use cgroup v2 alone; under WSL put 'kernelCommandLine = cgroup_no_v1=all' "
            "below [wsl2] in .wslconfig"
        ),
    ),
    (
        (r"could not find a log line that matches",),
        "the node's systemd did not start: 'infometis doctor' looks at cgroup, inotify and disk",
    ),
    (
        (r"Pool overlaps with other one", r"could not find an available.*address pool"),
        (
            "a VPN or another network holds these addresses: end it, or set "
            "'default-address-pools' of the engine"
        ),
    ),
)


def explained(message: str, said: str, program: str = "docker") -> PlatformError:
    """Return the error for what a program said, with the cure where it is known.

    Example:
        >>> explained("it failed", "write /x: no space left on device").hint[:9]
        'make room'

    """
    said = redacted(" ".join(said.split()))
    for patterns, cure in _CURES:
        if any(re.search(pattern, said) for pattern in patterns):
            return PlatformError(f"{message}: {said}", hint=cure.format(program=program))
    hint = "the words are the program's own; 'infometis doctor' may know more"
    return PlatformError(f"{message}: {said or 'it said nothing'}", hint=hint)


def redacted(said: str) -> str:
    """Take passwords out of proxy addresses, which programs like to repeat.

    Example:
        >>> redacted("proxy http://me:secret@proxy:3128 failed")
        'proxy http://…@proxy:3128 failed'

    """
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1…@", said)
