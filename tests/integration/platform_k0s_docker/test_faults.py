"""What goes wrong round k0s in Docker: a clear error, and a second run that converges."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import tarfile
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.settling import settled
from tests.standin.k0s_docker import GENUINE

from infometis_platform_k0s_docker.platform import K0sDockerPlatform
from infometis_sdk.errors import MissingPartError, PlatformError
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import PlatformContext
from infometis_sdk.testing.platform_contract import cluster_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.docker_daemon import DockerDaemon
    from tests.standin.k0s_docker import SettingsMaker

    from infometis_platform_k0s_docker import K0sDocker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PATIENCE = 500.0
FIRST = "infometis-fault-0"


@pytest.fixture
def docker(dockerd: DockerDaemon) -> Iterator[Any]:
    """Give a client of the docker SDK; what a test made with it goes, also where it failed."""
    client = dockerd.client()
    kinds = (
        lambda: client.containers.list(all=True),
        client.volumes.list,
        client.networks.list,
    )
    before = [{each.name for each in kind()} for kind in kinds]
    yield client
    for kind, known in zip(kinds, before, strict=True):
        for each in kind():
            if each.name not in known:
                each.remove(**({"force": True} if hasattr(each, "kill") else {}))
    client.close()


@pytest.fixture
def make(tmp_path: Path, docker: Any) -> Iterator[Callable[[K0sDocker], K0sDockerPlatform]]:
    """Make platforms over one state folder, which end with the test."""
    made: list[K0sDockerPlatform] = []

    def make(settings: K0sDocker) -> K0sDockerPlatform:
        context = PlatformContext(cluster="fault", state_dir=tmp_path / "state", cache_dir=tmp_path)
        made.append(K0sDockerPlatform(settings, context, environ={}))
        return made[-1]

    yield make
    del docker  # named so that it outlives what is made in it
    for platform in made:
        platform.destroy(Run.within(PATIENCE))


def test_what_is_foreign_stays_as_it_is(
    k0s_docker: SettingsMaker, make: Callable[..., K0sDockerPlatform], docker: Any, tmp_path: Path
) -> None:
    """A foreign container, volume or network with our name is refused, and stays untouched."""
    settings = k0s_docker()
    image = settings.reference
    kept = docker.containers.run(
        image, ["sleep", "100000"], entrypoint="", detach=True, name="bystander", init=True,
        volumes={"bystander-data": {"bind": "/data"}},
    )  # fmt: skip
    kept.exec_run(["sh", "-c", "echo precious > /data/file; echo mine > /etc/mine"])
    foreign = docker.containers.create(image, ["sleep", "1"], entrypoint="", name=FIRST)
    before = _foreign(docker, kept, foreign)
    platform = make(settings)
    with pytest.raises(PlatformError, match=f"a container '{FIRST}' already") as refused:
        platform.ensure(Run.within(PATIENCE))
    assert "docker inspect" in refused.value.hint
    platform.destroy(Run.within(PATIENCE))
    assert _foreign(docker, kept, foreign) == before

    foreign.remove()
    volume = docker.volumes.create(f"{FIRST}-data", labels={"whose": "theirs"})
    with pytest.raises(PlatformError, match=r"a volume .* already") as refused:
        platform.ensure(Run.within(PATIENCE))
    assert "it may hold data" in refused.value.hint
    platform.destroy(Run.within(PATIENCE))
    assert docker.volumes.get(volume.name).attrs == volume.attrs
    volume.remove()

    network = docker.networks.create("infometis-fault")
    with pytest.raises(PlatformError, match=r"a network .* already"):
        platform.ensure(Run.within(PATIENCE))
    platform.destroy(Run.within(PATIENCE))
    assert docker.networks.get(network.id).attrs == network.attrs
    network.remove()

    # and a whole life of ours beside it changes nothing either
    before = _foreign(docker, kept)
    platform.ensure(Run.within(PATIENCE))
    platform.destroy(Run.within(PATIENCE))
    assert _foreign(docker, kept) == before
    assert not (tmp_path / "state").exists()
    kept.remove(force=True)
    docker.volumes.get("bystander-data").remove()


def test_it_is_refused_before_anything_is_made(
    k0s_docker: SettingsMaker, make: Callable[..., K0sDockerPlatform], docker: Any, tmp_path: Path
) -> None:
    """A taken port, a lacking or wrong image, and cgroup v1 are told with the cure, at once."""
    settings = k0s_docker()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PlatformError, match=f"{port} is taken by .*py") as taken:
            make(attrs.evolve(settings, ports=(f"{port}:80",))).ensure(Run.within(PATIENCE))
        assert "another port" in taken.value.hint
    absent = attrs.evolve(settings, image="registry.invalid/k0sproject/k0s", digest="")
    with pytest.raises(MissingPartError, match="cannot be had") as missing:
        make(absent).ensure(Run.within(PATIENCE))
    assert "docker load" in missing.value.hint
    make(absent).destroy(Run.within(PATIENCE))
    other = _of_other_machine(docker, "wrong.invalid/k0sproject/k0s:v1.36.3-k0s.0")
    wrong = attrs.evolve(
        settings, image=other.partition(":")[0], version="v1.36.3+k0s.0", digest=""
    )
    with pytest.raises(PlatformError, match=r"is for s390x, and this Docker runs \w+"):
        make(wrong).ensure(Run.within(PATIENCE))
    make(wrong).destroy(Run.within(PATIENCE))
    docker.images.remove(other)
    if "cgroup" in settings.ignore_preflight:
        strict = attrs.evolve(settings, ignore_preflight=("disk",))
        with pytest.raises(PlatformError, match="cgroup v1") as legacy:
            make(strict).ensure(Run.within(PATIENCE))
        assert "unified_cgroup_hierarchy" in legacy.value.hint
        found = {each.check: each for each in make(strict).preflight()}
        assert found["cgroup"].level == "error"
        ignored = {each.check: each for each in make(settings).preflight()}
        assert ignored["cgroup"].level == "warning"  # which no `auto` takes for an obstacle
    assert not (tmp_path / "state").exists()
    assert not docker.networks.list(names=["infometis-fault"])


def test_it_converges_after_what_happens_on_the_way(
    k0s_docker: SettingsMaker,
    make: Callable[..., K0sDockerPlatform],
    docker: Any,
    dockerd: DockerDaemon,
) -> None:
    """A node killed, or Docker started anew, in the midst of making: the next run goes on."""
    platform = make(k0s_docker())

    def kill(event: Event) -> None:
        if event.name == "wait":
            docker.containers.get(FIRST).kill()

    with pytest.raises(PlatformError, match="ended with code 137; its last lines") as killed:
        platform.ensure(Run.within(PATIENCE, emit=kill))
    assert "run this again" in killed.value.hint
    settled(platform, "stopped")

    hits: list[Event] = []

    def restart(event: Event) -> None:
        if event.name == "start node" and not hits:
            hits.append(event)
            dockerd.kill()

    with pytest.raises(PlatformError, match="Docker"):
        platform.ensure(Run.within(PATIENCE, emit=restart))
    assert hits
    dockerd.start()
    access = platform.ensure(Run.within(PATIENCE))
    uid = cluster_uid(access)
    settled(platform, "ready")

    # a container that somebody removed is made anew around its data
    docker.containers.get(FIRST).remove(force=True)
    settled(platform, "failed")
    assert platform.ensure(Run.within(PATIENCE)) == access
    assert cluster_uid(access) == uid

    # but no empty cluster takes the name of one whose data is gone
    docker.containers.get(FIRST).remove(force=True)
    docker.volumes.get(f"{FIRST}-data").remove()
    with pytest.raises(PlatformError, match="with the data of cluster 'fault' was removed") as lost:
        platform.ensure(Run.within(PATIENCE))
    assert "restore a backup" in lost.value.hint
    platform.destroy(Run.within(PATIENCE))
    assert not docker.volumes.list(filters={"label": "io.infometis.cluster=fault"})


def test_a_rebuilt_cluster_is_reached_at_its_old_address(
    k0s_docker: SettingsMaker, make: Callable[..., K0sDockerPlatform], docker: Any, tmp_path: Path
) -> None:
    """Another cluster at the same port has another authority; ours is written anew, and trusted."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    platform = make(k0s_docker(api_port=port))
    first = cluster_uid(platform.ensure(Run.within(PATIENCE)))
    stale = (tmp_path / "state" / "kubeconfig").read_text()
    platform.destroy(Run.within(PATIENCE))
    access = platform.ensure(Run.within(PATIENCE))
    assert cluster_uid(access) != first
    # a kubeconfig of the cluster before it, as a backup of the state folder would bring back
    (tmp_path / "state" / "kubeconfig").write_text(stale)
    settled(platform, "starting")
    assert platform.ensure(Run.within(PATIENCE)) == access
    assert cluster_uid(access) != first
    settled(platform, "ready")

    # the disk of a node is full while an image comes in
    if os.environ.get(GENUINE):
        return  # its store is not where the stand-in has its own
    node = docker.containers.get(FIRST)
    store = "/var/lib/k0s/containerd/standin"
    node.exec_run(["mkdir", "-p", store], privileged=True)
    full = node.exec_run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", store], privileged=True)
    if full.exit_code:
        pytest.skip(f"the image cannot mount: {full.output.decode()}")
    image = _big_image(docker, "big.invalid/one:1")
    with pytest.raises(PlatformError, match="no space left") as refused:
        platform.load_images([image], Run.within(PATIENCE))
    assert "make room" in refused.value.hint
    node.exec_run(["umount", store], privileged=True)
    platform.load_images([image], Run.within(PATIENCE))
    docker.images.remove(image)


def _foreign(docker: Any, *containers: Any) -> list[str]:
    """Return all that can be seen of foreign containers, their files and volumes."""
    seen = []
    for each in containers:
        each.reload()
        state = {key: each.attrs[key] for key in ("Id", "State", "Config", "HostConfig", "Mounts")}
        changes = sorted(docker.api.diff(each.id) or (), key=lambda change: change["Path"])
        seen.append(json.dumps([state, changes], sort_keys=True))
        for mount in each.attrs["Mounts"]:
            stream, _ = docker.api.get_archive(each.id, mount["Destination"])
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                seen += [f"{info.get_info()}" for info in archive]
            seen.append(json.dumps(docker.volumes.get(mount["Name"]).attrs, sort_keys=True))
    return seen


def _of_other_machine(docker: Any, name: str) -> str:
    """Load an image that says it is for s390x."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("hello"))
    blob = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "s390x",
            "os": "linux",
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(blob).hexdigest()}"],
            },
        }
    ).encode()
    manifest = json.dumps([{"Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"]}]).encode()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for path, content in (("c.json", config), ("l.tar", blob), ("manifest.json", manifest)):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    docker.images.load(whole.getvalue())
    return name


def _big_image(docker: Any, name: str) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("big")
        info.size = 1 << 20
        archive.addfile(info, io.BytesIO(bytes(1 << 20)))
    repository, _, tag = name.partition(":")
    docker.api.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag)
    return name
