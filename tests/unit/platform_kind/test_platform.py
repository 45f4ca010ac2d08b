from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.platform_kind.transcripts import Replay, container, failed, platform, said

from infometis_platform_kind import nodes, platform as module
from infometis_platform_kind.plan import Plan
from infometis_sdk.errors import MissingPartError, PlatformError
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infometis_platform_kind.engine import Node

KUBECONFIG = "apiVersion: v1\nkind: Config\n"


@pytest.fixture(autouse=True)
def _answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the API answer and all nodes be ready; what is said of containers is replayed."""

    def ask(access: Access, found: Sequence[Node], run: Run) -> tuple[str, str]:
        run.check("asking")
        assert access.kubeconfig is not None
        assert access.kubeconfig.exists()
        return f"v1.37.{sum(node.joins for node in found)}", ""

    monkeypatch.setattr(module, "ask_api", ask)
    monkeypatch.setattr(nodes, "ask_api", ask)


def _creating(*containers: dict[str, Any]) -> Replay:
    """Replay a machine on which kind makes these containers."""
    replay = Replay(
        {
            "kind create cluster": said(
                stderr='Creating cluster "demo" ...\n • Ensuring node image (x) 🖼  ...\n'
                " ✓ Ensuring node image (x) 🖼\nHave a nice day! 👋\n"
            ),
            "kind get kubeconfig": said(KUBECONFIG),
            "kind delete cluster": said(stderr='Deleting cluster "demo" ...\n'),
            "docker network rm": said("kind\n"),
        }
    )
    ids = "".join(f"{each['Id']}\n" for each in containers)
    # None before kind made them; then they are there.
    replay.answers["docker ps"] = [said(), said(ids)]
    replay.answers["docker inspect"] = [said(json.dumps(containers))]
    return replay


def _made(folder: Path, replay: Replay, **plan: Any) -> None:
    """Remember a cluster of one node as made."""
    state = folder / "state"
    state.mkdir()
    (state / "kubeconfig").write_text(KUBECONFIG)
    settings = platform(folder, replay)._settings
    Plan(
        **{
            "name": "demo",
            "image": settings.node_image,
            "nodes": {"demo-control-plane": "id-of-demo-control-plane"},
            "addresses": {"demo-control-plane": "172.18.0.2"},
            **plan,
        }
    ).write(state)


def test_a_cluster_is_made_with_our_own_kubeconfig(tmp_path: Path) -> None:
    """Kind gets our configuration on stdin and writes into no file of the user's."""
    replay = _creating(container("demo-control-plane"))
    events: list[Event] = []
    access = platform(tmp_path, replay).ensure(Run.within(60, emit=events.append))
    (create,) = replay.ran("kind create cluster")
    assert f"--kubeconfig {tmp_path}/state/kubeconfig.kind" in create
    assert "--wait" not in create
    config = json.loads(replay.fed[replay.asked.index(create)])
    assert config["name"] == "demo"
    assert access == Access(kubeconfig=tmp_path / "state" / "kubeconfig", context="kind-demo")
    assert access.kubeconfig is not None
    assert access.kubeconfig.read_text() == KUBECONFIG
    assert access.kubeconfig.stat().st_mode & 0o777 == 0o600
    told = [event.detail for event in events if event.state == "progress"]
    assert told == ["Ensuring node image (x)", "Ensuring node image (x)"]


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    """What a crash left is removed first, since kind cannot go on with it."""
    replay = _creating(container("demo-control-plane"))
    replay.answers["docker ps"].insert(0, said("id-of-demo-control-plane\n"))
    replay.answers["docker ps"].pop(1)
    _made(tmp_path, replay, nodes={}, addresses={})
    platform(tmp_path, replay).ensure(Run.within(60))
    order = [command.split(" --")[0] for command in replay.asked if command.startswith("kind ")]
    assert order.index("kind delete cluster") < order.index("kind create cluster")


def test_a_foreign_cluster_of_that_name_is_not_touched(tmp_path: Path) -> None:
    """Who made it is asked, not assumed; the hint says how to use it by name."""
    replay = Replay()
    replay.nodes(container("demo-control-plane"))
    with pytest.raises(PlatformError, match="which this project did not make") as caught:
        platform(tmp_path, replay).ensure(Run.within(60))
    assert "adopt: demo" in caught.value.hint
    assert replay.ran("kind") == []


def test_containers_in_the_place_of_ours_are_not_ours(tmp_path: Path) -> None:
    """A cluster that somebody re-created under our name is neither used nor removed."""
    replay = Replay({"docker network rm": said()})
    _made(tmp_path, replay)
    replay.nodes(container("demo-control-plane", ident="another"))
    with pytest.raises(PlatformError, match="not the container that this project made"):
        platform(tmp_path, replay).ensure(Run.within(60))
    platform(tmp_path, replay).destroy(Run.within(60))
    assert replay.ran("kind delete") == []
    assert not (tmp_path / "state").exists()


def test_a_removed_node_is_told(tmp_path: Path) -> None:
    """Kind can add no node, so the loss of one is said with what is left to do."""
    replay = Replay()
    _made(
        tmp_path,
        replay,
        workers=1,
        nodes={"demo-control-plane": "id-of-demo-control-plane", "demo-worker": "gone"},
    )
    replay.nodes(container("demo-control-plane"))
    with pytest.raises(PlatformError, match="node demo-worker was removed"):
        platform(tmp_path, replay, workers=1).ensure(Run.within(60))


@pytest.mark.parametrize(
    "changed", [{"workers": 1}, {"ports": ("80:80",)}, {"api_port": 7000}, {"image": "other:1"}]
)
def test_what_kind_cannot_change_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    """A setting that would need a new cluster is an error, never silently without effect."""
    replay = Replay()
    _made(tmp_path, replay)
    replay.nodes(container("demo-control-plane"))
    with pytest.raises(PlatformError, match="was made with"):
        platform(tmp_path, replay, **changed).ensure(Run.within(60))


def test_adoption_is_by_name_alone_and_never_removes(tmp_path: Path) -> None:
    """An existing cluster is used where it is named, and stays when we go."""
    replay = Replay({"kind get kubeconfig": said(KUBECONFIG)})
    replay.nodes(container("theirs-control-plane"))
    adopted = platform(tmp_path, replay, adopt="theirs")
    access = adopted.ensure(Run.within(60))
    assert access.context == "kind-theirs"
    assert not adopted.owned
    assert any("label=io.x-k8s.kind.cluster=theirs" in each for each in replay.ran("docker ps"))
    with pytest.raises(PlatformError, match="not ours to remove"):
        adopted.destroy(Run.within(60))
    assert replay.ran("kind delete") == replay.ran("kind create") == []
    nobody = Replay({"docker ps": [said(), said("one\ntwo\none\n")]})
    with pytest.raises(PlatformError, match="there is no kind cluster 'theirs'") as caught:
        platform(tmp_path / "b", nobody, adopt="theirs").ensure(Run.within(60))
    assert "one, two" in caught.value.hint


def test_new_addresses_are_repaired_by_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes that do not find each other under new addresses are started in their first order."""
    replay = Replay({"docker stop": said(), "docker start": said()})
    replay.nodes(
        container("demo-control-plane", address="172.18.0.3"),
        container("demo-worker", address="172.18.0.2"),
    )
    answers = iter(["not ready: demo-worker", "not ready: demo-worker", ""])
    monkeypatch.setattr(nodes, "ask_api", lambda *_: ("v1.37.0", next(answers)))
    monkeypatch.setattr(nodes, "_REPAIR", -1.0)
    had = {"demo-control-plane": "172.18.0.2", "demo-worker": "172.18.0.3"}
    engine = platform(tmp_path, replay)._engine

    def start(names: list[str], run: Run) -> None:
        run.check("starting")
        replay.asked += names
        replay.nodes(
            container("demo-control-plane", address="172.18.0.2"),
            container("demo-worker", address="172.18.0.3"),
        )

    monkeypatch.setattr(engine, "start", start)
    nodes.wait_ready(engine, Access(kubeconfig=tmp_path), "demo", had, Run.within(60))
    assert [each for each in replay.asked if each.startswith("demo-")] == [
        "demo-control-plane",
        "demo-worker",
    ]


def test_addresses_that_stay_wrong_are_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others hold the addresses, the error says so and offers a new cluster."""
    replay = Replay({"docker stop": said(), "docker start": said()})
    replay.nodes(
        container("demo-control-plane", address="172.18.0.9"),
        container("demo-worker", address="172.18.0.8"),
    )
    monkeypatch.setattr(nodes, "ask_api", lambda *_: ("v1.37.0", "not ready: demo-worker"))
    monkeypatch.setattr(nodes, "_REPAIR", -1.0)
    had = {"demo-control-plane": "172.18.0.2", "demo-worker": "172.18.0.3"}
    engine = platform(tmp_path, replay)._engine
    with pytest.raises(PlatformError, match=r"demo-worker had 172\.18\.0\.3 and has 172\.18\.0\.8"):
        nodes.wait_ready(engine, Access(kubeconfig=tmp_path), "demo", had, Run.within(60))


def test_what_the_api_remembers_of_nodes_is_no_evidence() -> None:
    """A node counts once its kubelet has spoken after the start of its container."""
    began = {"demo-control-plane": 1764448800.0, "demo-worker": 1764448800.0}

    def lease(name: str, renewed: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"renewTime": renewed}}

    old = lease("demo-worker", "2025-11-29T20:39:59.999999Z")
    fresh = lease("demo-worker", "2025-11-29T20:40:00.000000Z")
    first = lease("demo-control-plane", "2025-11-29T20:40:07.123456Z")
    assert nodes._silent([first, fresh], began) == ""
    for leases in ([first, old], [first]):
        assert nodes._silent(leases, began) == "not heard of since the start: demo-worker"
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    found = [{"metadata": {"name": name}, "status": ready} for name in began]
    assert nodes._lacking(found, began) == ""
    assert nodes._lacking(found[:1], began) == "not joined yet: demo-worker"


_ENGINE_TROUBLES = [
    (
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
            "Is the docker daemon running?"
        ),
        "start docker",
    ),
    (
        (
            "permission denied while trying to connect to the Docker daemon socket at "
            "unix:///var/run/docker.sock: Get http://x: dial unix: connect: permission denied"
        ),
        "usermod -aG docker",
    ),
    (
        (
            "Error response from daemon: client version 1.52 is too new. Maximum supported API "
            "version is 1.41"
        ),
        "upgrade docker",
    ),
]


@pytest.mark.parametrize(("words", "cure"), _ENGINE_TROUBLES)
def test_an_engine_that_does_not_answer(tmp_path: Path, words: str, cure: str) -> None:
    """Stopped, forbidden or too old: the error has the cure, and doctor finds the same."""
    replay = Replay({"docker ps": failed(words), "docker info": failed(words)})
    with pytest.raises(PlatformError) as caught:
        platform(tmp_path, replay).ensure(Run.within(60))
    assert cure in caught.value.hint
    (finding,) = [f for f in platform(tmp_path, replay).preflight() if f.check == "docker"]
    assert (finding.level, cure in finding.cure) == ("error", True)


def test_no_engine_at_all(tmp_path: Path) -> None:
    """Where there is no docker, its name is in the error, and nothing is left behind."""
    gone = failed("", 127)
    replay = Replay({"docker ps": gone, "docker info": gone})
    with pytest.raises(MissingPartError, match="docker cannot be run"):
        platform(tmp_path, replay).ensure(Run.within(60))


_KIND_TROUBLES = [
    (
        (
            'command "docker run --name demo-control-plane" failed with error: exit status 125\n'
            "Command Output: f00\ndocker: Error response from daemon: driver failed programming "
            "external connectivity on endpoint demo-control-plane (f00): Bind for 127.0.0.1:80 "
            "failed: port is already allocated."
        ),
        "choose other `ports`",
    ),
    (
        (
            'failed to pull image "kindest/node:v1.37.0@sha256:a1ed": command "docker pull" failed '
            "with error: exit status 1\nCommand Output: Error response from daemon: Get "
            '"https://registry/v2/": dial tcp: lookup registry: no such host'
        ),
        "bring the image",
    ),
    (
        (
            "could not find a log line that matches "
            '"Reached target .*Multi-User System.*|detected cgroup v1"'
        ),
        "cgroup",
    ),
    (
        (
            'command "docker exec" failed with error: exit status 1\nCommand Output: '
            "write /var/lib/containerd/x: no space left on device"
        ),
        "make room",
    ),
    (
        (
            'command "docker run" failed with error: exit status 1\nCommand Output: '
            "exec /usr/local/bin/entrypoint: exec format error"
        ),
        "another architecture",
    ),
    ('node(s) already exist for a cluster with the name "demo"', "adopt"),
]


@pytest.mark.parametrize(("words", "cure"), _KIND_TROUBLES)
def test_what_kind_says_is_explained(tmp_path: Path, words: str, cure: str) -> None:
    """The words of kind are in the error, with the cure; the next try begins cleanly."""
    replay = _creating(container("demo-control-plane"))
    replay.answers["kind create cluster"] = [failed(f"ERROR: failed to create cluster: {words}\n")]
    replay.answers["docker ps"] = [said()]
    with pytest.raises(PlatformError, match="could not make cluster 'demo'") as caught:
        platform(tmp_path, replay).ensure(Run.within(60))
    assert cure in caught.value.hint
    assert re.escape(words.split("\n", maxsplit=1)[0][:30]) in re.escape(caught.value.message)
    assert platform(tmp_path, replay).status().phase == "absent"
    platform(tmp_path, replay).destroy(Run.within(60))
    assert not (tmp_path / "state").exists()


def test_a_node_that_ends_while_starting_shows_its_last_lines(tmp_path: Path) -> None:
    """The cause is in the error, not only that something failed."""
    replay = Replay(
        {
            "docker logs": said("Failed to create /init.scope control group: Permission denied\n"),
            "docker start": said(),
            "kind get kubeconfig": said(KUBECONFIG),
        }
    )
    _made(tmp_path, replay)
    replay.nodes(container("demo-control-plane", state="exited"))
    with pytest.raises(PlatformError, match=r"ended with code 0[^$]*Permission denied"):
        platform(tmp_path, replay).ensure(Run.within(60))


def test_preflight_errors_stop_a_new_cluster_unless_they_are_ignored(tmp_path: Path) -> None:
    """All errors at once; a check may be ignored by its name, and is a warning then."""
    info = json.dumps({"ServerVersion": "20.10", "CgroupVersion": "1"})
    replay = _creating(container("demo-control-plane"))
    replay.answers["docker info"] = [said(info)]
    with pytest.raises(PlatformError, match="cgroup v1"):
        platform(tmp_path, replay).ensure(Run.within(60))
    replay = _creating(container("demo-control-plane"))
    replay.answers["docker info"] = [said(info)]
    platform(tmp_path, replay, ignore_preflight=("cgroup",)).ensure(Run.within(60))
    # neither doctor nor the choice of `auto` takes it for an obstacle then
    replay = Replay({"docker info": said(info)})
    found = platform(tmp_path, replay, ignore_preflight=("cgroup",)).preflight()
    assert {each.check: each.level for each in found}["cgroup"] == "warning"


def test_a_port_taken_while_the_cluster_was_stopped_names_its_holder(tmp_path: Path) -> None:
    """Who took the port of a stopped cluster is told before the node starts; doctor finds it too.

    A cluster that runs holds its ports itself, and is not asked.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        replay = Replay()
        _made(tmp_path, replay)
        node = container("demo-control-plane", state="exited")
        node["HostConfig"] = {
            "PortBindings": {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
        }
        replay.nodes(node)
        ours = platform(tmp_path, replay)
        with pytest.raises(PlatformError, match=f"127.0.0.1:{port} is taken by") as refused:
            ours.ensure(Run.within(60))
        assert "end that program" in refused.value.hint
        assert replay.ran("docker start") == []
        levels = {each.check: each.level for each in ours.preflight()}
        assert levels[f"port {port}"] == "error"
        node["State"]["Status"] = "running"
        replay.nodes(node)
        assert f"port {port}" not in {each.check for each in ours.preflight()}


def test_the_steps_are_those_of_ensure(tmp_path: Path) -> None:
    """A dry run names what would be made, then nothing; and it makes nothing itself."""
    replay = Replay()
    steps = platform(tmp_path, replay, ports=("8080:80",), workers=1).steps()
    assert steps[0].startswith("make 2 nodes from kindest/node:v1.37.0@sha256:")
    assert "publish 127.0.0.1:8080 as port 80 of the first node" in steps
    assert not (tmp_path / "state").exists()
    _made(tmp_path, replay)
    replay.nodes(container("demo-control-plane", state="exited"))
    assert platform(tmp_path, replay).steps() == ("start demo-control-plane",)


def test_the_network_goes_only_if_we_brought_it_and_nobody_uses_it(tmp_path: Path) -> None:
    """Kind never removes its network; ours goes with the last of its containers."""
    for users, removed in (("", 1), ("somebody\n", 0)):
        folder = tmp_path / str(removed)
        folder.mkdir()
        replay = Replay({"kind delete cluster": said(), "docker network rm": said()})
        _made(folder, replay, network="kind")
        replay.nodes(container("demo-control-plane"))
        replay.answers["docker network ls"] = [said("bridge\nkind\n")]
        replay.answers["docker ps --all --quiet --filter network=kind"] = [said(users)]
        platform(folder, replay).destroy(Run.within(60))
        assert len(replay.ran("docker network rm")) == removed
        assert len(replay.ran("kind delete cluster")) == 1


def test_another_engine_is_asked_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``KIND_EXPERIMENTAL_PROVIDER`` is heeded, as kind heeds it."""
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "podman")
    replay = Replay({"podman ps": said()})
    assert platform(tmp_path, replay).steps()
    assert replay.ran("docker") == []
