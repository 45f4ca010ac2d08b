"""The nodes of a cluster: made, joined, started, and taken away."""

from __future__ import annotations

import base64
import gzip
import ipaddress
import re
from typing import TYPE_CHECKING

import attrs

from infometis_platform_k0s_docker.kubeconfig import rewritten
from infometis_platform_k0s_docker.ready import joined, wait_ready
from infometis_platform_k0s_docker.shape import (
    DATA,
    LABEL,
    TOKEN,
    NodeShape,
    labels,
    network_name,
    volume_names,
)
from infometis_platform_k0s_docker.troubles import explained
from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import moment, write_private
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from infometis_platform_k0s_docker.engine import Engine, Found
    from infometis_platform_k0s_docker.plan import Plan
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.platform import Access

__all__ = ("Nodes",)

_PAUSE = 0.2
_TRIES = 5
_CURES = {
    "pre-flight checks failed": (
        "k0s needs cgroup v2; `ignore_preflight: [cgroup]` has it do with v1 while kubelet can"
    ),
    "no space left on device": "make room on the disk of Docker: see 'docker system df'",
    "Invalid value": "mend `config`: k0s does not accept it",
    "failed to parse configuration": "mend `config`: k0s does not know a key of it",
    "exec format error": "the image is for another architecture: name one that has this machine's",
}
_JOINING = "30m"  # life of a token; it is invalidated as soon as the node has joined


class Nodes:
    """The nodes of one cluster in Docker.

    Args:
        engine: Docker.
        plan: what they were made by.
        listen: address of this machine on which ports listen.
        run: deadline, events, cancel token.

    """

    def __init__(self, engine: Engine, plan: Plan, listen: str, run: Run) -> None:
        self._engine = engine
        self._plan = plan
        self._listen = listen
        self._run = run
        self._marks = labels(plan)

    def found(self) -> dict[str, Found]:
        """Return the containers of this cluster by name."""
        containers = self._engine.containers(cluster=self._plan.id)
        return {each.name: each for each in containers if each.labels[LABEL + "node"] != "once"}

    def network(self, ranges: Sequence[str]) -> Plan:
        """Make the network unless it is there; return the plan with its subnet.

        Args:
            ranges: of pods and services, which it may not overlap.

        """
        name = network_name(self._plan.cluster)
        ours = [
            each
            for each in self._engine.networks(name)
            if (each.get("Labels") or {}).get(LABEL + "id") == self._plan.id
        ]
        # Docker allows one name to several networks, and gives a container any of them.
        for each in self._engine.networks(name):
            if each not in ours:
                msg = f"there is a network {name!r} already, which this cluster did not make"
                raise PlatformError(msg, hint=f"remove it with 'docker network rm {name}'")
        for each in ours:
            pools = (each.get("IPAM") or {}).get("Config") or ()
            if self._plan.subnet and any(pool.get("Subnet") == self._plan.subnet for pool in pools):
                return self._plan
            self._engine.remove_network(each["Id"])
        self._tell("make network", name)
        subnet = self._engine.make_network(name, self._marks, self._plan.subnet)
        for taken in ranges:
            if ipaddress.ip_network(subnet).overlaps(ipaddress.ip_network(taken)):
                self._engine.remove_network(name)
                msg = f"Docker chose {subnet} for the nodes, where pods or services are: {taken}"
                raise PlatformError(msg, hint="name a free subnet with `network`")
        return attrs.evolve(self._plan, subnet=subnet)

    def make(self, shape: NodeShape) -> None:
        """Make the container of a node as it shall be; nothing starts.

        One that is there by another shape, or from another image, is made anew around its volumes.
        """
        found = self.found().get(shape.name)
        if found is not None:
            if (found.spec, found.image) == (shape.spec, self._plan.image):
                return
            self._tell("make node", shape.name, "its settings changed: made anew around its data")
            self._engine.stop(found.id)
            self._engine.remove(found.id)
        else:
            self._check_free(shape.name)
            self._tell("make node", shape.name)
        for name in shape.volumes:
            self._engine.make_volume(name, self._marks)
        network = network_name(self._plan.cluster)
        self._engine.create(shape, self._plan.image, network, self._listen, self._marks)

    def start(self, shape: NodeShape) -> None:
        """Start a node unless it runs."""
        found = self.found().get(shape.name)
        if found is None or found.running:
            return
        if found.state in ("paused", "restarting"):
            self._engine.stop(found.id)
        self._tell("start node", shape.name)
        self._engine.start(found.id)

    def join(self, shape: NodeShape, controller: str, access: Access) -> None:
        """Bring in a worker, if it is not of this cluster yet.

        Its token lives in a file that only root can read, and dies when the node is in.
        k0s reads it only as long as kubelet has no credentials.
        """
        if self._engine.has(shape.name, f"{DATA}/kubelet.conf"):
            self.start(shape)
            return
        self._tell("join node", shape.name)
        self._engine.stop(shape.name)
        words = ("token", "create", "--role", "worker", "--expiry", _JOINING)
        token = self.printed(controller, *words)
        try:
            self._engine.put(shape.name, {TOKEN: token.encode()})
            self.start(shape)
            while shape.name not in joined(access, self._run):
                self.check()
                self._run.sleep(_PAUSE, f"waiting for node {shape.name} to join")
            self._engine.run_in(shape.name, ["rm", "-f", f"/{TOKEN}"], self._run)
        finally:
            self.k0s(controller, "token", "invalidate", _token_id(token))

    def stop(self) -> None:
        """Stop all nodes, workers first: a node that ends tells the API so."""
        for each in sorted(self.found().values(), key=_number, reverse=True):
            self._run.check(f"stopping {each.name}")
            self._engine.stop(each.id)

    def leave(self, name: str, controller: str) -> None:
        """Take a worker away: its pods move first, and its volumes go with it."""
        self._tell("remove node", name)
        kubectl = ("kubectl", "--kubeconfig", f"{DATA}/pki/admin.conf")
        drain = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s")
        self._engine.run_in(controller, ["k0s", *kubectl, "drain", name, *drain], self._run, 90)
        self._engine.run_in(controller, ["k0s", *kubectl, "delete", "node", name], self._run)
        self.remove(name)

    def remove(self, name: str) -> None:
        """Remove the container of a node, and its volumes."""
        self._engine.remove(name)
        number = int(name.rpartition("-")[2])
        for volume in volume_names(self._plan, number):
            if volume in self._engine.volumes(self._plan.id):
                self._engine.remove_volume(volume)

    def k0s(self, name: str, *words: str, seconds: float = 120) -> str:
        """Run a verb of k0s on a node and return what it printed.

        Raises:
            PlatformError: it did not end well.

        """
        done = self._engine.run_in(name, ["k0s", *words], self._run, seconds)
        if done.code:
            msg = f"k0s {words[0]} on {name} ended with code {done.code}"
            raise explained(msg, done.said)
        return done.stdout

    def printed(self, name: str, *words: str) -> str:
        """Run a verb of k0s that always prints something, until it has printed it.

        Docker at times loses all that a short-lived program printed, and says that it ended well:
        https://github.com/docker/docker-py/issues/2042.
        A token that was lost so is known to nobody, and dies by itself.

        Raises:
            PlatformError: it did not end well, or printed nothing again and again.

        """
        for _ in range(_TRIES):
            if text := self.k0s(name, *words).strip():
                return text
        msg = f"k0s {words[0]} on {name} printed nothing"
        raise PlatformError(msg, hint="run this again; Docker lost what it said")

    def kubeconfig(self, name: str, server: str, path: Path) -> None:
        """Have the first node print its kubeconfig, and write ours; wait until it can."""
        said = ""
        while True:
            self.check()
            done = self._engine.run_in(name, ["k0s", "kubeconfig", "admin"], self._run)
            if not done.code and done.stdout.strip():
                break
            if done.said != said:
                said = done.said
                self._tell("wait", self._plan.cluster, said.splitlines()[0] if said else "")
            self._run.sleep(_PAUSE, f"waiting for the kubeconfig of {self._plan.cluster!r}")
        text = rewritten(done.stdout, self._plan.cluster, server)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_private(path, text)

    def check(self) -> None:
        """Refuse to wait for a node that has ended.

        Raises:
            PlatformError: with the end of its log.

        """
        for each in self.found().values():
            if each.state in ("exited", "dead"):
                msg = f"node {each.name} {self._engine.ending(each.id)}"
                raise PlatformError(msg, hint=_cure(msg))

    def started(self, names: Sequence[str]) -> dict[str, float]:
        """Return when each node was started, in seconds since 1970."""
        return {
            name: moment(str(self._engine.state_of(name).get("StartedAt", ""))) for name in names
        }

    def wait(self, access: Access, names: Sequence[str]) -> None:
        """Wait until the API answers and the nodes are ready."""

        def started() -> Mapping[str, float]:
            self.check()
            return self.started(names)

        wait_ready(access, started, self._plan.cluster, self._run)

    def _check_free(self, name: str) -> None:
        for each in self._engine.containers(name=name):
            made = "another installation or user of infometis" if each.owner else "somebody else"
            msg = f"there is a container {name!r} already, which {made} made"
            hint = f"name the cluster with `cluster:`, or look at it with 'docker inspect {name}'"
            raise PlatformError(msg, hint=hint)

    def _tell(self, name: str, subject: str, detail: str = "") -> None:
        self._run.emit(Event(name=name, subject=subject, state="progress", detail=detail))


def _number(found: Found) -> int:
    return int(found.labels[LABEL + "node"])


def _token_id(token: str) -> str:
    """Return the part of a join token that is no secret, by which it is invalidated."""
    text = gzip.decompress(base64.b64decode(token)).decode()
    match = re.search(r"token: ([a-z0-9]{6})\.", text)
    return match[1] if match else ""


def _cure(said: str) -> str:
    for words, cure in _CURES.items():
        if words in said:
            return cure
    return "run this again; 'infometis doctor' looks at cgroup, inotify and disk"
