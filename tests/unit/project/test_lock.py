from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infometis_sdk.errors import ProjectError
from infometis_sdk.model.service import ServiceSource
from infometis_sdk.project import load_project, lock_project
from infometis_sdk.project.lock import content_digest, read_lock

from .archive import write

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """
=== infometis.yaml
format: infometis.io/project/v1
name: demo
services: {web: {}, own: {}, shop: {source: web}}
=== services/own/service.yaml
format: infometis.io/service/v1
name: own
"""
SERVICE = """
=== lock_pkg/web/service.yaml
format: infometis.io/service/v1
name: web
version: "1"
=== lock_pkg/web/templates/a.yaml.j2
kind: A
"""
SOURCES = {
    "web": ServiceSource(name="web", summary="", package="lock_pkg.web"),
    "extra": ServiceSource(name="extra", summary="", package="lock_pkg.extra"),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project that names one registered service twice, and one of its own."""
    write(tmp_path / "lib", SERVICE)
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    return write(tmp_path / "demo", PROJECT)


def upgrade(tmp_path: Path) -> None:
    """Bring a new version of the registered service, as an upgrade of the SDK does."""
    write(tmp_path / "lib", SERVICE.replace('"1"', '"2"').replace("kind: A", "kind: B"))


def versions(root: Path) -> dict[str, str]:
    """Return the version of each service of the project."""
    project = load_project(root, sources=SOURCES, platforms={})
    return {name: service.version for name, service in project.services.items()}


def test_an_upgrade_alone_changes_nothing(root: Path, tmp_path: Path) -> None:
    """What is pinned runs on after an upgrade; only moving the pin takes the new content."""
    lock_project(root, SOURCES)
    upgrade(tmp_path)
    lock_project(root, SOURCES)
    assert versions(root) == {"web": "1", "own": "0", "shop": "1"}
    assert load_project(root, sources={}, platforms={}).services["web"].templates == {
        "a.yaml.j2": "kind: A\n"
    }
    old = read_lock(root)[0].services["web"]
    lock = lock_project(root, SOURCES, update=["web"])
    assert versions(root) == {"web": "2", "own": "0", "shop": "2"}
    assert lock.services["web"].digest != old.digest
    # the content that nobody pins any more is gone
    assert len(list((root / ".infometis/services/web").iterdir())) == 1


def test_the_lock_names_versions_and_digests(root: Path) -> None:
    """The lock pins registered services only, under the names they are registered by."""
    lock = lock_project(root, SOURCES)
    assert list(lock.services) == ["web"]
    assert lock.services["web"].version == "1"
    assert read_lock(root) == (lock, ())
    project = load_project(root, sources=SOURCES, platforms={})
    assert project.lock == lock.lock
    assert project.findings == ()


def test_changed_content_is_refused(root: Path) -> None:
    """Content that is not what was pinned is refused with both digests and the cure."""
    lock = lock_project(root, SOURCES)
    (store,) = (root / ".infometis/services/web").iterdir()
    (store / "templates/a.yaml.j2").write_text("kind: Evil\n")
    with pytest.raises(ProjectError) as caught:
        load_project(root, sources=SOURCES, platforms={})
    (fault,) = caught.value.faults
    assert fault.message == "the content of service 'web' is not what was pinned"
    assert fault.origin.file == f".infometis/services/web/{store.name}"
    assert fault.legal.startswith(lock.services["web"].digest)


def test_lost_content_is_an_error(root: Path) -> None:
    """Where the pinned content is gone, nothing else takes its place in silence."""
    lock_project(root, SOURCES)
    (store,) = (root / ".infometis/services/web").iterdir()
    store.rename(root / "elsewhere")
    with pytest.raises(ProjectError, match="the pinned content of service 'web' is not there"):
        load_project(root, sources=SOURCES, platforms={})


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("format: infometis.io/lock/v9\n", 1, "another format than this version reads"),
        (
            "format: infometis.io/lock/v1\nservices:\n  web: {version: '1', digest: ../../etc}\n",
            3,
            "is no digest",
        ),
        ("format: infometis.io/lock/v1\nservices:\n  web: {version: 1}\n", 3, "has the wrong type"),
        ("- a\n", 0, "is no lock"),
        ("a: [\n", 2, "not valid YAML: did not find expected node content"),
    ],
)
def test_a_broken_lock(root: Path, text: str, line: int, message: str) -> None:
    """A lock that somebody edited is told with its line; no path is made of what it says."""
    (root / "infometis.lock").write_text(text)
    with pytest.raises(ProjectError) as caught:
        load_project(root, sources=SOURCES, platforms={})
    faults = [
        (f.origin.line, f.message) for f in caught.value.faults if f.origin.file == "infometis.lock"
    ]
    assert any(found == line and text.startswith(message) for found, text in faults), faults


def test_unknown_names_are_told(root: Path) -> None:
    """Updating what the project does not name, and pinning what nobody offers."""
    with pytest.raises(ProjectError) as caught:
        lock_project(root, {}, update=["wbe"])
    assert [(f.message, f.nearest) for f in caught.value.faults] == [
        ("the project names no registered service 'wbe'", "web"),
        ("no installed plugin offers the service 'web'", ""),
    ]
    assert not (root / "infometis.lock").exists()


def test_the_digest_is_that_of_the_text() -> None:
    """Line ends and the form of accents do not count; names, text and their places do."""
    plain = content_digest({"a": "é\nx\n".encode(), "b": b""})
    assert content_digest({"b": b"", "a": "e\u0301\r\nx\r\n".encode()}) == plain
    assert content_digest({"a": b"", "b": "é\nx\n".encode()}) != plain
    assert content_digest({"a": "é\nx".encode(), "b": b""}) != plain
    assert content_digest({"a": b"\xff"}) != content_digest({"a": b"\xfe"})
