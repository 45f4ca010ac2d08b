"""Working on many hosts at once, reaching the API, and what is remembered."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st
from tests.unit.platform_k0s_host.samples import CLUSTER, blank, healthy, hosts
from tests.unit.platform_k0s_host.transcripts import Transcript

from infometis_platform_k0s_host.access import Answer, own_kubeconfig
from infometis_platform_k0s_host.acting.keeping import look_into
from infometis_platform_k0s_host.acting.loading import architectures, saved
from infometis_platform_k0s_host.acting.together import HostsError, together
from infometis_platform_k0s_host.acting.world import World
from infometis_platform_k0s_host.connection import HostError
from infometis_platform_k0s_host.record import Files, Record
from infometis_platform_k0s_host.state import status_of
from infometis_sdk.errors import CancelledError, MissingPartError, PlatformError
from infometis_sdk.model.run import CancelToken, Event, Run

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_platform_k0s_host import Host


def test_events_arrive_on_the_callers_thread() -> None:
    """Hosts are worked on at once, and the caller hears of it where it called."""
    threads = set()
    both = threading.Barrier(2)

    def emit(_: Event) -> None:
        threads.add(threading.current_thread())

    def work(name: str, run: Run) -> str:
        both.wait(30)
        run.emit(Event(name="work", subject=name))
        return name.upper()

    done = together(("a", "b"), work, Run.within(60, emit=emit))
    assert done.results == {"a": "A", "b": "B"}
    assert threads == {threading.current_thread()}


def test_one_failure_hides_no_other() -> None:
    """Every host comes to its end, and each failure is told with its cure."""

    def work(name: str, run: Run) -> None:
        run.check("working")
        if name != "b":
            msg = f"{name}: broken\nand more"
            raise HostError(msg, host=name, hint=f"mend {name}")

    done = together(("a", "b", "c"), work, Run.within(60))
    assert list(done.failures) == ["a", "c"]
    assert list(done.results) == ["b"]
    error = HostsError(done.failures, of=3)
    assert "2 of 3 hosts failed" in error.message
    for text in ("a: broken\n    and more", "cure: mend a", "cure: mend c"):
        assert text in error.message


def test_work_ends_with_its_caller() -> None:
    """A cancelled verb stops all hosts at a safe point."""
    cancel = CancelToken()

    def work(_: str, run: Run) -> None:
        cancel.cancel()
        run.sleep(60, "working")

    with pytest.raises(CancelledError):
        together(("a", "b"), work, Run.within(120, cancel=cancel))


def test_our_kubeconfig() -> None:
    """Names and server are ours, the credentials are k0s'; what is none is never shown."""
    text = """apiVersion: v1
clusters: [{name: local, cluster: {server: "https://10.0.0.5:1", certificate-authority-data: QQ==}}]
users: [{name: user, user: {client-key-data: c2VjcmV0}}]
contexts: [{name: Default, context: {cluster: local, user: user}}]
"""
    value = json.loads(own_kubeconfig(text, server="https://h:6443", name="prod"))
    assert value["current-context"] == "prod"
    assert value["clusters"][0]["cluster"] == {
        "server": "https://h:6443",
        "certificate-authority-data": "QQ==",
    }
    assert value["users"][0]["user"] == {"client-key-data": "c2VjcmV0"}
    with pytest.raises(PlatformError) as caught:
        own_kubeconfig("users: [c2VjcmV0", server="x", name="y")
    assert "c2VjcmV0" not in str(caught.value)


def test_what_is_remembered(tmp_path: Path) -> None:
    """The record comes back as it was, only we may read it, and a damaged one is told."""
    files = Files(root=tmp_path)
    assert Record.read(files) is None
    record = Record(hosts=("a",)).knowing(("b", "a"))
    record.write(files)
    assert Record.read(files) == record
    assert record.hosts == ("a", "b")
    assert files.record.stat().st_mode & 0o777 == 0o600
    for text in ("", "[]", '{"format": 9}', '{"format": 1, "x": 2}'):
        files.record.write_text(text)
        with pytest.raises(PlatformError, match="is damaged"):
            Record.read(files)


def _world(*roles: str) -> World:
    return World(hosts(*roles), None, lambda *_: Transcript())


def test_the_phases_of_a_cluster() -> None:
    """What hosts and API say gives one phase, and a word for each host."""
    world = _world("controller", "worker")
    settings = world.settings
    one, two = settings.hosts
    ready = Answer(ready=True, version="v1.36.3+k0s", nodes={"h1": True})
    down = Answer(why="refused")

    def status(answer: Answer | None, record: Record | None = None) -> tuple[str, str]:
        found = status_of(CLUSTER, world, record, answer)
        return found.phase, found.detail

    world.facts = {"h0": blank(one), "h1": blank(two)}
    assert status(None)[0] == "absent"
    world.facts = {host.name: healthy(host, settings) for host in settings.hosts}
    assert status(ready, Record()) == ("ready", "2 hosts")
    assert status(down, Record()) == ("starting", "refused")
    # a second operator, who has no kubeconfig of it yet
    assert status(None)[0] == "starting"
    world.failures = {"h1": HostError("h1: does not answer", host="h1")}
    del world.facts["h1"]
    assert status(ready, Record()) == ("ready", "h1 does not answer")
    world.facts["h0"] = healthy(one, settings, status={})
    stopped = ("stopped", "its data is kept")
    assert status(down, Record(wanted="stopped")) == stopped
    assert status(down, Record())[0] == "stopped"
    assert "starts it again" in status(down, Record())[1]
    world.facts = {}
    assert status(down, Record()) == ("failed", "h1: does not answer")


def test_a_host_that_tells_nothing() -> None:
    """A login shell that is none, or a script that was cut short, is an error of that host."""

    def mute(host: Host, *_: object) -> Transcript:
        del host
        return Transcript(("sh -s", (127, "", "sh: not found")))

    world = World(hosts("single"), None, mute)
    world.look(Run.within(60))
    assert "did not tell its facts" in world.failures["h0"].message


@given(st.binary(max_size=400))
def test_noise_is_no_archive(noise: bytes) -> None:
    """Whatever a file holds, it is a backup or archive of images, or is refused as none."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise"
        path.write_bytes(noise)
        with pytest.raises(PlatformError):
            look_into(path, CLUSTER)
        with pytest.raises(PlatformError):
            architectures(path)


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    """A path is taken as it is, and must be there."""
    with pytest.raises(MissingPartError, match="there is no archive"):
        saved([tmp_path / "none.tar"], tmp_path, Run.within(60))
