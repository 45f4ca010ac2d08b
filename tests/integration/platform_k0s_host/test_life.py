"""The life of a cluster of several hosts, over genuine SSH connections."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.settling import settled

from infometis_platform_k0s_host.acting.together import HostsError
from infometis_platform_k0s_host.hosts.marker import MARKER
from infometis_sdk import open_cluster
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Event, Run
from infometis_sdk.testing.platform_contract import cluster_uid, get_note, put_note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.k0s_hosts import Site

    from infometis_sdk.ports.platform import Access

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

_MINUTES = 600


def _within(emit: Callable[[Event], None] = lambda _: None) -> Run:
    return Run.within(_MINUTES, emit=emit)


def _nodes(access: Access) -> dict[str, Mapping[str, Any]]:
    cluster = open_cluster(access)
    found = {node["metadata"]["name"]: node for node in cluster.list("v1", "Node", _within())}
    cluster.close()
    return found


def test_three_hosts_from_nothing_to_nothing(hosts: Site) -> None:  # noqa: PLR0915 - one story
    """Two controllers and a worker are made, mended, changed, shrunk and removed without a trace.

    What was killed runs again after the next run; a run with nothing to do does nothing;
    tokens are worthless afterwards; what else is on the hosts stays.
    """
    names = ("life-a", "life-b", "life-c")
    machines = {name: hosts.machine(name) for name in names}
    for machine in machines.values():
        machine.ssh("mkdir -p /etc/cni/net.d /var/log/pods; echo mine > /etc/cni/net.d/keep")
    before = {name: machine.files() for name, machine in machines.items()}
    first = hosts.host("life-a", "controller")
    second = hosts.host("life-b", "controller+worker", labels={"disk": "fast"})
    third = hosts.host("life-c", "worker", taints=("dedicated=kafka:NoSchedule",))
    settings = hosts.settings(first, second, third)
    platform = hosts.platform("life", settings)

    known = (hosts.farm.folder / "known_hosts").read_bytes()
    settled(platform, "absent")
    steps = platform.steps()
    assert any("start the first controller" in step for step in steps)
    assert {name: machine.files() for name, machine in machines.items()} == before

    access = platform.ensure(_within())
    uid = cluster_uid(access)
    assert access.kubeconfig is not None
    assert stat.S_IMODE(access.kubeconfig.stat().st_mode) == 0o600
    nodes = _nodes(access)
    assert sorted(nodes) == ["life-b", "life-c"]
    assert nodes["life-b"]["metadata"]["labels"]["disk"] == "fast"
    assert [taint["key"] for taint in nodes["life-c"]["spec"]["taints"]] == ["dedicated"]
    assert platform.steps() == ()
    settled(platform, "ready")

    # no secret is left where others could read it
    listed = machines["life-a"].ssh("/usr/local/bin/k0s token list --role worker").stdout
    assert "worker" not in listed.replace("ROLE", "")
    for name in ("life-b", "life-c"):
        assert "H4sI" not in machines[name].ssh("cat /etc/k0s/* /etc/init.d/k0s*; ps axww").stdout
        assert machines[name].ssh("ls /run/infometis-join", check=False).returncode

    # killed: the parts of k0s outlive it and are taken over
    machines["life-c"].ssh("kill -9 $(cat /var/run/k0sworker.pid)")
    machines["life-b"].ssh("kill -9 $(cat /var/run/k0scontroller.pid)")
    events: list[Event] = []
    platform.ensure(_within(events.append))
    started = {event.subject for event in events if event.name == "start"}
    assert started == {second.name, third.name}
    assert cluster_uid(access) == uid

    # one host dead: the others are served, and the error names it and the cure
    machines["life-c"].off()
    status = settled(platform, "ready")
    assert third.name in status.detail
    changed = attrs.evolve(second, labels={"disk": "slow"})
    platform = hosts.platform("life", attrs.evolve(settings, hosts=(first, changed, third)))
    with pytest.raises(HostsError, match=third.address) as caught:
        platform.ensure(_within())
    assert list(caught.value.failures) == [third.name]
    assert "cure" in caught.value.message
    assert _nodes(access)["life-b"]["metadata"]["labels"]["disk"] == "slow"
    machines["life-c"].on()
    platform.ensure(_within())

    # gone from the settings' point of view: drained, out of the cluster, clean
    leaving = attrs.evolve(third, remove=True)
    platform = hosts.platform("life", attrs.evolve(settings, hosts=(first, changed, leaving)))
    platform.ensure(_within())
    assert sorted(_nodes(access)) == ["life-b"]
    assert _left(before["life-c"], machines["life-c"].files()) == []
    assert platform.steps() == ()

    platform.destroy(_within())
    for name, machine in machines.items():
        assert _left(before[name], machine.files()) == []
        assert machine.ssh("cat /etc/cni/net.d/keep").stdout == "mine\n"
        assert machine.ssh("pgrep -f ^/usr/local/bin/k0s; pgrep etcd", check=False).stdout == ""
    assert not (hosts.folder / "state" / "life").exists()
    assert (hosts.farm.folder / "known_hosts").read_bytes() == known


def _left(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what is there and was not; folders that an overlay copied up do not count."""
    shown = {"etc/init.d", "usr", "usr/local", "usr/local/bin", "var/lib", "etc/cni", "opt"}
    found = sorted(set(after) - set(before) - shown)
    return [path for path in found if not path.startswith("etc/rc")]


def test_versions_backups_and_images(hosts: Site, tmp_path: Path) -> None:
    """A cluster is upgraded after a backup, brought back from one, and given images.

    A run of `ensure` never changes the version; a downgrade is refused; a backup of another
    cluster is; the key of the Secrets comes back with the rest.
    """
    if hosts.genuine:
        pytest.skip("one genuine k0s has one version")
    for name in ("keep-a", "keep-b"):
        machine = hosts.machine(name)
        assert machine.address
    one, two = hosts.host("keep-a", "controller+worker"), hosts.host("keep-b", "worker")
    settings = hosts.settings(one, two)
    platform = hosts.platform("keep", settings)
    access = platform.ensure(_within())
    put_note(access, "before")

    newer = attrs.evolve(settings, binary=str(hosts.binary("v1.37.0+k0s.0")))
    platform = hosts.platform("keep", newer)
    assert platform.steps() == ()
    platform.ensure(_within())
    assert _versions(access) == {"v1.36.3"}
    events: list[Event] = []
    platform.upgrade(_within(events.append))
    assert _versions(access) == {"v1.37.0"}
    kinds = [event.name for event in events if event.state == "finished"]
    assert kinds.index("upgrade controller") < kinds.index("upgrade worker")
    assert not _nodes(access)["keep-b"]["spec"].get("unschedulable")
    assert len(list((hosts.folder / "state/keep/backups").iterdir())) == 1
    assert get_note(access) == "before"
    with pytest.raises(PlatformError, match="cannot go down"):
        hosts.platform("keep", settings).upgrade(_within())
    far = attrs.evolve(settings, binary=str(hosts.binary("v1.39.0+k0s.0")))
    with pytest.raises(PlatformError, match=r"must become some v1\.38"):
        hosts.platform("keep", far).upgrade(_within())

    archive = platform.backup_cluster(tmp_path / "kept", _within())
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    put_note_again(access, "after")
    platform.restore_cluster(archive, _within())
    assert get_note(access) == "before"
    assert sorted(_nodes(access)) == ["keep-a", "keep-b"]
    other = hosts.platform("another", newer)
    with pytest.raises(PlatformError, match="is of the cluster 'keep'"):
        other.restore_cluster(archive, _within())
    archive.write_bytes(archive.read_bytes()[:-1000])
    with pytest.raises(PlatformError, match="damaged"):
        platform.restore_cluster(archive, _within())

    image = _image(tmp_path, "amd64", "example.org/app:1")
    wrong = _image(tmp_path, "s390x", "example.org/app:2")
    platform.load_images([image], _within())
    for name in ("keep-a", "keep-b"):
        images = hosts.machine(name).ssh("/usr/local/bin/k0s ctr images list -q").stdout
        assert "example.org/app:1" in images
    with pytest.raises(HostsError, match="is for s390x, and the host is amd64"):
        platform.load_images([wrong], _within())
    platform.destroy(_within())


def _versions(access: Access) -> set[str]:
    return {
        node["status"]["nodeInfo"]["kubeletVersion"].partition("+")[0]
        for node in _nodes(access).values()
    }


def put_note_again(access: Access, text: str) -> None:
    """Change what `put_note` left."""
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.ports.cluster import Write

    ref = ObjectRef(
        api_version="v1", kind="ConfigMap", namespace="default", name="platform-contract"
    )
    cluster = open_cluster(access)
    write = Write(verb="merge-patch", ref=ref, body={"data": {"note": text}})
    cluster.write(write, _within())
    cluster.close()


def _image(folder: Path, architecture: str, name: str) -> Path:
    """Make an archive as `docker save` writes it, with no layers."""
    import io
    import tarfile

    path = folder / f"{architecture}.tar"
    config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers"}}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": []}]
    with tarfile.open(path, "w") as tar:
        for file, value in (("config.json", config), ("manifest.json", manifest)):
            text = json.dumps(value).encode()
            info = tarfile.TarInfo(file)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return path


def test_a_hardened_cluster(hosts: Site) -> None:
    """The hardening holds on the genuine API server: audit, encryption at rest, limits.

    Every file of it is its API server's alone, a later run changes nothing,
    and kernels with other settings are refused with the cure.
    """
    machine = hosts.machine("hard")
    # k0s makes this user, the stand-in does not
    machine.ssh("id kube-apiserver || useradd -r -s /usr/sbin/nologin kube-apiserver")
    host = hosts.host("hard", "controller")
    platform = hosts.platform("hard", hosts.settings(host, hardening=True))
    if machine.ssh("cat /proc/sys/vm/overcommit_memory").stdout.strip() != "1":
        with pytest.raises(PlatformError, match="overcommit_memory"):
            platform.ensure(_within())
        values = {"vm/overcommit_memory": 1, "kernel/panic": 10, "kernel/panic_on_oops": 1}
        for key, value in values.items():
            # over the machine's own view: the kernel's setting is not touched
            machine.ssh(f"echo {value} > /root/v; cp /root/v /root/{key.replace('/', '-')}")
            machine.ssh(f"mount --bind /root/{key.replace('/', '-')} /proc/sys/{key}")
    access = platform.ensure(_within())
    put_secret(access, "s3cr3t-in-the-store")
    data = machine.ssh("grep -rlc s3cr3t-in-the-store /var/lib/k0s/etcd || true").stdout
    assert data == ""
    log = machine.ssh("cat /var/log/k0s/audit.log").stdout
    assert '"resource":"secrets"' in log
    assert "s3cr3t" not in log
    modes = machine.ssh("stat -c %a /etc/k0s/infometis-encryption.yaml /etc/k0s/k0s.yaml").stdout
    assert set(modes.split()) <= {"400", "600"}
    read = "cat /etc/k0s/infometis-encryption.yaml /etc/k0s/infometis-audit.yaml"
    assert "secretbox" in machine.ssh(f"su -s /bin/sh kube-apiserver -c '{read}'").stdout
    assert machine.ssh(f"su -s /bin/sh nobody -c '{read}'", check=False).stdout == ""
    assert platform.steps() == ()
    platform.destroy(_within())
    assert machine.ssh(f"ls {MARKER} /var/log/k0s", check=False).stdout == ""


def put_secret(access: Access, text: str) -> None:
    """Leave a Secret in the cluster."""
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.ports.cluster import Write

    ref = ObjectRef(api_version="v1", kind="Secret", namespace="default", name="probe")
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "probe"},
        "stringData": {"text": text},
    }
    cluster = open_cluster(access)
    cluster.write(Write(verb="create", ref=ref, body=body), _within())
    cluster.close()
