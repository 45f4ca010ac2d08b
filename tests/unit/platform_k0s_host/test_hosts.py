"""Facts, marks and checks of hosts."""

from __future__ import annotations

import base64
import subprocess
import time

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.unit.platform_k0s_host.samples import CLUSTER, blank, healthy, hosts

from infometis_platform_k0s_host import Host, K0sHost
from infometis_platform_k0s_host.hosts.checks import (
    check_binaries,
    check_cluster,
    check_hosts,
    is_foreign,
)
from infometis_platform_k0s_host.hosts.facts import Facts, Listens, parse_facts
from infometis_platform_k0s_host.hosts.marker import Marker
from infometis_platform_k0s_host.scripts import script

MARK = Marker(cluster=CLUSTER, uid="1", role="worker", stamp="5:6:7", sha256="ab", version="v1")


def test_the_script_tells_this_machine() -> None:
    """The script needs no root, and every kernel and shell here understands it."""
    done = subprocess.run(
        ["sh", "-s", "--", "/var/lib/k0s-none", "certificates,wireguard"],
        input=script("gather"),
        capture_output=True,
        check=True,
    )
    facts = parse_facts(done.stdout.decode(), host="here", now=time.time())
    assert facts is not None
    assert facts.node
    assert facts.arch in {"amd64", "arm64"}
    assert facts.memory > 0
    assert facts.disk_size > facts.disk_free > 0
    assert abs(facts.skew) < 120
    assert facts.instances > 0
    assert int(facts.sysctls["vm.max_map_count"]) > 0
    assert len(facts.boot) == 36
    assert "lo" in facts.links
    assert facts.data == ()


def test_a_script_that_was_cut_short() -> None:
    """Facts that do not come to their end are none."""
    assert parse_facts("hostname a\nclock 1\n", host="a", now=0) is None


def test_what_a_host_tells() -> None:
    """Lines become values; a binary that is as our mark says need not be read again."""
    mark = base64.b64encode(MARK.to_json().encode()).decode()
    status = base64.b64encode(b'{"Role": "worker"}').decode()
    text = f"""clock 1060
hostname Node-A
arch aarch64
os "Debian GNU/Linux 12 (bookworm)"
disk 1000 400
swap /dev/sda2
listens 6443 0.0.0.0 users:(("nginx",pid=7,fd=3))
listens 22 [::]
stamp 5:6:7
status {status}
marker {mark}
component 71 etcd
certificate:etcd/ca.crt {base64.b64encode(b"PEM").decode()}
end yes
"""
    facts = parse_facts(text, host="a", now=1000)
    assert facts is not None
    assert (facts.node, facts.arch, facts.skew, facts.swaps) == ("node-a", "arm64", 60, 1)
    assert facts.os == "Debian GNU/Linux 12 (bookworm)"
    assert facts.listens[0] == Listens(6443, "0.0.0.0", "nginx (process 7)")  # noqa: S104 - read
    assert facts.listens[1].who == ""
    assert (facts.sha256, facts.version, facts.running) == ("ab", "v1", True)
    assert facts.certificates == {"etcd/ca.crt": b"PEM"}
    other = parse_facts(text.replace("stamp 5:6:7", "stamp 5:6:8"), host="a", now=1000)
    assert other is not None
    assert other.sha256 == ""


@pytest.mark.parametrize(
    ("clock", "skew"), [(1000, 0), (1060, 0), (1100, 0), (1131, 31), (969, -31)]
)
def test_a_slow_answer_is_no_wrong_clock(clock: int, skew: float) -> None:
    """A clock that was read while we waited is right, however long the host took to answer."""
    facts = parse_facts(f"clock {clock}\nend yes\n", host="a", now=1000, until=1100)
    assert facts is not None
    assert facts.skew == skew


@pytest.mark.parametrize(
    ("text", "noise"),
    [
        ("clock 1\nend yes\n", ""),
        ("Welcome to node-a\n\nclock 1\nend yes\n", "Welcome to node-a"),
        ("hostname a\nend yes\n", ""),
    ],
)
def test_what_a_login_shell_prints_by_itself(text: str, noise: str) -> None:
    """What stands before the first fact was not printed by us."""
    facts = parse_facts(text, host="a", now=0)
    assert facts is not None
    assert facts.noise == noise


@given(st.binary(max_size=300))
def test_noise_is_no_fact(noise: bytes) -> None:
    """Whatever a host prints, reading it raises nothing."""
    parse_facts(noise.decode(errors="replace") + "\nend yes\n", host="a", now=0)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format": 2}', '{"format": 1, "x": 1}'])
def test_a_damaged_mark(text: str) -> None:
    """A mark that cannot be read is none, and its host is nobody's to touch."""
    assert Marker.from_json(text) is None
    facts = parse_facts(
        f"marker {base64.b64encode(text.encode() or b' ').decode()}\nend yes\n", host="a", now=0
    )
    assert facts is not None
    assert "damaged" in is_foreign(facts, CLUSTER)


def test_whose_a_host_is() -> None:
    """A host with k0s and without our mark is somebody else's; a blank one is free."""
    host = Host(address="h0", role="worker")
    assert is_foreign(blank(host), CLUSTER) == ""
    assert is_foreign(blank(host, stamp="1"), CLUSTER) == ""
    assert "'test'" in is_foreign(blank(host, marker=MARK.evolve(cluster="test")), CLUSTER)
    assert is_foreign(blank(host, marker=MARK, units=("k0sworker",)), CLUSTER) == ""
    for sign in (
        {"units": ("k0sworker",)},
        {"data": ("kubelet.conf",)},
        {"status": {"Role": "worker"}},
        {"starting": True},
        {"components": ("7 etcd",)},
        {"foreign": ("/etc/rancher",)},
    ):
        assert is_foreign(blank(host, **sign), CLUSTER), sign


def _errors(settings: K0sHost, *facts: Facts) -> list[tuple[str, str]]:
    found = check_hosts(settings, {each.host: each for each in facts}, CLUSTER)
    return [
        (name, finding.check)
        for name, findings in found.items()
        for finding in findings
        if finding.level == "error"
    ]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"system": "Darwin"}, "system"),
        ({"arch": "riscv64"}, "architecture"),
        ({"init": ""}, "service manager"),
        ({"flock": False}, "flock"),
        ({"noise": "welcome"}, "login shell"),
        ({"addresses": ()}, "address"),
        ({"localhost": False}, "localhost"),
        ({"cgroup": 1}, "cgroup"),
        ({"disk_free": 1000}, "disk"),
        ({"skew": -31.0}, "clock"),
        ({"listens": (Listens(6443, "*", "nginx (process 7)"),)}, "port 6443"),
        ({"listens": (Listens(2380, "*"),)}, "port 2380"),
    ],
)
def test_what_forbids_a_host(change: dict[str, object], check: str) -> None:
    """Each lack of a host is an error of its own, with a cure."""
    settings = hosts("controller")
    facts = blank(settings.leader, **change)
    assert _errors(settings, facts) == [("h0", check)]
    found = check_hosts(settings, {"h0": facts}, CLUSTER)["h0"]
    assert all(each.cure for each in found if each.level != "ok")
    assert _errors(settings, blank(settings.leader)) == []


@pytest.mark.parametrize(
    ("change", "check", "cure"),
    [
        ({"memory": 500 << 10}, "memory", "more memory"),
        ({"disk_free": 2 << 20}, "disk", "make room"),
        ({"swaps": 1}, "swap", "swapoff -a"),
        ({"instances": 128}, "inotify", "fs.inotify.max_user_instances=8192"),
        ({"sysctls": {"vm.max_map_count": "65530"}}, "vm.max_map_count", "=1048576"),
    ],
)
def test_what_pods_may_suffer_from(change: dict[str, object], check: str, cure: str) -> None:
    """What forbids no host, but may trouble its pods, is a warning with its cure."""
    settings = hosts("controller+worker")
    facts = {"h0": blank(settings.leader, **change)}
    (found,) = (each for each in check_hosts(settings, facts, CLUSTER)["h0"] if each.level != "ok")
    assert (found.level, found.check) == ("warning", check)
    assert cure in found.cure
    well = check_hosts(settings, {"h0": blank(settings.leader)}, CLUSTER)["h0"]
    assert [each for each in well if each.level != "ok"] == []


def test_ports_that_our_own_orphans_hold() -> None:
    """What a killed k0s of ours left behind stands in nobody's way: the next one takes it over."""
    settings = hosts("controller")
    held: dict[str, object] = {
        "listens": (Listens(2379, "127.0.0.1", "etcd (process 7)"),),
        "components": ("7 etcd",),
    }
    mark = Marker(cluster=CLUSTER, uid="1", role="controller")
    assert _errors(settings, blank(settings.leader, marker=mark, **held)) == []
    held["components"] = ("8 etcd",)
    assert _errors(settings, blank(settings.leader, marker=mark, **held)) == [("h0", "port 2379")]


def test_hosts_beside_each_other() -> None:
    """Two hosts of one name or address are both told; cloned disks are a warning."""
    settings = hosts("controller", "worker")
    one, two = (blank(host) for host in settings.hosts)
    assert _errors(settings, one, two) == []
    twin = attrs.evolve(two, node=one.node, addresses=one.addresses, machine=one.machine)
    assert sorted(_errors(settings, one, twin)) == [
        ("h0", "address"),
        ("h0", "host name"),
        ("h1", "address"),
        ("h1", "host name"),
    ]


def test_what_cannot_change_later() -> None:
    """Role, address and data directory of a host that has joined stay what they are."""
    settings = hosts("controller+worker", "worker")
    one, two = (healthy(host, settings) for host in settings.hosts)
    assert _errors(settings, one, two) == []
    assert ("h0", "address") in _errors(settings, attrs.evolve(one, addresses=("9.9.9.9",)), two)
    moved = attrs.evolve(settings, data_dir="/srv/k0s")
    assert {check for _, check in _errors(moved, one, two)} == {"data_dir"}
    other = attrs.evolve(settings, hosts=(settings.hosts[0], Host(address="h1", role="controller")))
    assert ("h1", "role") in _errors(other, one, two)


def test_binaries_that_stand_in_the_way() -> None:
    """A k0s of somebody else is not overwritten, and no host joins with another version."""
    settings = hosts("controller", "worker")
    by_name = {host.name: host for host in settings.hosts}
    one, two = (blank(host) for host in settings.hosts)
    assert check_binaries(by_name, {"h0": one, "h1": two}, lambda _: False) == {}
    theirs = attrs.evolve(two, stamp="1:1:1", version="v1.30.0+k0s.0")
    found = check_binaries(by_name, {"h0": one, "h1": theirs}, lambda _: False)
    assert "is there (v1.30.0+k0s.0) and not ours" in found["h1"].message
    joined = healthy(settings.leader, settings)
    found = check_binaries(by_name, {"h0": joined, "h1": two}, lambda _: False)
    assert "another version than the cluster's" in found["h1"].message
    assert "cluster upgrade" in found["h1"].hint
    assert check_binaries(by_name, {"h0": joined, "h1": two}, lambda facts: facts is joined) == {}


def test_a_cluster_whose_data_is_gone() -> None:
    """A new cluster is never begun where there was one: neither lost data nor silence is none."""
    settings = hosts("controller", "controller", "worker")
    names = [host.name for host in settings.hosts]
    facts = {host.name: healthy(host, settings) for host in settings.hosts}
    assert check_cluster(settings, facts, {}) == {}
    lost = facts | {"h0": attrs.evolve(facts["h0"], data=())}
    assert check_cluster(settings, lost, {}) == {}
    for name in names[:2]:
        lost[name] = attrs.evolve(facts[name], data=())
    found = check_cluster(settings, lost, {})
    assert list(found) == ["h0", "h1"]
    assert "restore" in found["h0"].hint
