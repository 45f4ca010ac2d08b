from __future__ import annotations

import os
from pathlib import Path

import pytest

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.layout import Layout, read_json
from infometis_platform_embedded.locks import hold, is_held, try_lock
from infometis_platform_embedded.plan import PARTS, PORTS, Plan, commands, free_ports, is_free
from infometis_platform_embedded.processes import Identity, identity

PLAN = Plan(
    cluster="demo",
    settings=Embedded(),
    ports={name: 40_000 + number for number, name in enumerate(PORTS)},
    binaries={part: f"/bin/{part}" for part in PARTS},
    data="/data/etcd",
)


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A plan survives the round trip through its file."""
    layout = Layout(tmp_path)
    PLAN.write(layout)
    assert Plan.read(layout) == PLAN


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "infometis.io/embedded/v1"}'])
def test_a_torn_record_is_none(tmp_path: Path, content: str) -> None:
    """A plan that cannot be read is no plan, and no exception."""
    Layout(tmp_path).plan.write_text(content)
    assert Plan.read(Layout(tmp_path)) is None


def test_everything_is_on_loopback() -> None:
    """No part is told of any address but loopback and the two ranges that nothing routes."""
    words = " ".join(word for line in commands(PLAN, Layout(Path("/s"))).values() for word in line)
    assert "0.0.0.0" not in words  # noqa: S104
    assert "--listen-client-urls=https://127.0.0.1:40001" in words
    assert "http://" not in words


def test_only_an_ephemeral_cluster_skips_fsync() -> None:
    """Data that must last is written through to the disk."""
    layout = Layout(Path("/s"))
    assert "--unsafe-no-fsync=true" not in commands(PLAN, layout)["etcd"]
    brief = PLAN.evolve(settings=Embedded(lifetime="ephemeral"))
    assert "--unsafe-no-fsync=true" in commands(brief, layout)["etcd"]


def test_free_ports_are_free_and_different() -> None:
    """Each name gets a port of its own; one that was asked for is taken as it is."""
    ports = free_ports(0)
    assert sorted(ports) == sorted(PORTS)
    assert len(set(ports.values())) == len(PORTS)
    assert all(is_free(port) for port in ports.values())
    assert free_ports(1234)["api"] == 1234


def test_a_process_is_more_than_its_number() -> None:
    """Another start time, or another boot, is another process."""
    me = identity(os.getpid())
    assert me is not None
    assert me.alive
    assert not me._replace(start="1").alive
    assert not me._replace(boot="other").alive
    assert Identity.from_dict(me.to_dict()) == me
    assert Identity.from_dict({"pid": "1"}) is None


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    """A lock that is held cannot be taken, and can be once its holder lets go."""
    path = tmp_path / "lock"
    with hold(path, lambda _seconds: None):
        assert is_held(path)
        assert try_lock(path) is None
    assert not is_held(path)


def test_removal_leaves_what_is_not_ours(tmp_path: Path) -> None:
    """A file that somebody put into the state directory stays, and so does the directory."""
    layout = Layout(tmp_path / "state")
    layout.make()
    PLAN.write(layout)
    (layout.state_dir / "theirs.txt").write_text("mine")
    layout.remove()
    assert [each.name for each in layout.state_dir.iterdir()] == ["theirs.txt"]
    assert read_json(layout.plan) == {}
