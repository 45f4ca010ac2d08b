"""The order of a cluster's making: facts and settings in, stages of actions out. Pure.

The order is that of k0sctl: claim, binary, configuration, first controller, more controllers,
workers, their labels, and at last the hosts that are to go.
What is as it should be gives no action, so that a plan of a healthy cluster is empty
and one made after a crash holds what is left to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_platform_k0s_host.hosts.checks import is_whole, private_address
from infometis_platform_k0s_host.planning.config import (
    cluster_config,
    config_text,
    digest,
    install_arguments,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from infometis_platform_k0s_host.hosts.facts import Facts
    from infometis_platform_k0s_host.settings import Host, K0sHost

__all__ = ("Action", "Plan", "Stage", "make_plan")


@frozen(kw_only=True)
class Action:
    """One thing to do on one host.

    Attributes:
        kind: ``claim``, ``binary``, ``first controller``, ``start``, ``change``,
            ``join controller``, ``join worker``, ``images``, ``node`` or ``remove``.
        host: name of the host.
        detail: one line for people.

    """

    kind: str
    host: str
    detail: str

    def __str__(self) -> str:
        return f"{self.host}: {self.detail}"


@frozen(kw_only=True)
class Stage:
    """Actions that do not wait for each other.

    Attributes:
        actions: at most one a host.
        vital: true where nothing later makes sense if one of them fails.

    """

    actions: tuple[Action, ...] = field(converter=tuple[Action, ...])
    vital: bool = False


@frozen(kw_only=True)
class Plan:
    """What to do, in order.

    Attributes:
        stages: the stages; none where all is as it should be.
        leader: the controller that speaks for the cluster.
        fresh: true where there is no cluster yet.

    """

    stages: tuple[Stage, ...] = field(converter=tuple[Stage, ...])
    leader: str
    fresh: bool

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions in order."""
        return tuple(action for stage in self.stages for action in stage.actions)


def _wanted_taints(host: Host) -> tuple[str, ...]:
    """Return the taints that a host's node is to have from us, in order."""
    return tuple(sorted(host.taints))


def _wanted_labels(host: Host) -> tuple[str, ...]:
    return tuple(sorted(f"{key}={value}" for key, value in host.labels.items()))


def make_plan(
    settings: K0sHost,
    facts: Mapping[str, Facts],
    has_binary: Callable[[Facts], bool],
    *,
    version: str = "",
    images: str = "",
) -> Plan:
    """Find what is left to do on the hosts that answered; they passed all checks.

    Args:
        settings: of the cluster.
        facts: of each host that answered, by its name in the settings.
        has_binary: whether a host has the wanted binary; asked of those only that join.
        version: of that binary, in words.
        images: what tells the archive of images; empty where there is none.

    """
    hosts = [host for host in settings.staying if host.name in facts]
    leader = _leader(settings, facts)
    fresh = not any(is_whole(host, facts[host.name]) for host in hosts if host.controls)
    kinds = {host.name: _kind(host, facts[host.name], settings, leader, fresh) for host in hosts}
    todo = [host for host in hosts if kinds[host.name]]

    def having(*wanted: str) -> list[Host]:
        return [host for host in todo if kinds[host.name] in wanted]

    making = having("first controller", "join controller", "join worker")
    alone = "; with the role `single` no other host can ever join"
    first = "start the first controller" + (alone if settings.leader.role == "single" else "")
    stages = [
        _stage("claim", [host for host in making if facts[host.name].marker is None], "claim it"),
        _stage(
            "binary",
            [host for host in making if not has_binary(facts[host.name])],
            f"install k0s {version}".rstrip(),
        ),
        _stage("first controller", having("first controller"), first),
        _stage("start", [host for host in having("start") if host.controls], "start k0s"),
    ]
    stages += _one_by_one(
        "change", [host for host in having("change") if host.controls], "restart k0s as changed"
    )
    stages += _one_by_one("join controller", having("join controller"), "join as controller")
    stages += [
        _stage(
            "images",
            [host for host in hosts if host.works and _lacks_images(facts[host.name], images)],
            "bring the images",
            vital=False,
        ),
        _stage(
            "start",
            [host for host in having("start") if not host.controls],
            "start k0s",
            vital=False,
        ),
        _stage(
            "change",
            [host for host in having("change") if not host.controls],
            "restart k0s as changed",
            vital=False,
        ),
        _stage("join worker", having("join worker"), "join as worker", vital=False),
        _stage(
            "node",
            [host for host in hosts if host.works and _relabel(host, facts[host.name])],
            "set labels and taints of its node",
            vital=False,
        ),
    ]
    going = [
        host
        for host in settings.hosts
        if host.remove and host.name in facts and facts[host.name].marker is not None
    ]
    detail = "drain it, take it out of the cluster and clean it"
    for host in sorted(going, key=lambda each: each.controls):
        stages += _one_by_one("remove", [host], detail)
    return Plan(stages=[stage for stage in stages if stage.actions], leader=leader, fresh=fresh)


def _leader(settings: K0sHost, facts: Mapping[str, Facts]) -> str:
    """Return the controller that speaks for the cluster: one that runs, if any does."""
    answering = [host for host in settings.controllers if host.name in facts]
    whole = [host for host in answering if is_whole(host, facts[host.name])]
    for candidates in ([h for h in whole if facts[h.name].running], whole, answering):
        if candidates:
            return candidates[0].name
    return settings.leader.name


def _kind(host: Host, facts: Facts, settings: K0sHost, leader: str, fresh: bool) -> str:  # noqa: FBT001
    """Return what a host needs; nothing where it is as it should be."""
    if not is_whole(host, facts):
        if not host.controls:
            return "join worker"
        return "first controller" if fresh and host.name == leader else "join controller"
    marker = facts.marker
    if marker is None:
        raise AssertionError(host)  # a whole host has a mark
    if marker.arguments != install_arguments(settings, host):
        return "change"
    if host.controls:
        text = config_text(cluster_config(settings, host, private_address(host, facts)))
        if digest(text) != marker.config or marker.config != facts.config:
            return "change"
    return "" if facts.running and facts.units else "start"


def _lacks_images(facts: Facts, images: str) -> bool:
    return bool(images) and (facts.marker is None or facts.marker.images != images)


def _relabel(host: Host, facts: Facts) -> bool:
    if facts.marker is None:
        return bool(host.labels or host.taints)
    mine = (facts.marker.labels, facts.marker.taints)
    return mine != (_wanted_labels(host), _wanted_taints(host))


def _stage(kind: str, hosts: Iterable[Host], detail: str, *, vital: bool = True) -> Stage:
    actions = [Action(kind=kind, host=host.name, detail=detail) for host in hosts]
    return Stage(actions=actions, vital=vital and any(host.controls for host in hosts))


def _one_by_one(kind: str, hosts: Iterable[Host], detail: str) -> list[Stage]:
    return [_stage(kind, [host], detail, vital=False) for host in hosts]
