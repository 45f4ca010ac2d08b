"""The life of clusters of k0s in a genuine Docker: growth, images, upgrade, backup, reboot."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import yaml
from tests.docker_daemon import printed
from tests.settling import settled

from infometis_platform_k0s_docker.platform import K0sDockerPlatform
from infometis_sdk import open_cluster
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.ports.platform import Access, PlatformContext
from infometis_sdk.testing.platform_contract import cluster_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker_daemon import DockerDaemon
    from tests.standin.k0s_docker import SettingsMaker

    from infometis_platform_k0s_docker import K0sDocker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PATIENCE = 500.0


@pytest.fixture
def docker(dockerd: DockerDaemon) -> Iterator[Any]:
    """Give a client of the docker SDK."""
    client = dockerd.client()
    yield client
    client.close()


@pytest.fixture
def make(tmp_path: Path, docker: Any) -> Iterator[Callable[..., K0sDockerPlatform]]:
    """Make platforms over one state folder; at the end nothing of them may be left in Docker."""
    before = _census(docker)
    made: list[K0sDockerPlatform] = []

    def make(settings: K0sDocker, name: str = "life") -> K0sDockerPlatform:
        context = PlatformContext(cluster=name, state_dir=tmp_path / name, cache_dir=tmp_path)
        made.append(K0sDockerPlatform(settings, context, environ={}))
        return made[-1]

    yield make
    for platform in made:
        platform.destroy(Run.within(PATIENCE))
    assert _census(docker) == before


def test_a_cluster_grows_and_shrinks(
    k0s_docker: SettingsMaker, make: Callable[..., K0sDockerPlatform], docker: Any, tmp_path: Path
) -> None:
    """A growable cluster takes nodes in and lets them go; tokens do not outlive the joining."""
    one = k0s_docker(growable=True)
    platform = make(one)
    alone = "no other can ever join it"
    assert alone in make(k0s_docker(), "other").steps()[2]
    assert alone not in str(platform.steps())
    access = platform.ensure(Run.within(PATIENCE))
    uid = cluster_uid(access)
    two = make(attrs.evolve(one, nodes=2, growable=False))
    assert two.steps() == ("make node infometis-life-1 and start it",)
    assert two.ensure(Run.within(PATIENCE)) == access
    assert two.steps() == ()
    names = ["infometis-life-0", "infometis-life-1"]
    assert names == _nodes(access)
    assert cluster_uid(access) == uid
    secrets = _list(access, "v1", "Secret", namespace="kube-system")
    assert not [each for each in secrets if each["metadata"]["name"].startswith("bootstrap-token-")]
    worker = docker.containers.get(names[1])
    assert worker.exec_run(["cat", "/etc/k0s/join-token"]).exit_code == 1
    assert not [each for each in _list(access, "v1", "Node") if each["spec"].get("taints")]

    first = docker.containers.get(names[0])
    held = first.attrs["HostConfig"]
    assert held["RestartPolicy"]["Name"] == "unless-stopped"
    assert held["Tmpfs"] == {"/run": ""}
    bindings = [each for ports in held["PortBindings"].values() for each in ports]
    assert [each["HostIp"] for each in bindings] == ["127.0.0.1"]
    assert first.attrs["Config"]["Hostname"] == names[0]
    volumes = {each["Destination"]: each for each in first.attrs["Mounts"]}
    assert volumes["/var/lib/k0s"]["Name"] == "infometis-life-0-data"
    config = yaml.safe_load(printed(first, "cat", "/etc/k0s/k0s.yaml"))
    assert config["spec"]["telemetry"] == {"enabled": False}
    labels = {key for key in first.labels if key.startswith("io.infometis.")}
    assert {"io.infometis.cluster", "io.infometis.id", "io.infometis.platform"} <= labels
    assert stat.S_IMODE((tmp_path / "life" / "kubeconfig").stat().st_mode) == 0o600

    # a node whose container and volumes somebody removed joins anew
    worker.remove(force=True, v=True)
    docker.volumes.get("infometis-life-1-data").remove()
    settled(two, "failed", "starting")
    two.ensure(Run.within(PATIENCE))
    settled(two, "ready")

    again = make(one)
    again.ensure(Run.within(PATIENCE))
    assert names[:1] == _nodes(access)
    assert {each.name for each in docker.volumes.list()} == {
        f"infometis-life-0-{kind}" for kind in ("data", "logs", "volumes")
    }
    with pytest.raises(PlatformError, match="its store cannot change"):
        make(k0s_docker()).ensure(Run.within(PATIENCE))


def test_it_is_backed_up_upgraded_and_brought_back(
    k0s_docker: SettingsMaker,
    make: Callable[..., K0sDockerPlatform],
    newer: Callable[[str], K0sDocker],
    tmp_path: Path,
) -> None:
    """Backup, upgrade by one minor with a backup before it, and restore, keep what they promise."""
    settings = k0s_docker()
    platform = make(settings)
    access = platform.ensure(Run.within(PATIENCE))
    uid = cluster_uid(access)
    _note(access, "before")
    events: list[Event] = []
    archive = platform.backup_cluster(tmp_path / "kept", Run.within(PATIENCE, emit=events.append))
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert any("volumes" in event.detail for event in events)
    _note(access, "after")

    later = newer("v1.37.0+k0s.0")
    with pytest.raises(PlatformError, match=r"runs v1\.36.*, not v1\.37") as refused:
        make(later).ensure(Run.within(PATIENCE))
    assert "upgrade" in refused.value.hint
    with pytest.raises(PlatformError, match="must become some"):
        make(attrs.evolve(later, version="v1.38.0+k0s.0")).upgrade(Run.within(PATIENCE))
    with pytest.raises(PlatformError, match="cannot go down"):
        make(attrs.evolve(later, version="v1.35.0+k0s.0")).upgrade(Run.within(PATIENCE))
    upgraded = make(later)
    assert upgraded.upgrade(Run.within(PATIENCE)) == access
    assert [each.suffixes[-2:] for each in (tmp_path / "life" / "backups").glob("*.gz")] == [
        [".tar", ".gz"]
    ]
    assert cluster_uid(access) == uid
    assert _notes(access) == {"before", "after"}
    node = _list(access, "v1", "Node")[0]
    assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.37.0")
    assert upgraded.steps() == ()

    with pytest.raises(PlatformError, match="was made with version"):
        upgraded.restore_cluster(archive, Run.within(PATIENCE))
    fresh = upgraded.backup_cluster(tmp_path / "kept", Run.within(PATIENCE))
    _note(access, "later-still")
    whole = fresh.read_bytes()
    fresh.write_bytes(whole[:-100])
    with pytest.raises(PlatformError, match="damaged"):
        upgraded.restore_cluster(fresh, Run.within(PATIENCE))
    fresh.with_name(fresh.name + ".json").unlink()
    with pytest.raises(PlatformError, match="no whole archive"):
        upgraded.restore_cluster(fresh, Run.within(PATIENCE))
    fresh.write_bytes(whole)
    assert upgraded.restore_cluster(fresh, Run.within(PATIENCE)) == access
    assert _notes(access) == {"before", "after"}
    assert cluster_uid(access) == uid
    assert upgraded.steps() == ()


def test_it_survives_a_reboot_and_what_is_killed(
    k0s_docker: SettingsMaker,
    make: Callable[..., K0sDockerPlatform],
    docker: Any,
    dockerd: DockerDaemon,
    tmp_path: Path,
) -> None:
    """After a power cut it comes back by itself; what was stopped stays so; the dead is revived.

    A port that somebody took meanwhile keeps nothing down, or its holder is named.
    """
    platform = make(k0s_docker())
    access = platform.ensure(Run.within(PATIENCE))
    _note(access, "kept")
    dockerd.kill()
    status = platform.status()
    assert status.phase == "failed"
    assert "does not run" in status.detail or "not here" in status.detail
    with pytest.raises(PlatformError, match="Docker") as away:
        platform.ensure(Run.within(PATIENCE))
    assert "start Docker" in away.value.hint or "start it" in away.value.hint
    dockerd.start()
    settled(platform, "ready")
    assert "kept" in _notes(access)
    assert platform.steps() == ()

    docker.containers.get("infometis-life-0").kill()
    assert platform.ensure(Run.within(PATIENCE)) == access
    assert "kept" in _notes(access)

    platform.stop(Run.within(PATIENCE))
    dockerd.kill()
    dockerd.start()
    settled(platform, "stopped")

    # the port that was drawn for it is somebody else's by now: it goes on, on another one
    drawn = json.loads((tmp_path / "life" / "cluster.json").read_text())["api_port"]
    with socket.create_server(("127.0.0.1", drawn)):
        assert platform.start(Run.within(PATIENCE)) == access
        assert "kept" in _notes(access)
        assert platform.steps() == ()

        # one that is asked for is refused with its holder, by doctor too, and taken once it is free
        fixed = make(k0s_docker(api_port=drawn))
        platform.stop(Run.within(PATIENCE))
        with pytest.raises(PlatformError, match=rf":{drawn} is taken by .* \(process") as taken:
            fixed.ensure(Run.within(PATIENCE))
        assert "end that program" in taken.value.hint
        assert {each.check: each.level for each in fixed.preflight()}[f"port {drawn}"] == "error"
    assert fixed.ensure(Run.within(PATIENCE)) == access
    assert f':{drawn}"' in (tmp_path / "life" / "kubeconfig").read_text()
    assert "kept" in _notes(access)


def test_images_reach_every_node_without_a_registry(
    k0s_docker: SettingsMaker,
    make: Callable[..., K0sDockerPlatform],
    docker: Any,
    dockerd: DockerDaemon,
    tmp_path: Path,
) -> None:
    """Images of Docker and archives with checksums are put on all nodes; bad ones are refused."""
    platform = make(k0s_docker(nodes=2))
    platform.ensure(Run.within(PATIENCE))
    image = _small_image(docker, "shop.invalid/web:1")
    platform.load_images([image], Run.within(PATIENCE))
    nodes = [docker.containers.get(f"infometis-life-{number}") for number in range(2)]
    for node in nodes:
        assert image in printed(node, "k0s", "ctr", "images", "ls", "-q")
        assert "infometis-" not in printed(node, "ls", "/var/lib/k0s")

    other = _small_image(docker, "shop.invalid/db:2")
    [archive] = platform.export_images([other], tmp_path / "bundle", Run.within(PATIENCE))
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=archive.parent, capture_output=True, check=True
    )
    assert b"OK" in checked.stdout
    platform.load_images([archive], Run.within(PATIENCE))
    for node in nodes:
        assert other in printed(node, "k0s", "ctr", "images", "ls", "-q")

    whole = archive.read_bytes()
    archive.write_bytes(whole[:-2000] + bytes(2000))
    with pytest.raises(PlatformError, match="damaged"):
        platform.load_images([archive], Run.within(PATIENCE))
    (archive.parent / "SHA256SUMS").unlink()
    archive.write_bytes(b"no tar at all")
    with pytest.raises(PlatformError, match="no archive of images"):
        platform.load_images([archive], Run.within(PATIENCE))
    with pytest.raises(PlatformError, match="there is no image") as absent:
        platform.load_images(["shop.invalid/none:3"], Run.within(PATIENCE))
    assert "docker pull" in absent.value.hint
    nowhere = ["shop.invalid/none:3", other, "shop.invalid/none:4"]
    with pytest.raises(PlatformError, match=r"none:3', 'shop\.invalid/none:4'"):
        platform.export_images(nowhere, tmp_path / "half", Run.within(PATIENCE))
    assert not (tmp_path / "half").exists()
    with pytest.raises(PlatformError, match=r"cannot be written to .*bundle.*Not a directory"):
        platform.export_images([other], archive / "below", Run.within(PATIENCE))
    for each in (image, other):
        docker.images.remove(each)
    del dockerd


@pytest.fixture
def newer(k0s_docker: SettingsMaker, dockerd: DockerDaemon, tmp_path: Path) -> Any:
    """Make settings of another version of the stand-in; a genuine image has to be named for it."""
    import os

    from tests.standin.k0s_build import build_image
    from tests.standin.k0s_docker import GENUINE

    if os.environ.get(GENUINE):
        pytest.skip("an upgrade takes two genuine images, and one is named")

    def newer(version: str) -> K0sDocker:
        client = dockerd.client()
        try:
            build_image(client, tmp_path / "newer", version=version)
        finally:
            client.close()
        return k0s_docker(version=version)

    return newer


def _small_image(docker: Any, name: str) -> str:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("hello")
        info.size = len(name)
        archive.addfile(info, io.BytesIO(name.encode()))
    repository, _, tag = name.partition(":")
    docker.api.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag)
    return name


def _note(access: Access, name: str) -> None:
    """Leave something in the cluster by which its data is known again."""
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
    body |= {"metadata": {"name": name, "namespace": "default", "labels": {"note": "yes"}}}
    ref = ObjectRef(api_version="v1", kind="ConfigMap", namespace="default", name=name)
    cluster = open_cluster(access)
    try:
        cluster.write(Write(verb="create", ref=ref, body=body), Run.within(PATIENCE))
    finally:
        cluster.close()


def _notes(access: Access) -> set[str]:
    found = _list(access, "v1", "ConfigMap", namespace="default")
    return {each["metadata"]["name"] for each in found if each["metadata"].get("labels")}


def _census(docker: Any) -> dict[str, list[str]]:
    """Return what there is in Docker, besides images."""
    return {
        "containers": sorted(each.name for each in docker.containers.list(all=True)),
        "volumes": sorted(each.name for each in docker.volumes.list()),
        "networks": sorted(each.name for each in docker.networks.list()),
    }


def _list(access: Access, version: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
    cluster = open_cluster(access)
    try:
        return [
            json.loads(json.dumps(each))
            for each in cluster.list(version, kind, Run.within(PATIENCE), namespace=namespace)
        ]
    finally:
        cluster.close()


def _nodes(access: Access) -> list[str]:
    return sorted(each["metadata"]["name"] for each in _list(access, "v1", "Node"))
