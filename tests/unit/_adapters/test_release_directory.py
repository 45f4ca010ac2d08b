"""Releases in a directory: whole, checked on every read, and kept apart by stack."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import attrs
import pytest

from infometis_sdk._adapters.release_directory import ReleaseDirectory
from infometis_sdk.errors import LockedError, StoreError, TamperedError
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.release import Release
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from pathlib import Path

RUN = Run()
ONE = Bundle(project="demo", services={"web": {"a": 1}})
TWO = Bundle(project="demo", services={"web": {"a": 2}})


def release(number: int, bundle: Bundle = ONE, status: str = "pending") -> Release:
    """Return a Release of the stack ``dev``."""
    return Release(
        number=number,
        status=status,
        stack_id="dev",
        bundle=bundle.id,
        bundle_digest=bundle.digest,
    )


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    """Releases in the order of their numbers, each with its Bundle and its end."""
    store = ReleaseDirectory(tmp_path / "new", "dev")
    assert store.releases(RUN).items == ()
    for number in (10, 9):
        store.add(release(number), ONE, RUN)
    store.save(release(9, status="deployed"), RUN)
    assert [(r.number, r.status) for r in store.releases(RUN).items] == [
        (9, "deployed"),
        (10, "pending"),
    ]
    assert store.bundle(release(9), RUN) == ONE
    assert ReleaseDirectory(tmp_path / "new", "prod").releases(RUN).items == ()
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "new").rglob("*") if p.is_file()}
    assert modes == {0o600}


def test_a_number_is_given_once(tmp_path: Path) -> None:
    """Of two writers one is refused, and what the other wrote stays."""
    store = ReleaseDirectory(tmp_path, "dev")
    store.add(release(1), ONE, RUN)
    with pytest.raises(LockedError, match="release 1 of stack dev"):
        store.add(release(1, TWO, status="deployed"), TWO, RUN)
    assert store.releases(RUN).items == (release(1),)
    assert [p.name for p in (tmp_path / "dev" / "releases").iterdir()] == ["1"]


def test_what_no_release_names_goes(tmp_path: Path) -> None:
    """With a Release goes its Bundle, unless another one needs it."""
    store = ReleaseDirectory(tmp_path, "dev")
    for number, bundle in ((1, ONE), (2, TWO), (3, TWO)):
        store.add(release(number, bundle), bundle, RUN)
    store.remove((1, 2), RUN)
    assert [r.number for r in store.releases(RUN).items] == [3]
    assert store.bundle(release(3, TWO), RUN) == TWO
    with pytest.raises(StoreError, match="is not in"):
        store.bundle(release(1), RUN)


def test_one_byte_of_a_file_is_seen(tmp_path: Path) -> None:
    """A changed Release is a problem that names its file; a changed Bundle is refused."""
    store = ReleaseDirectory(tmp_path, "dev")
    store.add(release(1), ONE, RUN)
    store.add(release(2, TWO), TWO, RUN)
    path = tmp_path / "dev" / "releases" / "1"
    whole = path.read_bytes()
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        known = store.releases(RUN)
        assert [r.number for r in known.items] == [2]
        assert str(path) in known.problems[0]
    path.write_bytes((tmp_path / "dev" / "releases" / "2").read_bytes())
    assert "release 1" in store.releases(RUN).problems[0], "another one's file under its name"
    bundles = tmp_path / "dev" / "bundles"
    file = bundles / ONE.digest.replace(":", "-")
    file.write_bytes((bundles / TWO.digest.replace(":", "-")).read_bytes())
    with pytest.raises(TamperedError, match="the bundle of release 1"):
        store.bundle(release(1), RUN)
    store.remove((), RUN)
    assert file.exists(), "while something cannot be read, nothing is swept"


def test_a_full_disk(tmp_path: Path) -> None:
    """Where nothing can be written, the error says so and nothing half-written is left."""
    (tmp_path / "dev").write_text("a file where the directory should be")
    store = ReleaseDirectory(tmp_path, "dev")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        store.add(release(1), ONE, RUN)
    assert "make room" in caught.value.hint
    with pytest.raises(StoreError, match="cannot be read"):
        store.releases(RUN)


def test_a_release_of_another_stack_is_none_of_ours(tmp_path: Path) -> None:
    """Somebody who copies a file from another stack does not change ours."""
    other = attrs.evolve(release(1), stack_id="prod")
    ReleaseDirectory(tmp_path, "prod").add(other, None, RUN)
    ReleaseDirectory(tmp_path, "dev").add(release(2), None, RUN)
    source = tmp_path / "prod" / "releases" / "1"
    (tmp_path / "dev" / "releases" / "1").write_bytes(source.read_bytes())
    known = ReleaseDirectory(tmp_path, "dev").releases(RUN)
    assert [r.number for r in known.items] == [2]
    assert "found release 1 of prod" in known.problems[0]
