"""One project on every platform that this repository has, and on a third-party one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kind_nodes import kind_image, kind_settings, on_dockerd

import infometis_sdk as im
from infometis_platform_embedded import Embedded

if TYPE_CHECKING:
    from tests.k0s_hosts import Site
    from tests.standin.k0s_docker import SettingsMaker

    from infometis_sdk.ports.platform import Access

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

__all__ = ("kind_image", "on_dockerd")

_EXAMPLE = Path(__file__).parents[3] / "examples/platform_borrowed/src"


@pytest.mark.usefixtures("on_dockerd")
def test_one_project_has_equal_cores_on_every_platform(  # noqa: PLR0917 - all platforms
    kind_image: str,
    k0s_docker: SettingsMaker,
    hosts: Site,
    embedded_access: Access,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same services come up everywhere, and their core digests are equal."""
    path = _EXAMPLE / "infometis_platform_borrowed" / "__init__.py"
    spec = importlib.util.spec_from_file_location("borrowed_example", path)
    assert spec is not None
    assert spec.loader is not None
    borrowed = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "borrowed_example", borrowed)
    spec.loader.exec_module(borrowed)
    given = str(embedded_access.kubeconfig)
    platforms = {
        "k0s-docker": k0s_docker(),
        "kind": kind_settings(kind_image),
        "k0s-host": hosts.settings(hosts.host("alpha", "single")),
        "embedded": Embedded(lifetime="ephemeral"),
        "existing": im.Existing(kubeconfig=given, context=embedded_access.context),
        "borrowed": borrowed.Borrowed(kubeconfig=given),
    }
    hello = im.Service.web("hello", image="docker.io/library/nginx:1.29", port=80)
    project = im.Project(
        name="demo",
        id="demo",
        services={"hello": hello},
        environments={name: im.Environment(name, platform=p) for name, p in platforms.items()},
    )
    ws = im.Workspace(project, plugins=[borrowed], state_dir=tmp_path / "state")
    digests = {}
    for name in platforms:
        stack = ws[name]
        try:
            assert stack.up().platform == name
            digests[name] = (stack.render().digest, dict(stack.render().digests))
        finally:
            if stack.platform.status().phase == "ready":
                stack.down(delete_data=True)
            if stack.platform.owned:
                stack.destroy()
    first = digests["kind"]
    assert first[0].startswith("sha256:")
    assert digests == dict.fromkeys(platforms, first)
