"""What is to be done, in which order; and what k0s is told."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import yaml
from hypothesis import given, settings as hypothesis_settings, strategies as st
from tests.unit.platform_k0s_host.samples import CLUSTER, blank, healthy, hosts

from infometis_platform_k0s_host import Host, K0sHost
from infometis_platform_k0s_host.acting.nodes import node_patch
from infometis_platform_k0s_host.hosts.marker import Marker
from infometis_platform_k0s_host.planning.config import (
    cluster_config,
    config_text,
    install_arguments,
)
from infometis_platform_k0s_host.planning.plan import Plan, make_plan
from infometis_platform_k0s_host.planning.versions import refused
from infometis_platform_k0s_host.storage import storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_platform_k0s_host.hosts.facts import Facts


def _plan(settings: K0sHost, facts: dict[str, Facts], *, binary: bool = False) -> Plan:
    return make_plan(settings, facts, lambda _: binary, version=settings.version)


def _kinds(plan: Plan) -> list[tuple[str, str]]:
    return [(action.kind, action.host) for action in plan.actions]


def test_a_fresh_cluster() -> None:
    """Claims come first, then binaries, the first controller, the others one by one, workers."""
    settings = hosts("controller", "worker", "controller", "worker")
    plan = _plan(settings, {host.name: blank(host) for host in settings.hosts})
    assert plan.fresh
    assert plan.leader == "h0"
    stages = [[(each.kind, each.host) for each in stage.actions] for stage in plan.stages]
    assert stages == [
        [("claim", name) for name in ("h0", "h1", "h2", "h3")],
        [("binary", name) for name in ("h0", "h1", "h2", "h3")],
        [("first controller", "h0")],
        [("join controller", "h2")],
        [("join worker", "h1"), ("join worker", "h3")],
    ]


def test_a_cluster_that_cannot_grow_says_so_beforehand() -> None:
    """Of the role `single` it is told when it is made that nothing can join; others are silent."""
    for role, told in (("single", True), ("controller+worker", False)):
        settings = hosts(role)
        plan = make_plan(settings, {"h0": blank(settings.leader)}, lambda _: False)
        (first,) = (each for each in plan.actions if each.kind == "first controller")
        assert ("can ever join" in first.detail) is told


def test_a_healthy_cluster() -> None:
    """Where all is as it should be there is nothing to do."""
    settings = hosts("controller", "controller+worker", "worker")
    assert _plan(settings, _all_healthy(settings)).stages == ()


def _all_healthy(settings: K0sHost) -> dict[str, Facts]:
    return {host.name: healthy(host, settings) for host in settings.hosts}


def test_what_a_crash_leaves_to_do() -> None:
    """A plan holds what is left: stopped ones start together, unfinished ones join again."""
    settings = hosts("controller", "controller", "worker", "worker")
    facts = _all_healthy(settings)
    for name in ("h0", "h1", "h2"):
        facts[name] = attrs.evolve(facts[name], status={})
    marker = facts["h3"].marker
    assert marker is not None
    facts["h3"] = attrs.evolve(facts["h3"], marker=marker.evolve(joined=False))
    plan = _plan(settings, facts, binary=True)
    stages = [[(each.kind, each.host) for each in stage.actions] for stage in plan.stages]
    # etcd needs its majority, so that no controller waits for another one
    assert stages == [
        [("start", "h0"), ("start", "h1")],
        [("start", "h2")],
        [("join worker", "h3")],
    ]
    assert not plan.fresh


def test_a_controller_that_lost_its_data() -> None:
    """It joins the others again, and one that runs speaks for the cluster."""
    settings = hosts("controller", "controller", "controller")
    facts = _all_healthy(settings)
    facts["h0"] = attrs.evolve(facts["h0"], data=(), status={})
    plan = _plan(settings, facts, binary=True)
    assert plan.leader == "h1"
    assert _kinds(plan) == [("join controller", "h0")]


def test_changed_settings() -> None:
    """Changed flags and configuration restart one controller after the other."""
    settings = hosts("controller", "controller", "worker")
    facts = _all_healthy(settings)
    changed = attrs.evolve(settings, metrics=False, config={"featureGates": [{"name": "X"}]})
    plan = _plan(changed, facts)
    assert _kinds(plan) == [("change", "h0"), ("change", "h1")]
    assert len(plan.stages) == 2
    edited = facts | {"h0": attrs.evolve(facts["h0"], config="edited by hand")}
    assert _kinds(_plan(settings, edited)) == [("change", "h0")]


def test_a_host_to_remove() -> None:
    """Workers go before controllers, each by itself; a host without our mark is left alone."""
    settings = hosts("controller", "controller", "worker", "worker")
    facts = _all_healthy(settings)
    leaving = [
        attrs.evolve(host, remove=host.name in {"h1", "h2", "h3"}) for host in settings.hosts
    ]
    facts["h3"] = blank(settings.hosts[3])
    plan = _plan(attrs.evolve(settings, hosts=leaving), facts)
    assert [each for each in _kinds(plan) if each[0] == "remove"] == [
        ("remove", "h2"),
        ("remove", "h1"),
    ]


_ROLES = st.lists(
    st.sampled_from(["controller", "controller+worker", "worker"]), min_size=0, max_size=5
)


@hypothesis_settings(max_examples=40)
@given(_ROLES, st.data())
def test_a_plan_that_was_carried_out_leaves_nothing(roles: list[str], data: st.DataObject) -> None:
    """Whatever state hosts are in, after all actions of the plan the next plan is empty."""
    settings = hosts("controller", *roles)
    states: dict[str, Callable[[Host], Facts]] = {
        "blank": blank,
        "claimed": lambda host: attrs.evolve(blank(host), marker=_claim(host, settings)),
        "stopped": lambda host: healthy(host, settings, status={}),
        "killed": lambda host: healthy(host, settings, status={}, components=("7 etcd",)),
        "emptied": lambda host: healthy(host, settings, data=(), status={}, units=()),
        "healthy": lambda host: healthy(host, settings),
    }
    facts = {
        host.name: states[data.draw(st.sampled_from(sorted(states)))](host)
        for host in settings.hosts
    }
    plan = _plan(settings, facts)
    touched = {action.host for action in plan.actions}
    after = {
        host.name: healthy(host, settings) if host.name in touched else facts[host.name]
        for host in settings.hosts
    }
    assert _plan(settings, after).stages == ()
    for stage in plan.stages:
        assert len({action.host for action in stage.actions}) == len(stage.actions)
    firsts = [action for action in plan.actions if action.kind == "first controller"]
    assert len(firsts) == (1 if plan.fresh else 0)


def _claim(host: Host, settings: K0sHost) -> Marker:
    return Marker(cluster=CLUSTER, uid="1", role=host.role, data_dir=settings.data_dir)


# ---------------------------------------------------------------------- what k0s is told


def _spec(settings: K0sHost) -> dict[str, Any]:
    text = config_text(cluster_config(settings, settings.leader, "10.0.0.1"))
    spec: dict[str, Any] = yaml.safe_load(text)["spec"]
    return spec


def test_the_configuration_of_a_controller() -> None:
    """Each controller has its own addresses, telemetry is off, and all names are in the SANs."""
    spec = _spec(hosts("controller", "controller", external_address="lb.example.org"))
    assert spec["api"]["address"] == "10.0.0.1"
    assert spec["api"]["externalAddress"] == "lb.example.org"
    assert {"10.0.0.1", "h0", "h1", "lb.example.org", "127.0.0.1"} <= set(spec["api"]["sans"])
    assert spec["storage"] == {"type": "etcd", "etcd": {"peerAddress": "10.0.0.1"}}
    assert spec["telemetry"] == {"enabled": False}
    assert "nodeLocalLoadBalancing" not in spec["network"]


def test_several_controllers_without_a_load_balancer() -> None:
    """Workers balance by themselves then."""
    spec = _spec(hosts("controller", "controller", "controller"))
    assert spec["network"]["nodeLocalLoadBalancing"]["enabled"]
    assert _spec(hosts("single"))["storage"] == {"type": "kine"}


def test_encrypted_transport() -> None:
    """WireGuard is Calico's."""
    spec = _spec(hosts("controller", network="calico", encrypted_transport=True))
    assert spec["network"]["calico"] == {"mode": "vxlan", "wireguard": True}


def test_hardening_is_told() -> None:
    """What the benchmark asks for is in the arguments and in the kubelet's profile."""
    spec = _spec(hosts("controller", hardening=True, cgroup_v1=True))
    assert spec["api"]["extraArgs"]["audit-log-maxage"] == "30"
    assert "EventRateLimit" in spec["api"]["extraArgs"]["enable-admission-plugins"]
    (profile,) = spec["workerProfiles"]
    assert profile["name"] == "default"
    assert profile["values"]["protectKernelDefaults"] is True
    assert profile["values"]["failCgroupV1"] is False


def test_own_configuration_wins() -> None:
    """Maps merge, all else is replaced, and null unsets."""
    own = {"api": {"extraArgs": {"v": "4"}, "sans": ["only"]}, "telemetry": None}
    spec = _spec(hosts("controller", config=own))
    assert spec["api"]["extraArgs"] == {"v": "4"}
    assert spec["api"]["sans"] == ["only"]
    assert spec["api"]["port"] == 6443
    assert "telemetry" not in spec


def test_the_arguments_of_the_service() -> None:
    """Flags follow the role; no token is ever among them."""
    settings = hosts("controller+worker", "worker", metrics=False, cgroup_v1=True)
    controller, worker = (install_arguments(settings, host) for host in settings.hosts)
    assert {"--enable-worker", "--no-taints", "--disable-components=metrics-server"} <= {
        *controller
    }
    assert worker == ("worker", "--data-dir=/var/lib/k0s", "--ignore-pre-flight-checks")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("v1.35.1+k0s.0", "v1.36.3+k0s.2", ""),
        ("v1.36.3+k0s.0", "v1.36.3+k0s.1", ""),
        ("v1.36.3+k0s.1", "v1.36.3+k0s.0", "cannot go down"),
        ("v1.36.3+k0s", "v1.36.2+k0s", "cannot go down"),
        ("v1.34.9+k0s.0", "v1.36.0+k0s.0", "must become some v1.35"),
        ("v1.37.2-dev+k0s", "v1.37.2+k0s.0", ""),
        ("1.36", "v1.36.0+k0s.0", "is no version"),
    ],
)
def test_which_version_may_follow(old: str, new: str, why: str) -> None:
    """One minor at a time, never down, and the build behind the plus sign counts."""
    assert why in refused(old, new)
    assert bool(why) == bool(refused(old, new))


def test_labels_and_taints_of_a_node() -> None:
    """Ours are set, those that we dropped go, and those of others stay."""
    marker = Marker(
        cluster=CLUSTER, uid="1", role="worker", labels=["a=1", "b=2"], taints=["old:NoExecute"]
    )
    theirs = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
    node = {"spec": {"taints": [theirs, {"key": "old", "effect": "NoExecute"}]}}
    patch = node_patch(node, {"b": "3"}, ("new=x:NoSchedule",), marker)
    assert patch["metadata"]["labels"] == {"b": "3", "a": None}
    assert patch["spec"]["taints"] == [
        theirs,
        {"key": "new", "effect": "NoSchedule", "value": "x"},
    ]
    empty = node_patch({"spec": {}}, {}, (), marker)
    assert empty["spec"]["taints"] is None


def test_the_provisioner_of_volumes() -> None:
    """It writes below the data directory, is the default class, and may be left out."""
    objects = storage(hosts("single", data_dir="/srv/k0s"))
    kinds = [each["kind"] for each in objects]
    assert kinds.count("StorageClass") == 1
    assert "/srv/k0s/local-path" in str(objects)
    assert "@" not in str([each for each in objects if each["kind"] == "ConfigMap"])
    assert storage(hosts("single", storage_class=False)) == ()


def test_certificates_that_end() -> None:
    """What ends within thirty days is a warning, what has ended an error, each with the cure."""
    import trustme

    from infometis_platform_k0s_host.certificates import certificate_findings

    authority = trustme.CA()
    pem = authority.cert_pem.bytes()
    facts = blank(Host(address="h0"), certificates={"ca.crt": pem, "junk.crt": b"junk"})
    from cryptography import x509

    end = x509.load_pem_x509_certificate(pem).not_valid_after_utc
    assert certificate_findings(facts, end - dt.timedelta(days=31)) == ()
    (soon,) = certificate_findings(facts, end - dt.timedelta(days=29))
    assert (soon.level, f"{end:%Y-%m-%d}" in soon.detail) == ("warning", True)
    (over,) = certificate_findings(facts, end + dt.timedelta(days=1))
    assert over.level == "error"
    leaf = attrs.evolve(facts, certificates={"server.crt": pem})
    (soon,) = certificate_findings(leaf, end - dt.timedelta(days=1))
    assert "restart k0s" in soon.cure
