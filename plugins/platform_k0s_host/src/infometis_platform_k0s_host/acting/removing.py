"""Take hosts out of a cluster, and clean them until nothing of ours is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_platform_k0s_host.connection import HostError
from infometis_platform_k0s_host.hosts.checks import is_foreign
from infometis_platform_k0s_host.planning.config import unit_of
from infometis_platform_k0s_host.scripts import script

if TYPE_CHECKING:
    from infometis_platform_k0s_host.acting.k0s import K0s
    from infometis_platform_k0s_host.acting.world import World
    from infometis_sdk.model.run import Run

__all__ = ("clean", "drain", "is_ours", "remove")

_CLEAN = 600.0


def drain(leader: K0s, node: str, run: Run, seconds: int) -> None:
    """Move the pods of a node elsewhere, as their disruption budgets allow.

    Raises:
        HostError: some do not go in time; they are named.

    """
    words = ["drain", node, "--ignore-daemonsets", "--delete-emptydir-data"]
    done = leader.kubectl([*words, f"--timeout={seconds}s"], run, timeout=seconds + 60)
    if not done.ok and "not found" not in done.stderr.lower():
        msg = f"{leader.name}: the node {node} cannot be drained: {done.tail(3)}"
        hint = "a disruption budget or a pod without a controller holds it; see `drain_seconds`"
        raise HostError(msg, host=leader.name, hint=hint)


def remove(world: World, name: str, leader_name: str, run: Run) -> None:
    """Drain a host, take its node and its etcd member away, and clean it."""
    host, facts, leader = world.hosts[name], world.facts[name], world.k0s(leader_name)
    if host.works and leader.node(facts.node, run) is not None:
        drain(leader, facts.node, run, world.settings.drain_seconds)
    if host.controls:
        leader.etcd_leave(world.marker(name).address, run)
    if facts.running or facts.units:
        world.k0s(name).stop(run)
    if host.works:
        leader.kubectl(["delete", "node", facts.node, "--ignore-not-found"], run)
    clean(world, name, run)


def clean(world: World, name: str, run: Run) -> None:
    """Remove k0s and every trace of it from a host that carries our mark; else do nothing.

    Raises:
        HostError: something of it is left.

    """
    facts, marker = world.facts[name], world.facts[name].marker
    if marker is None:
        return
    unit = (facts.units or (unit_of(world.hosts[name]),))[0]
    ours = "yes" if marker.binary_ours else "no"
    before = [*marker.present, *(f"link:{link}" for link in marker.links)]
    words = ["sh", "-s", "--", marker.data_dir, unit, ours, *before]
    done = world.connections[name].run(words, run, stdin=script("clean"), timeout=_CLEAN)
    if not done.ok:
        msg = f"{name}: the host is not clean: {done.tail(2)}"
        raise HostError(msg, host=name, hint="mend that and run the same command again")
    left = world.look_at(name, run)
    if left.marker is not None or left.marker_damaged or not left.pristine:
        found = [*left.units, *left.data, *left.components, *left.processes]
        msg = f"{name}: the host is not clean: {', '.join(found) or 'our mark'} is still there"
        raise HostError(msg, host=name, hint="run the same command again")


def is_ours(world: World, name: str, cluster: str) -> bool:
    """Whether a host carries the mark of this very cluster."""
    facts = world.facts.get(name)
    return facts is not None and facts.marker is not None and not is_foreign(facts, cluster)
