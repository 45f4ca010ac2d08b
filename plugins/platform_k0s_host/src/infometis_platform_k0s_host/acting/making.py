"""What each action of a plan does on its host; every one may be repeated after a crash."""

from __future__ import annotations

import base64
import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.acting.k0s import BINARY, K0s, Token, is_ready, scrubbed
from infometis_platform_k0s_host.acting.nodes import node_patch
from infometis_platform_k0s_host.connection import HostError
from infometis_platform_k0s_host.hosts.checks import private_address
from infometis_platform_k0s_host.hosts.marker import Marker
from infometis_platform_k0s_host.planning import hardening
from infometis_platform_k0s_host.planning.config import (
    CONFIG,
    TOKEN,
    cluster_config,
    config_text,
    digest,
    install_arguments,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infometis_platform_k0s_host.acting.binaries import Binaries
    from infometis_platform_k0s_host.acting.world import World
    from infometis_sdk.model.run import Run

__all__ = ("Making",)

_API = 300.0  # seconds: k0s itself gives etcd and the API server 2 to 2.5 minutes each
_NODE = 300.0
_TRUST = 20.0  # seconds: every API server hears of a new token a moment later
_UPLOAD = 1800.0  # seconds for 250 MB over a slow line
# The service goes on naming the file, which k0s reads only while it has no credentials yet.
_NOTE = b"# overwritten once the host had joined\n"
_PROBE = "/run/infometis-join"  # on a tmpfs, gone with the next boot at the latest

# Only the API server's own user may read them, where k0s has made that user.
# $1: folder of the audit log, then the files. Who is to read a file must pass its folder.
_SECURE = """
set -eu
log=$1
mkdir -p -- "$log"
chmod a+x /etc/k0s
for each; do
  if id kube-apiserver >/dev/null 2>&1; then chown kube-apiserver "$each"; fi
  chmod u=rX,go= "$each"
done
chmod 0700 "$log"
"""


class Making:
    """The actions; :meth:`of` finds them by the kind of an action.

    Args:
        world: the hosts.
        cluster: name of the cluster.
        uid: tells it from another one of that name.
        leader: the controller that speaks for the cluster.
        binaries: where the binary comes from.
        images: what tells the archive of images from another one.

    """

    def __init__(
        self, world: World, *, cluster: str, uid: str, leader: str, binaries: Binaries, images: str
    ) -> None:
        self._world = world
        self._settings = world.settings
        self._cluster = cluster
        self._uid = uid
        self._leader = leader
        self._binaries = binaries
        self._images = images

    def of(self, kind: str) -> Callable[[str, Run], None]:
        """Return what does an action of this kind."""
        known: Mapping[str, Callable[[str, Run], None]] = {
            "claim": self.claim,
            "binary": self.binary,
            "first controller": self.first_controller,
            "start": self.start,
            "change": self.change,
            "join controller": self.join,
            "join worker": self.join,
            "images": self.images,
            "node": self.node,
        }
        return known[kind]

    # ------------------------------------------------------------------ preparing

    def claim(self, name: str, run: Run) -> None:
        """Write our mark before anything else is touched, with what was there before."""
        world, host, facts = self._world, self._world.hosts[name], self._world.facts[name]
        before = (*facts.present, *(f"link:{link}" for link in facts.links))
        marker = Marker(
            cluster=self._cluster,
            uid=self._uid,
            role=host.role,
            address=private_address(host, facts),
            binary_ours=not facts.stamp,
            present=[each for each in before if not each.startswith("link:")],
            links=facts.links,
            data_dir=self._settings.data_dir,
        )
        world.mark(name, marker, run)

    def binary(self, name: str, run: Run) -> None:
        """Bring the verified binary, and see that it runs there."""
        self.upload(name, run, BINARY)
        self.note_binary(name, run)

    def upload(self, name: str, run: Run, target: str) -> None:
        """Write the verified binary to a path, and compare what arrived."""
        connection, facts = self._world.connections[name], self._world.facts[name]
        path = self._binaries.get(facts.arch, run)
        connection.put(path, target, run, mode="0755", timeout=_UPLOAD)

    def note_binary(self, name: str, run: Run) -> None:
        """Check the binary that is in place, and keep in our mark what it is."""
        script = f"stat -c %s:%Y:%i {BINARY} && sha256sum {BINARY}"
        done = self._world.connections[name].run(["sh", "-c", script], run)
        words = done.stdout.split()
        wanted = self._binaries.digest(self._world.facts[name].arch)
        if len(words) < 2 or (wanted and words[1] != wanted):  # noqa: PLR2004 - stamp and digest
            msg = f"{name}: {BINARY} is not what was sent: {done.tail(1)}"
            raise HostError(msg, host=name, hint="run the same command again; look at its disk")
        version = self._world.k0s(name).version(run)
        marker = self._world.marker(name)
        self._world.mark(name, marker.evolve(stamp=words[0], sha256=words[1], version=version), run)

    def images(self, name: str, run: Run) -> None:
        """Put the archive of images where k0s imports it from by itself."""
        path = Path(self._settings.images).expanduser()
        target = f"{self._settings.data_dir}/images/infometis-{self._images}.tar"
        self._world.connections[name].put(path, target, run, mode="0644", timeout=_UPLOAD)
        self._world.mark(name, self._world.marker(name).evolve(images=self._images), run)

    # ------------------------------------------------------------------ controllers and workers

    def first_controller(self, name: str, run: Run) -> None:
        """Begin the cluster."""
        facts, k0s = self._world.facts[name], self._world.k0s(name)
        if not facts.running:
            self._clear(name, run)
        self._configure(name, run)
        self._check_host(name, run)
        k0s.install(install_arguments(self._settings, self._world.hosts[name]), run)
        self._secure(name, run)
        since = 0.0 if facts.running else k0s.start(run)
        self._finish(name, run, since)

    def join(self, name: str, run: Run) -> None:
        """Let a host join: with a token that is valid for minutes and never on a command line."""
        k0s, host = self._world.k0s(name), self._world.hosts[name]
        leader = self._world.k0s(self._leader)
        if self._has_joined(name, run):
            self._world.connections[name].put(_NOTE, TOKEN, run)
            self._finish(name, run)
            return
        if host.controls:
            # An attempt that failed, or lost data: etcd waits for a member that never comes back.
            leader.etcd_leave(self._world.marker(name).address, run)
        self._clear(name, run)
        if host.controls:
            self._configure(name, run)
        self._check_host(name, run)
        token = leader.create_token("controller" if host.controls else "worker", run)
        try:
            if not host.controls:
                self._probe(name, token, run)
            connection = self._world.connections[name]
            connection.put(token.text.encode(), TOKEN, run)
            arguments = install_arguments(self._settings, host)
            k0s.install((*arguments, f"--token-file={TOKEN}"), run)
            if host.controls:
                self._secure(name, run)
            self._finish(name, run, k0s.start(run))
        finally:
            self._forget(name, leader, token, run)

    def start(self, name: str, run: Run) -> None:
        """Start k0s where it does not run; what a killed one left behind it takes over."""
        k0s, host = self._world.k0s(name), self._world.hosts[name]
        if not self._world.facts[name].units:
            words = install_arguments(self._settings, host)
            token = (f"--token-file={TOKEN}",) if name != self._leader else ()
            k0s.install((*words, *token), run)
        self._finish(name, run, k0s.start(run))

    def resume(self, name: str, run: Run) -> None:
        """Start a controller on data that is there already."""
        k0s, host = self._world.k0s(name), self._world.hosts[name]
        self._configure(name, run)
        k0s.install(install_arguments(self._settings, host), run)
        self._secure(name, run)
        self._finish(name, run, k0s.start(run))

    def change(self, name: str, run: Run) -> None:
        """Restart k0s with changed configuration or flags, which are baked into its service."""
        k0s, host = self._world.k0s(name), self._world.hosts[name]
        if host.controls:
            self._configure(name, run)
        k0s.stop(run)
        words = install_arguments(self._settings, host)
        has_token = self._world.read(name, TOKEN, run) is not None
        k0s.install((*words, f"--token-file={TOKEN}") if has_token else words, run)
        if host.controls:
            self._secure(name, run)
        self._finish(name, run, k0s.start(run))

    def _finish(self, name: str, run: Run, since: float = 0.0) -> None:
        """Wait until the host does its part after its start, and say so in our mark."""
        host, facts = self._world.hosts[name], self._world.facts[name]
        if host.controls:
            self._world.k0s(name).await_api(run, _API)
        if host.works:
            speaker = name if host.controls else self._leader
            try:
                self._world.k0s(speaker).await_node(facts.node, run, _NODE, since=since)
            except HostError as error:
                tail = self._world.k0s(name).journal(run)
                msg = f"{name}: {error.message.partition(': ')[2] or error.message}"
                shown = f"\nits journal ends with:\n{tail}" if tail else ""
                raise HostError(msg + shown, host=name, hint=error.hint) from error
        marker = self._world.marker(name).evolve(
            joined=True,
            role=host.role,
            arguments=install_arguments(self._settings, host),
            config=digest(self._config(name)) if host.controls else "",
        )
        self._world.mark(name, marker, run)

    # ------------------------------------------------------------------ parts of these

    def _config(self, name: str) -> str:
        host, facts = self._world.hosts[name], self._world.facts[name]
        return config_text(cluster_config(self._settings, host, private_address(host, facts)))

    def _configure(self, name: str, run: Run) -> None:
        """Write the configuration and what it names, and let k0s check it."""
        connection = self._world.connections[name]
        connection.put(self._config(name).encode(), CONFIG, run)
        if self._settings.hardening:
            files = {path: json.dumps(value) for path, value in hardening.files().items()}
            for path, text in files.items():
                connection.put(text.encode(), path, run)
            self._share_key(name, run)
        self._world.k0s(name).validate_config(run)

    def _share_key(self, name: str, run: Run) -> None:
        """Give the controller the key by which Secrets are encrypted at rest.

        It is made once and never again: without it all Secrets are lost.
        """
        if self._world.read(name, hardening.ENCRYPTION, run):
            return
        content = None
        if name != self._leader:
            content = self._world.read(self._leader, hardening.ENCRYPTION, run)
        content = content or _encryption_config()
        self._world.connections[name].put(content, hardening.ENCRYPTION, run)

    def _secure(self, name: str, run: Run) -> None:
        """Let the API server's own user, which exists by now, read and write its files."""
        if not self._settings.hardening:
            return
        log = hardening.AUDIT_LOG.rpartition("/")[0]
        words = ["sh", "-c", _SECURE, "sh", log, *hardening.files(), hardening.ENCRYPTION]
        done = self._world.connections[name].run(words, run)
        if not done.ok:
            msg = f"{name}: the files of the hardening cannot be secured: {done.tail(1)}"
            raise HostError(msg, host=name)

    def _check_host(self, name: str, run: Run) -> None:
        """Let k0s itself say whether the host will do, before anything is started."""
        host = self._world.hosts[name]
        if self._settings.cgroup_v1:
            return  # the operator took that upon him, and k0s would reject the host for it
        lacks = self._world.k0s(name).rejected(run, controller=host.controls, worker=host.works)
        if lacks:
            msg = f"{name}: k0s rejects the host: {'; '.join(lacks)}"
            raise HostError(msg, host=name, hint="`k0s sysinfo` there shows all it looked at")

    def _clear(self, name: str, run: Run) -> None:
        """Remove what an unfinished attempt of ours left behind; nothing of it is of use."""
        facts, k0s = self._world.look_at(name, run), self._world.k0s(name)
        if facts.pristine:
            return
        if facts.running or facts.units:
            k0s.stop(run)
        k0s.reset(run)

    def _probe(self, name: str, token: Token, run: Run) -> None:
        """See that the worker reaches the API with that token, before anything is installed."""
        connection, k0s = self._world.connections[name], self._world.k0s(name)
        connection.put(token.kubeconfig, _PROBE, run)
        words = ["get", "--raw=/version", "--request-timeout=15s"]
        end = time.monotonic() + _TRUST
        try:
            while True:
                done = k0s.kubectl(words, run, kubeconfig=_PROBE)
                if done.ok or time.monotonic() > end:
                    break
                run.sleep(1.0, f"{name} tries its token at {token.server}")
        finally:
            connection.run(["rm", "-f", _PROBE], run)
        if "Unauthorized" in done.stderr:
            msg = f"{name}: {token.server} does not accept a token made just now"
            hint = (
                "it expires after ten minutes: compare the clocks, and run the same command again"
            )
            raise HostError(msg, host=name, hint=hint)
        if not done.ok:
            msg = f"{name}: the host does not reach {token.server}: {scrubbed(done.tail(1))}"
            hint = "let the network and firewalls pass that port, or set `external_address`"
            raise HostError(msg, host=name, hint=hint)

    def _has_joined(self, name: str, run: Run) -> bool:
        """Whether an attempt that was cut short had come to its end after all."""
        facts, host = self._world.facts[name], self._world.hosts[name]
        if not facts.running or facts.marker is None or facts.marker.joined:
            return False
        leader = self._world.k0s(self._leader)
        if host.controls:
            members = leader.etcd_members(run).values()
            ready = self._world.k0s(name).kubectl(["get", "--raw=/readyz"], run).ok
            return ready and any(f"//{facts.marker.address}:" in url for url in members)
        return is_ready(leader.node(facts.node, run))

    def _forget(self, name: str, leader: K0s, token: Token, run: Run) -> None:
        """Make the token worthless and overwrite its file, which the service still names."""
        try:
            self._world.connections[name].put(_NOTE, TOKEN, run)
        finally:
            leader.invalidate_token(token, run)

    # ------------------------------------------------------------------ nodes

    def node(self, name: str, run: Run) -> None:
        """Give the node its labels and taints, and take back those that were dropped."""
        host, leader = self._world.hosts[name], self._world.k0s(self._leader)
        marker, node = self._world.marker(name), self._world.facts[name].node
        found = leader.node(node, run)
        if found is None:
            msg = f"{name}: there is no node {node}"
            raise HostError(msg, host=name)
        patch = node_patch(found, host.labels, host.taints, marker)
        words = ["patch", "node", node, "--type=merge", f"--patch={json.dumps(patch)}"]
        done = leader.kubectl(words, run)
        if not done.ok:
            msg = f"{name}: labels and taints of {node} cannot be set: {done.tail(1)}"
            raise HostError(msg, host=name)
        labels = sorted(f"{key}={value}" for key, value in host.labels.items())
        self._world.mark(name, marker.evolve(labels=labels, taints=sorted(host.taints)), run)


def _encryption_config() -> bytes:
    """Return the configuration with a new key of the 32 bytes that secretbox asks for."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    provider = {"secretbox": {"keys": [{"name": "infometis-1", "secret": key}]}}
    config = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [provider, {"identity": {}}]}],
    }
    return json.dumps(config).encode()
