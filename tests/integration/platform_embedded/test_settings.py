"""What the embedded platform makes of its settings, and what nobody else may see."""

from __future__ import annotations

import json
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.platform_embedded.helpers import make, processes

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.api import Api
from infometis_platform_embedded.layout import Layout
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import PlatformContext
from infometis_sdk.testing.platform_contract import cluster_uid

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration


@pytest.fixture
def state_dir(tmp_path: Path, embedded_access: object) -> Iterator[Path]:
    """Give the state directory of a cluster, which is destroyed at the end."""
    del embedded_access
    folder = tmp_path / "cluster"
    yield folder
    make(folder).destroy(Run.within(300))


def test_the_number_and_size_of_nodes_can_change(state_dir: Path) -> None:
    """A running cluster takes on other nodes without a restart, and gives up those too many."""
    uid = cluster_uid(make(state_dir, Embedded(nodes=3)).ensure(Run.within(300)))
    changed = make(state_dir, Embedded(nodes=2, node_cpu="4", node_pods=7))
    assert cluster_uid(changed.ensure(Run.within(300))) == uid
    layout = Layout(state_dir)
    port = json.loads(layout.plan.read_text())["ports"]["api"]
    api = Api(port=port, pki=layout.pki, user="admin")
    try:
        found = {
            each["metadata"]["name"]: each["status"]["allocatable"]
            for each in api.get("/api/v1/nodes")["items"]
        }
    finally:
        api.close()
    assert sorted(found) == ["node-1", "node-2"]
    assert {(each["cpu"], each["pods"]) for each in found.values()} == {("4", "7")}


def test_the_steps_are_those_of_ensure(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run names what would be made, started or changed, then nothing; and it does none."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    fresh = make(state_dir)
    start, write, seed = fresh.steps()
    assert start == f"start Kubernetes {Embedded().kubernetes} on a free port of 127.0.0.1"
    assert write == f"write {state_dir / 'kubeconfig'}"
    assert seed == "make 1 simulated node and the StorageClass standard"
    assert not state_dir.exists()
    fresh.ensure(Run.within(300))
    assert fresh.steps() == ()
    more = make(state_dir, Embedded(nodes=2))
    assert more.steps() == ("make 2 simulated nodes and the StorageClass standard",)
    fresh.stop(Run.within(300))
    port = json.loads(Layout(state_dir).plan.read_text())["ports"]["api"]
    assert fresh.steps()[0].endswith(f"on port {port} of 127.0.0.1, with its data")
    with pytest.raises(PlatformError, match="lifetime"):
        make(state_dir, Embedded(lifetime="ephemeral")).steps()

    nowhere = PlatformContext(cluster="none", state_dir=tmp_path / "s", cache_dir=tmp_path / "c")
    bare = EmbeddedPlatform(Embedded(assets=str(tmp_path)), nowhere)
    assert bare.steps()[0].startswith("download or build etcd, kube-apiserver")
    (found,) = (each for each in bare.preflight() if each.check == "control plane")
    assert (found.level, "downloads or builds" in found.cure) == ("warning", True)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lifetime": "ephemeral"}, "lifetime"),
        ({"data_dir": "/nonexistent"}, "data_dir"),
        ({"kubernetes": "v1.35.0"}, "kubernetes"),
        ({"kubernetes": "v1.38.0"}, "kubernetes"),
    ],
)
def test_a_cluster_cannot_change_its_kind(
    state_dir: Path, changes: dict[str, str], named: str
) -> None:
    """A setting that an existing cluster cannot take on is refused by name; it runs on."""
    platform = make(state_dir)
    access = platform.ensure(Run.within(300))
    with pytest.raises(PlatformError, match=named):
        make(state_dir, Embedded(**changes)).ensure(Run.within(300))  # type: ignore[arg-type]
    assert platform.connect() == access


def test_the_data_may_live_elsewhere(state_dir: Path, tmp_path: Path) -> None:
    """A data directory of the user's is used, not taken from another, and left as it was."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "theirs").mkdir(parents=True)
    settings = Embedded(data_dir=str(elsewhere))
    platform = make(state_dir, settings)
    platform.ensure(Run.within(300))
    assert (elsewhere / "other" / "etcd" / "member").is_dir()
    with pytest.raises(PlatformError, match="belongs to another"):
        make(tmp_path / "second", settings).ensure(Run.within(300))
    make(tmp_path / "second", settings).destroy(Run.within(10))
    assert platform.status().phase == "ready"
    platform.destroy(Run.within(300))
    assert [each.name for each in elsewhere.iterdir()] == ["theirs"]


def test_nothing_is_open_to_others(state_dir: Path) -> None:
    """Keys are ours alone, command lines hold none, and every port is on loopback."""
    make(state_dir).ensure(Run.within(300))
    for path in state_dir.rglob("*"):
        allowed = 0o700 if path.is_dir() else 0o600
        if not path.is_relative_to(state_dir / "data"):  # etcd's own files, in a folder of 0700
            assert stat.S_IMODE(path.stat().st_mode) & ~allowed == 0, path
    keys = [path.read_text().splitlines()[1] for path in (state_dir / "pki").glob("*.key")]
    assert keys
    for words in processes(state_dir).values():
        assert not any(key in word for key in keys for word in words)
    assert _listening(processes(state_dir)) == {"127.0.0.1"}


def test_etcd_listens_to_the_api_server_only(state_dir: Path) -> None:
    """Neither a stranger nor who holds a certificate of the cluster can speak to etcd."""
    make(state_dir).ensure(Run.within(300))
    layout = Layout(state_dir)
    port = json.loads(layout.plan.read_text())["ports"]["etcd"]
    for user in ("admin", ""):
        tls = ssl.create_default_context(cafile=str(layout.pki / "etcd-ca.crt"))
        if user:
            tls.load_cert_chain(layout.pki / f"{user}.crt", layout.pki / f"{user}.key")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            _get_version(port, tls)
    tls = ssl.create_default_context(cafile=str(layout.pki / "etcd-ca.crt"))
    own = layout.pki / "apiserver-etcd-client.crt"
    tls.load_cert_chain(own, own.with_suffix(".key"))
    assert _get_version(port, tls) == 200


def _get_version(port: int, tls: ssl.SSLContext) -> int:
    import http.client

    connection = http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=5)
    try:
        connection.request("GET", "/version")
        return connection.getresponse().status
    finally:
        connection.close()


def _listening(pids: dict[int, list[str]]) -> set[str]:
    """Return the addresses on which processes listen, from the kernel's tables."""
    sockets = {
        link.readlink().name.partition("[")[2].rstrip("]")
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in sockets:
                address = words[1].partition(":")[0]
                loopback = address == "0100007F"
                found.add("127.0.0.1" if loopback else address)
    return found
