"""What kind 0.33 and Docker said, replayed at the one seam where the plugin runs programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infometis_platform_kind import Kind
from infometis_platform_kind.platform import KindPlatform
from infometis_sdk.errors import MissingPartError
from infometis_sdk.machine import Done, Machine
from infometis_sdk.ports.platform import PlatformContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infometis_sdk.model.run import Run

__all__ = ("INFO", "Replay", "container", "failed", "platform", "said")

INFO = {
    "ServerVersion": "29.1.0",
    "CgroupVersion": "2",
    "Driver": "overlayfs",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "DockerRootDir": "/nowhere/var/lib/docker",
    "MemoryLimit": True,
    "PidsLimit": True,
}

VERSION = "kind v0.33.0 go1.26.8 linux/amd64\n"


def said(stdout: str = "", stderr: str = "") -> Done:
    """Return the end of a program that went well."""
    return Done(argv=(), stdout=stdout, stderr=stderr)


def failed(stderr: str, code: int = 1) -> Done:
    """Return the end of a program that did not."""
    return Done(argv=(), code=code, stderr=stderr)


def container(
    name: str,
    *,
    state: str = "running",
    address: str = "172.18.0.2",
    ident: str = "",
    role: str = "",
) -> dict[str, Any]:
    """Return what ``docker inspect`` tells of a node."""
    return {
        "Id": ident or f"id-of-{name}",
        "Name": f"/{name}",
        "State": {"Status": state, "ExitCode": 0, "StartedAt": "2026-11-24T03:00:00Z"},
        "Config": {
            "Image": "kindest/node",
            "Labels": {
                "io.x-k8s.kind.cluster": "demo",
                "io.x-k8s.kind.role": role or ("worker" if "worker" in name else "control-plane"),
            },
        },
        "NetworkSettings": {"Networks": {"kind": {"IPAddress": address}}},
    }


class Replay:
    """Answers each program as it did when it was recorded; what nobody recorded is an error.

    Attributes:
        answers: first words of a command to its end, or to several, the last of which stays.
        asked: every command, in order.
        fed: what the commands read.

    """

    def __init__(self, answers: Mapping[str, Done | Sequence[Done]] | None = None) -> None:
        self.answers: dict[str, list[Done]] = {
            "docker info": [said(json.dumps(INFO))],
            "docker version": [said("1.52\n")],
            "docker ps": [said()],
            "docker network ls": [said("bridge\nhost\nnone\n")],
            "kind version": [said(VERSION)],
        }
        for words, ends in (answers or {}).items():
            self.answers[words] = [ends] if isinstance(ends, Done) else list(ends)
        self.asked: list[str] = []
        self.fed: list[bytes] = []

    def nodes(self, *containers: Mapping[str, Any]) -> None:
        """Let the engine know these containers."""
        ids = "".join(f"{each['Id']}\n" for each in containers)
        self.answers["docker ps"] = [said(ids)]
        self.answers["docker inspect"] = [said(json.dumps(containers))]

    def __call__(self, argv: Sequence[str], run: Run, **options: Any) -> Done:
        """Answer a command; see :class:`Command`."""
        run.check(f"running {argv[0]}")
        command = " ".join((Path(argv[0]).name, *argv[1:]))
        self.asked.append(command)
        stdin = options.get("stdin", b"")
        self.fed.append(stdin if isinstance(stdin, bytes) else stdin.read_bytes())
        for words in sorted(self.answers, key=len, reverse=True):
            if command.startswith(words):
                ends = self.answers[words]
                done = ends.pop(0) if len(ends) > 1 else ends[0]
                if done.code == 127:
                    msg = f"{argv[0]} cannot be run: No such file or directory"
                    raise MissingPartError(msg, hint=f"install {argv[0]}")
                for line in done.stderr.splitlines():
                    if "line" in options:
                        options["line"](line)
                return done
        raise AssertionError(command)

    def ran(self, words: str) -> list[str]:
        """Return the commands that begin like this."""
        return [command for command in self.asked if command.startswith(words)]


def platform(folder: Path, replay: Replay, **settings: Any) -> KindPlatform:
    """Make a platform of a cluster ``demo`` whose programs are replayed."""
    context = PlatformContext(
        cluster="demo", state_dir=folder / "state", cache_dir=folder / "cache"
    )
    defaults: dict[str, Any] = {"ports": (), "binary": "/usr/bin/kind"}
    return KindPlatform(Kind(**defaults | settings), context, replay, Machine(root=folder / "root"))
