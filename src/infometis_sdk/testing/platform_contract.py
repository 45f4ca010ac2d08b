"""What every platform promises, as tests that the author of a plugin subclasses.

.. code-block:: python

    class TestMine(PlatformContract):
        @pytest.fixture
        def platform_factory(self):
            return lambda context: MyPlatform(MySettings(), context)

Each test makes clusters of its own below a temporary directory and destroys them.
"""

# ruff: noqa: S101, PLR2004 - these are tests, which ship so that others can subclass them

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.errors import (
    CancelledError,
    DeadlineError,
    MissingPartError,
    PlatformError,
)
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import CancelToken, Event, Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.ports.platform import Access, Platform, PlatformContext, StartStop

__all__ = ("PlatformContract", "PlatformFactory", "cluster_uid", "get_note", "put_note")

PlatformFactory = Callable[[PlatformContext], Platform]

_STATES = frozenset({"started", "progress", "finished", "failed", "skipped", "info"})
_PHASES = frozenset({"absent", "stopped", "starting", "ready", "failed"})
_CLAIMS = frozenset({"declared", "absent"})
_USERS_FILE = b"apiVersion: v1\nkind: Config\ncurrent-context: mine\n"


class _AbortedError(BaseException):
    """Stands for the death of the process: nothing may catch it and go on."""


class PlatformContract:
    """The promises; a subclass gives the fixture ``platform_factory`` and may set the limits.

    Attributes:
        patience: seconds in which a cluster must be there.
        quick: seconds in which an ``ensure`` of a running cluster, and ``status``, must return;
            generous, since a loaded machine is slow and not wrong.
        owner: false for a platform that only reaches clusters of others: the cluster is there
            before ``ensure``, and ``destroy`` must refuse and leave it alone.

    """

    __test__ = False
    patience: ClassVar[float] = 300.0
    quick: ClassVar[float] = 10.0
    owner: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init_subclass__(**kwargs)
        cls.__test__ = True

    # ------------------------------------------------------------------ fixtures

    @pytest.fixture
    def platform_factory(self) -> PlatformFactory:
        """Make the platform under test from a context; the subclass says how."""
        msg = f"{type(self).__name__} must give a fixture `platform_factory`"
        raise NotImplementedError(msg)

    @pytest.fixture
    def make(
        self, platform_factory: PlatformFactory, tmp_path: Path
    ) -> Iterator[Callable[[str], Platform]]:
        """Make a platform for a cluster of that name; each is destroyed at the end."""
        made: list[Platform] = []

        def make(name: str = "contract") -> Platform:
            made.append(platform_factory(self._context(tmp_path, name)))
            return made[-1]

        yield make
        for platform in made if self.owner else ():
            platform.destroy(Run.within(60))

    @pytest.fixture(autouse=True)
    def users_kubeconfig(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Watch over the user's own kubeconfig, which no platform may touch."""
        own = tmp_path / "users-kubeconfig"
        own.write_bytes(_USERS_FILE)
        default = Path.home() / ".kube" / "config"
        before = default.read_bytes() if default.exists() else None
        monkeypatch.setenv("KUBECONFIG", str(own))
        yield
        assert own.read_bytes() == _USERS_FILE
        assert (default.read_bytes() if default.exists() else None) == before

    # ------------------------------------------------------------------ promises

    def test_nothing_before_ensure(self, make: Callable[..., Platform], tmp_path: Path) -> None:
        """Where no cluster is, status and connect say so, and nothing at all is made."""
        self._owners_only()
        platform = make()
        assert platform.status().phase == "absent"
        with pytest.raises(PlatformError):
            platform.connect()
        platform.destroy(Run.within(30))
        assert _files(tmp_path / "contract") == []

    def test_ensure_gives_a_cluster(self, make: Callable[..., Platform], tmp_path: Path) -> None:
        """After ensure the API answers through a kubeconfig of our own that only we can read."""
        platform = make()
        events: list[Event] = []
        access = self._ensure(platform, emit=events.append)
        assert access.kubeconfig is not None
        if self.owner:
            assert access.kubeconfig.is_relative_to(tmp_path / "contract")
            assert stat.S_IMODE(access.kubeconfig.stat().st_mode) == 0o600
            assert stat.S_IMODE((tmp_path / "contract").stat().st_mode) == 0o700
        assert cluster_uid(access)
        assert platform.connect() == access
        began = time.monotonic()
        status = platform.status()
        assert time.monotonic() - began < self.quick
        assert status.phase == "ready"
        assert status.version.startswith("v1.")
        assert status.simulated == access.simulated
        assert set(platform.capabilities.values()) <= _CLAIMS
        assert events
        for event in events:
            assert event.name == event.name.lower()
            assert event.name
            assert event.state in _STATES
            assert event.done >= 0
            assert not event.total or event.done <= event.total

    def test_ensure_again_changes_nothing(self, make: Callable[..., Platform]) -> None:
        """A second ensure, also by another object, returns the same cluster at once."""
        first = self._ensure(make())
        uid = cluster_uid(first)
        again = make()
        began = time.monotonic()
        second = again.ensure(Run.within(self.patience))
        assert time.monotonic() - began < self.quick
        assert second == first
        assert cluster_uid(second) == uid

    def test_destroy_leaves_nothing(self, make: Callable[..., Platform], tmp_path: Path) -> None:
        """Destroy removes every file, may be repeated, and what is made next is another cluster."""
        self._owners_only()
        platform = make()
        uid = cluster_uid(self._ensure(platform))
        platform.destroy(Run.within(60))
        assert _files(tmp_path / "contract") == []
        assert platform.status().phase == "absent"
        with pytest.raises(PlatformError):
            platform.connect()
        platform.destroy(Run.within(60))
        assert cluster_uid(self._ensure(platform)) != uid

    def test_destroy_refuses_what_is_not_ours(self, make: Callable[..., Platform]) -> None:
        """A platform that made no cluster removes none, and says so."""
        if self.owner:
            pytest.skip("the platform makes its clusters itself")
        platform = make()
        access = self._ensure(platform)
        uid = cluster_uid(access)
        with pytest.raises(PlatformError):
            platform.destroy(Run.within(60))
        assert platform.status().phase == "ready"
        assert cluster_uid(access) == uid

    def test_stop_keeps_the_data(self, make: Callable[..., Platform]) -> None:
        """A stopped cluster says so and goes on with its data; stop and start may be repeated."""
        platform = make()
        if not isinstance(platform, StartStop):
            pytest.skip("the platform cannot stop and start")
        access = self._ensure(platform)
        uid = cluster_uid(access)
        put_note(access, "kept")
        for _ in range(2):
            platform.stop(Run.within(60))
            assert platform.status().phase == "stopped"
        for _ in range(2):
            access = platform.start(Run.within(self.patience))
        assert cluster_uid(access) == uid
        assert get_note(access) == "kept"
        platform.stop(Run.within(60))
        assert cluster_uid(platform.ensure(Run.within(self.patience))) == uid

    def test_two_ensures_at_once(self, make: Callable[..., Platform]) -> None:
        """Two that ensure one cluster at the same time end with one cluster."""
        platforms = [make(), make()]
        results: list[Access | BaseException] = []

        def ensure(platform: Platform) -> None:
            try:
                results.append(self._ensure(platform))
            except BaseException as error:  # noqa: BLE001 - shown by the assertion
                results.append(error)

        threads = [threading.Thread(target=ensure, args=(each,)) for each in platforms]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [each for each in results if not isinstance(each, Access)] == []
        assert results[0] == results[1]
        assert isinstance(results[0], Access)
        assert cluster_uid(results[0])

    def test_ensure_goes_on_after_an_abort(
        self, make: Callable[..., Platform], tmp_path: Path
    ) -> None:
        """An ensure that ends at any of its events is one that the next ensure completes."""
        for after in (1, 2, 4) if self.owner else (1, 2):
            seen: list[Event] = []

            def abort(event: Event, seen: list[Event] = seen, after: int = after) -> None:
                seen.append(event)
                if len(seen) == after:
                    raise _AbortedError

            platform = make()
            with pytest.raises(_AbortedError):
                platform.ensure(Run.within(self.patience, emit=abort))
            assert platform.status().phase in _PHASES
        assert cluster_uid(self._ensure(make()))
        if not self.owner:
            return
        make().destroy(Run.within(60))
        assert _files(tmp_path / "contract") == []

    def test_ensure_heeds_its_caller(self, make: Callable[..., Platform]) -> None:
        """A cancelled or timed-out ensure ends within seconds with the error that says so."""
        cancel = CancelToken()
        cancel.cancel()
        began = time.monotonic()
        with pytest.raises(CancelledError):
            make().ensure(Run.within(self.patience, cancel=cancel))
        with pytest.raises(DeadlineError):
            make().ensure(Run.within(0))
        assert time.monotonic() - began < 30

    def test_two_clusters_side_by_side(self, make: Callable[..., Platform]) -> None:
        """Clusters of two names are two clusters, and the end of one is not that of the other."""
        self._owners_only()
        one, other = make("one"), make("other")
        first, second = self._ensure(one), self._ensure(other)
        uid = cluster_uid(second)
        assert cluster_uid(first) != uid
        one.destroy(Run.within(60))
        assert one.status().phase == "absent"
        assert cluster_uid(second) == uid

    # ------------------------------------------------------------------ helpers

    def _owners_only(self) -> None:
        if not self.owner:
            pytest.skip("the platform reaches clusters and makes none")

    def _context(self, folder: Path, name: str) -> PlatformContext:
        cache = os.environ.get("INFOMETIS_CACHE_DIR") or Path.home() / ".cache" / "infometis"
        return PlatformContext(cluster=name, state_dir=folder / name, cache_dir=Path(cache))

    def _ensure(
        self, platform: Platform, emit: Callable[[Event], None] = lambda _event: None
    ) -> Access:
        """Ensure; what this machine lacks is a skip for a user and an error in CI."""
        try:
            return platform.ensure(Run.within(self.patience, emit=emit))
        except MissingPartError as error:
            if os.environ.get("CI") or os.environ.get("INFOMETIS_REQUIRE_EMBEDDED") == "1":
                raise
            pytest.skip(str(error))


def _files(folder: Path) -> list[str]:
    return sorted(str(each) for each in folder.rglob("*")) if folder.exists() else []


def cluster_uid(access: Access) -> str:
    """Return what names the cluster for ever: the UID of its namespace ``kube-system``."""
    found = _get(access, ObjectRef(api_version="v1", kind="Namespace", name="kube-system"))
    return str(found["metadata"]["uid"])


_NOTE = ObjectRef(api_version="v1", kind="ConfigMap", namespace="default", name="platform-contract")


def put_note(access: Access, text: str) -> None:
    """Leave something in the cluster that must survive."""
    cluster = open_cluster(access)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NOTE.name},
        "data": {"note": text},
    }
    cluster.write(Write(verb="create", ref=_NOTE, body=body), Run.within(10))
    cluster.close()


def get_note(access: Access) -> str:
    """Read what :func:`put_note` left."""
    return str(_get(access, _NOTE)["data"]["note"])


def _get(access: Access, ref: ObjectRef) -> Mapping[str, Any]:
    cluster = open_cluster(access)
    found = cluster.get(ref, Run.within(10))
    cluster.close()
    assert found is not None, f"{ref} is not there"
    return found
