"""How a cluster of hosts is, from what hosts and API say. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_platform_k0s_host.hosts.checks import is_foreign
from infometis_sdk.ports.platform import PlatformStatus

if TYPE_CHECKING:
    from infometis_platform_k0s_host.access import Answer
    from infometis_platform_k0s_host.acting.world import World
    from infometis_platform_k0s_host.hosts.facts import Facts
    from infometis_platform_k0s_host.record import Record

__all__ = ("status_of",)


def status_of(
    cluster: str, world: World, record: Record | None, answer: Answer | None
) -> PlatformStatus:
    """Put together what hosts and API say.

    Args:
        cluster: its name.
        world: the hosts, after a look.
        record: what this machine remembers; ``None`` where it knows no such cluster.
        answer: of the API; ``None`` where there is no way to ask it.

    """
    parts = {
        name: _part(cluster, world, name, answer)
        for name in world.hosts
        if name in world.facts or name in world.failures
    }
    ours = [
        facts
        for facts in world.facts.values()
        if facts.marker is not None and not is_foreign(facts, cluster)
    ]
    if record is None and not ours:
        return PlatformStatus(phase="absent", detail="no cluster was made", parts=parts)
    if answer is not None and answer.ready:
        bad = [f"{name} {state}" for name, state in parts.items() if not state.startswith("ready")]
        detail = "; ".join(bad) or f"{len(parts)} hosts"
        return PlatformStatus(phase="ready", detail=detail, version=answer.version, parts=parts)
    phase, detail = _without_api(ours, record, answer, world)
    return PlatformStatus(phase=phase, detail=detail, parts=parts)


def _without_api(
    ours: list[Facts], record: Record | None, answer: Answer | None, world: World
) -> tuple[str, str]:
    if not ours:
        why = next((error.message for error in world.failures.values()), "no host carries our mark")
        return "failed", why
    if not any(facts.running for facts in ours):
        if record is not None and record.wanted == "stopped":
            return "stopped", "its data is kept"
        if any(facts.marker is not None and facts.marker.joined for facts in ours):
            return "stopped", "k0s does not run; `infometis up` starts it again"
        return "failed", "its making was cut short; `infometis up` goes on"
    why = answer.why if answer is not None else "this machine has no kubeconfig of it"
    return "starting", why


def _part(cluster: str, world: World, name: str, answer: Answer | None) -> str:
    if name in world.failures:
        return world.failures[name].message.splitlines()[0].partition(": ")[2]
    facts, host = world.facts[name], world.hosts[name]
    if foreign := is_foreign(facts, cluster):
        return f"refused: {foreign}"
    if facts.marker is None:
        return "not part of the cluster"
    if not facts.marker.joined:
        return "has not joined"
    if not facts.running:
        return "stopped"
    if host.works and answer is not None and answer.ready and not answer.nodes.get(facts.node):
        return f"its node {facts.node} is not ready"
    return f"ready ({host.role})"
