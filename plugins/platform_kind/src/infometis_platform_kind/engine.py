"""What the container engine tells of a kind cluster's nodes, and the little that it is told.

kind itself drives the engine by its command line; so do we, with the same program.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_platform_kind.troubles import explained
from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_platform_kind.settings import Kind
    from infometis_sdk.machine import Command, Done
    from infometis_sdk.model.run import Run

__all__ = ("CLUSTER_LABEL", "Engine", "Node", "provider_of")

_TRIES = 5
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
_ROLE_LABEL = "io.x-k8s.kind.role"


def provider_of(settings: Kind) -> str:
    """Return the name of the container engine's program."""
    return settings.provider or os.environ.get("KIND_EXPERIMENTAL_PROVIDER") or "docker"


@frozen(kw_only=True)
class Node:
    """A container that is a node of a kind cluster.

    Attributes:
        name: of the container, and of the node in Kubernetes.
        id: of the container.
        role: ``control-plane``, ``worker`` or ``external-load-balancer``.
        state: the engine's word, such as ``running`` or ``exited``.
        started: when it was last started, as the engine writes it.
        addresses: its IP addresses by name of the network; empty strings while it is down.
        image: what it was made of.
        ports: TCP ports of this machine that lead to it while it runs.

    """

    name: str
    id: str
    role: str
    state: str
    started: str = ""
    exit_code: int = 0
    image: str = ""
    addresses: Mapping[str, str] = field(factory=dict)
    ports: tuple[int, ...] = ()

    @property
    def joins(self) -> bool:
        """Whether it is a node of Kubernetes too; a load balancer of kind is none."""
        return self.role in ("control-plane", "worker")

    @property
    def running(self) -> bool:
        """Whether its processes run."""
        return self.state == "running"


class Engine:
    """The container engine of this machine.

    Args:
        program: ``docker``, or another one that takes the same arguments.
        command: how programs are run.

    """

    def __init__(self, program: str, command: Command) -> None:
        self.program = program
        self._command = command

    def info(self, run: Run) -> Mapping[str, Any]:
        """Return what the engine says of itself.

        Raises:
            PlatformError: it is not there, does not run, or does not let us in.

        """
        done = self.ask(run, "info", "--format", "{{json .}}")
        found: Mapping[str, Any] = json.loads(done.stdout or "{}")
        # The docker program ends well though its daemon does not answer, and says so in here.
        for trouble in found.get("ServerErrors") or ():
            msg = f"{self.program} does not answer"
            raise explained(msg, str(trouble), self.program)
        return found

    def nodes(self, cluster: str, run: Run) -> tuple[Node, ...]:
        """Return the nodes of a cluster by name, running or not."""
        ids = self.ask(
            run,
            *("ps", "--all", "--quiet", "--no-trunc"),
            *("--filter", f"label={CLUSTER_LABEL}={cluster}"),
        ).stdout.split()
        if not ids:
            return ()
        found = json.loads(self.ask(run, "inspect", "--type", "container", *ids).stdout)
        return tuple(sorted(map(_node, found), key=lambda node: node.name))

    def clusters(self, run: Run) -> tuple[str, ...]:
        """Return the names of all kind clusters of this engine."""
        label = '{{.Label "' + CLUSTER_LABEL + '"}}'
        filters = ("--filter", f"label={CLUSTER_LABEL}", "--format", label)
        return tuple(sorted(set(self.ask(run, "ps", "--all", *filters).stdout.split())))

    def has_network(self, name: str, run: Run) -> bool:
        """Whether there is a network of that name."""
        done = self.ask(run, "network", "ls", "--format", "{{.Name}}")
        return name in done.stdout.split()

    def remove_unused_network(self, name: str, run: Run) -> None:
        """Remove a network, unless a container, running or not, still wants it."""
        users = self.ask(run, "ps", "--all", "--quiet", "--filter", f"network={name}").stdout
        if not users.split() and self.has_network(name, run):
            self.ask(run, "network", "rm", name)

    def start(self, names: Sequence[str], run: Run) -> None:
        """Start containers, one after the other, so that they get their addresses in this order."""
        for name in names:
            self.ask(run, "start", name)

    def stop(self, names: Sequence[str], run: Run) -> None:
        """Stop containers."""
        self.ask(run, "stop", *names)

    def inside(self, node: str, run: Run, *argv: str, stdin: Path | None = None) -> Done:
        """Run a program in a node and return how it ended."""
        flags = ("exec", "--interactive") if stdin is not None else ("exec",)
        return self._command(
            (self.program, *flags, node, *argv), run, stdin=b"" if stdin is None else stdin
        )

    def printed(self, node: str, run: Run, *argv: str) -> str:
        """Return what a program in a node prints, which is never nothing where all is well.

        Docker at times loses all that a short-lived program printed, and says that it ended well:
        https://github.com/docker/docker-py/issues/2042.
        """
        for _ in range(_TRIES):
            done = self.inside(node, run, *argv)
            if done.stdout.strip() or not done.ok:
                break
        return done.stdout

    def ask(self, run: Run, *argv: str) -> Done:
        """Run the engine's program.

        Raises:
            PlatformError: it failed; the message says what it said, and the hint what to do.

        """
        done = self._command((self.program, *argv), run)
        if not done.ok:
            what = f"{self.program} {' '.join(argv[:2] if argv[0] == 'network' else argv[:1])}"
            msg = f"{what} failed"
            raise explained(msg, done.tail(), self.program)
        return done

    def log_tail(self, node: str, run: Run, lines: int = 10) -> str:
        """Return the last lines that a node printed, for a message; empty if not to be had."""
        try:
            done = self._command((self.program, "logs", "--tail", str(lines), node), run)
        except PlatformError:
            return ""
        return (done.stdout + done.stderr).strip()


def _node(found: Mapping[str, Any]) -> Node:
    labels, state = found["Config"].get("Labels") or {}, found["State"]
    networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
    bindings = (found.get("HostConfig") or {}).get("PortBindings") or {}
    return Node(
        name=str(found["Name"]).lstrip("/"),
        id=str(found["Id"]),
        role=str(labels.get(_ROLE_LABEL, "")),
        state=str(state.get("Status", "")),
        started=str(state.get("StartedAt", "")),
        exit_code=int(state.get("ExitCode") or 0),
        image=str(found["Config"].get("Image", "")),
        addresses={name: str(each.get("IPAddress") or "") for name, each in networks.items()},
        ports=tuple(
            int(each["HostPort"])
            for inside, outside in bindings.items()
            for each in outside or ()
            if inside.endswith("/tcp") and each.get("HostPort")
        ),
    )
