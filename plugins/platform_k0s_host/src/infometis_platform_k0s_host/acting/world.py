"""The hosts of one cluster while a verb works on them: connections, facts and marks."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.acting.k0s import K0s
from infometis_platform_k0s_host.acting.together import HostsError, Outcome, together
from infometis_platform_k0s_host.connection import PATIENCE, Connection, HostError, connect
from infometis_platform_k0s_host.hosts.facts import Facts, parse_facts
from infometis_platform_k0s_host.hosts.marker import MARKER, Marker
from infometis_platform_k0s_host.planning.config import unit_of
from infometis_platform_k0s_host.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from infometis_platform_k0s_host.settings import Host, K0sHost
    from infometis_sdk.model.run import Run

__all__ = ("World",)


class World:
    """The hosts; ``facts`` and ``failures`` are those of the last :meth:`look`.

    Args:
        settings: of the cluster.
        sockets: folder for shared connections; ``None`` to open one for each command.
        connector: makes a connection; another one in tests.

    """

    def __init__(
        self,
        settings: K0sHost,
        sockets: Path | None,
        connector: Callable[[Host, K0sHost, Path | None], Connection] = connect,
    ) -> None:
        self.settings = settings
        self.hosts: Mapping[str, Host] = {host.name: host for host in settings.hosts}
        self.connections = {
            name: connector(host, settings, sockets) for name, host in self.hosts.items()
        }
        self.facts: dict[str, Facts] = {}
        self.failures: dict[str, HostError] = {}

    def look(
        self, run: Run, *, certificates: bool = False, patience: float = PATIENCE
    ) -> Outcome[Facts]:
        """Ask all hosts for their facts, at once and in one trip each; changes nothing."""

        def ask(name: str, within: Run) -> Facts:
            return self._facts(name, within, certificates=certificates, patience=patience)

        found = together(tuple(self.hosts), ask, run)
        self.facts = dict(found.results)
        self.failures = {
            name: error if isinstance(error, HostError) else HostError(str(error), host=name)
            for name, error in found.failures.items()
        }
        return found

    def look_at(self, name: str, run: Run) -> Facts:
        """Ask one host for its facts anew."""
        self.facts[name] = self._facts(name, run)
        return self.facts[name]

    def _facts(
        self, name: str, run: Run, *, certificates: bool = False, patience: float = PATIENCE
    ) -> Facts:
        extras = ["certificates"] if certificates else []
        extras += ["wireguard"] if self.settings.encrypted_transport else []
        words = ["sh", "-s", "--", self.settings.data_dir, ",".join(extras)]
        began = time.time()
        done = self.connections[name].run(words, run, stdin=script("gather"), timeout=patience)
        facts = parse_facts(done.stdout, host=name, now=began, until=time.time())
        if facts is None:
            msg = f"{name}: the host did not tell its facts: {done.tail(1)}"
            raise HostError(msg, host=name, hint="its login shell must be a POSIX shell")
        return facts

    def k0s(self, name: str) -> K0s:
        """Return k0s on a host."""
        unit = unit_of(self.hosts[name])
        return K0s(self.connections[name], data_dir=self.settings.data_dir, unit=unit)

    def marker(self, name: str) -> Marker:
        """Return our mark on a host.

        Raises:
            HostError: it has none.

        """
        marker = self.facts[name].marker
        if marker is None:
            msg = f"{name}: our mark is gone from {MARKER}"
            raise HostError(msg, host=name, hint="run the same command again")
        return marker

    def mark(self, name: str, marker: Marker, run: Run) -> None:
        """Write our mark."""
        import attrs

        self.connections[name].put(marker.to_json().encode(), MARKER, run)
        self.facts[name] = attrs.evolve(self.facts[name], marker=marker, marker_damaged=False)

    def read(self, name: str, path: str, run: Run) -> bytes | None:
        """Return what a small file there holds, ``None`` where there is none."""
        done = self.connections[name].run(["base64", path], run)
        return base64.b64decode(done.stdout) if done.ok else None

    def close(self) -> None:
        """End all shared connections."""
        for connection in self.connections.values():
            connection.close()

    def raise_failures(self, failures: Mapping[str, HostError]) -> None:
        """Raise one error for all of them.

        Raises:
            HostsError: there is at least one.

        """
        if failures:
            raise HostsError(dict(failures), of=len(self.hosts))
