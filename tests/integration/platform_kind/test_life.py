"""A stack's whole life on kind: the genuine program, a dockerd of our own, other people's things.

The node image is the stand-in of ``tests/standin``; with ``INFOMETIS_KIND_IMAGE`` the genuine one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.docker_daemon import printed
from tests.kind_nodes import kind_image, kind_settings, on_dockerd
from tests.settling import settled
from tests.standin.k0s_build import BASE

import infometis_sdk as im
from infometis_sdk.errors import PlatformError, RefusedError, UnreachableError
from infometis_sdk.model.run import Run
from infometis_sdk.workspace.cluster_life import load_images, steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker_daemon import DockerDaemon


pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

__all__ = ("kind_image", "on_dockerd")


def _project(**platforms: Any) -> im.Project:
    """Make a project of one web service, in an environment for each platform."""
    hello = im.Service.web("hello", image="docker.io/library/nginx:1.29", port=80)
    return im.Project(
        name="demo",
        id="demo",
        services={"hello": hello},
        environments={
            name: im.Environment(name, platform=platform) for name, platform in platforms.items()
        },
    )


def _everything(daemon: DockerDaemon) -> dict[str, Any]:
    """Return what the daemon holds: containers, volumes and networks, with what they are."""
    client = daemon.client()
    try:
        return {
            "containers": {
                each.id: (each.name, each.status, each.labels)
                for each in client.containers.list(all=True)
            },
            "volumes": sorted(each.id for each in client.volumes.list()),
            "networks": sorted(each.name for each in client.networks.list()),
        }
    finally:
        client.close()


def test_a_life_on_kind(
    kind_image: str,
    on_dockerd: DockerDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up, look, kill, up again, load, down and destroy; and what is others' stays as it is."""
    client = on_dockerd.client()
    users = tmp_path / "users-kubeconfig"
    users.write_text("apiVersion: v1\nkind: Config\ncurrent-context: mine\n")
    monkeypatch.setenv("KUBECONFIG", str(users))
    foreign = client.containers.create(BASE, ["sleep", "600"], name="demo-other", labels={"a": "b"})
    volume = client.volumes.create("somebodys")
    before = _everything(on_dockerd)
    project = _project(dev=kind_settings(kind_image, ports=("18080:80",)))
    ws = im.Workspace(project, state_dir=tmp_path / "state")
    dev = ws["dev"]
    try:
        assert any("18080" in step for step in steps(dev))
        report = dev.up()
        assert report.changed
        assert report.platform == "kind"
        assert not dev.up().changed
        assert dev.status().ready
        assert steps(dev) == ()
        assert {each.state for each in dev.capabilities() if each.name == "host_ports"} == {
            "declared"
        }
        findings = {each.check: each for each in dev.doctor(probe=False).findings}  # type: ignore[attr-defined]
        assert findings["cluster"].level == "ok"

        node = client.containers.get("demo-dev-control-plane")
        node.kill()
        settled(dev.platform, "stopped", "failed")
        with pytest.raises(UnreachableError, match="dev does not answer, and is stopped") as away:
            dev.status()
        assert "infometis up" in away.value.hint
        assert not dev.up().changed
        settled(dev.platform, "ready", "starting")

        with pytest.raises(PlatformError, match=r"nowhere\.invalid/app:1"):
            load_images(dev, ["nowhere.invalid/app:1"], Run.within(300))
        load_images(dev, [BASE], Run.within(300))
        node = client.containers.get("demo-dev-control-plane")
        assert BASE in printed(node, "ctr", "-n", "k8s.io", "images", "ls")

        # A dockerd that was restarted, as on a reboot of the machine, brings the cluster back.
        on_dockerd.restart()
        assert not dev.up().changed

        dev.down(delete_data=True)
        dev.destroy()
        assert _everything(on_dockerd) == before
        assert not (tmp_path / "state" / "clusters" / "kind" / "demo-dev").exists()
        assert users.read_text().endswith("current-context: mine\n")
        settled(dev.platform, "absent")
    finally:
        dev.platform.destroy(Run.within(300))
        foreign.remove(force=True)
        volume.remove()
        client.close()


def test_a_choice_survives_a_stopped_docker(
    kind_image: str,
    on_dockerd: DockerDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stack that auto put on kind stays there when docker is gone: an error, no second stack."""
    settings = kind_settings(kind_image)
    own = {"image": kind_image, "ports": [], "ignore_preflight": list(settings.ignore_preflight)}
    platform = {"type": "auto", "kind": own}
    dev = im.Workspace(_project(dev=platform), state_dir=tmp_path / "state")["dev"].on("kind")
    try:
        dev.up()
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        later = im.Workspace(_project(dev=platform), state_dir=tmp_path / "state")["dev"]
        assert later.chosen.name == "kind"
        with pytest.raises(PlatformError, match="docker"):
            later.up()
        with pytest.raises(RefusedError, match="lives on kind, not on embedded"):
            later.on("embedded").up()
    finally:
        monkeypatch.setenv("DOCKER_HOST", on_dockerd.url)
        dev.destroy()
