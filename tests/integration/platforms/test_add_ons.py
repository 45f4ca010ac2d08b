"""Add-ons of a platform, on the genuine API server of the run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

import infometis_sdk as im
from infometis_sdk.errors import PlanRefusedError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.ports.platform import (
    Access,
    Platform,
    PlatformContext,
    PlatformSpec,
    PlatformStatus,
)
from infometis_sdk.workspace.beside import add_ons_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from infometis_sdk.ports.cluster import Cluster

pytestmark = pytest.mark.integration


@frozen(kw_only=True)
class _Lent:
    """Settings: the kubeconfig, and the data of the one add-on."""

    kubeconfig: str
    name: str
    data: str


class _LentPlatform(Platform):
    """Lends the cluster of the run, and says that it lacks a ConfigMap and a StorageClass."""

    def __init__(self, settings: _Lent, context: PlatformContext) -> None:
        self._settings, self._folder = settings, context.state_dir

    def ensure(self, run: Run) -> Access:
        run.check("lending")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / "kubeconfig").touch(mode=0o600)
        shutil.copyfile(self._settings.kubeconfig, self._folder / "kubeconfig")
        return self.connect()

    def status(self) -> PlatformStatus:
        return PlatformStatus(phase="ready", simulated=True)

    def connect(self) -> Access:
        return Access(kubeconfig=self._folder / "kubeconfig", simulated=True)

    def destroy(self, run: Run) -> None:
        del run
        shutil.rmtree(self._folder, ignore_errors=True)

    def add_ons(self) -> tuple[Mapping[str, Any], ...]:
        name, data = self._settings.name, {"said": self._settings.data}
        return (
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": name},
                "provisioner": "example.com/none",
            },
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data},
        )


class _Plugin:
    @hookimpl
    def infometis_platforms(self) -> tuple[PlatformSpec, ...]:
        return (PlatformSpec(name="lent", summary="lent", settings=_Lent, factory=_LentPlatform),)


def _workspace(
    embedded_access: Access, tmp_path: Path, name: str, *, data: str = "one"
) -> im.Workspace:
    platform = _Lent(kubeconfig=str(embedded_access.kubeconfig), name=name, data=data)
    hello = im.Service(
        name="hello",
        manifests=[{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello"}}],
    )
    environments = {
        each: im.Environment(each, platform=platform, namespace=f"{name}-{each}")
        for each in ("a", "b")
    }
    project = im.Project(name=name, id=name, services={"hello": hello}, environments=environments)
    return im.Workspace(
        project, plugins=[_Plugin()], state_dir=tmp_path / "state", cache_dir=tmp_path / "cache"
    )


@pytest.fixture
def door(embedded_access: Access) -> Iterator[Cluster]:
    """Give another door to the cluster."""
    cluster = im.open_cluster(embedded_access)
    yield cluster
    cluster.close()


def _add_on(door: Cluster, stack: im.Stack, name: str) -> Mapping[str, Any] | None:
    namespace = add_ons_of(stack)
    ref = ObjectRef(api_version="v1", kind="ConfigMap", namespace=namespace, name=name)
    return door.get(ref, Run.within(300))


def test_add_ons_come_before_the_stack_and_outlive_it(
    embedded_access: Access, tmp_path: Path, namespace_name: str, door: Cluster
) -> None:
    """What the cluster lacks is there after up, is changed with the platform, and stays on down."""
    stack = _workspace(embedded_access, tmp_path, namespace_name)["a"]
    stack.up()
    found = _add_on(door, stack, namespace_name)
    assert found is not None
    assert found["data"] == {"said": "one"}
    version = found["metadata"]["resourceVersion"]
    assert not stack.up().changed
    again = _add_on(door, stack, namespace_name)
    assert again is not None
    assert again["metadata"]["resourceVersion"] == version

    changed = _workspace(embedded_access, tmp_path, namespace_name, data="two")["a"]
    assert not changed.up().changed
    found = _add_on(door, stack, namespace_name)
    assert found is not None
    assert found["data"] == {"said": "two"}

    changed.down(delete_data=True)
    assert _add_on(door, stack, namespace_name) is not None


def test_what_others_made_is_not_taken_over(
    embedded_access: Access, tmp_path: Path, namespace_name: str, door: Cluster
) -> None:
    """An object of an add-on's name that is not ours is refused, and nothing is written."""
    body = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": namespace_name},
        "provisioner": "example.com/theirs",
    }
    door.write(Write(verb="create", ref=ObjectRef.of(body), body=body), Run.within(300))
    stack = _workspace(embedded_access, tmp_path, namespace_name)["a"]
    with pytest.raises(PlanRefusedError, match=namespace_name):
        stack.up()
    assert _add_on(door, stack, namespace_name) is None
    home = ObjectRef(api_version="v1", kind="Namespace", name=f"{namespace_name}-a")
    assert door.get(home, Run.within(300)) is None
