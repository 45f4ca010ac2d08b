"""What every platform promises, as tests that the author of a plugin subclasses.

.. code-block:: python

    class TestMine(PlatformContract):
        @pytest.fixture
        def platform_factory(self):
            return lambda context: MyPlatform(MySettings(), context)

Each test makes clusters of its own below a temporary directory and destroys them.
Abilities are tested where the platform has them.
"""

# ruff: noqa: S101, PLR2004 - these are tests, which ship so that others can subclass them

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import attrs
import pytest

from infometis_sdk.errors import (
    CancelledError,
    DeadlineError,
    MissingPartError,
    PlatformError,
)
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import CancelToken, Event, Run
from infometis_sdk.ports.platform import (
    Access,
    AddOns,
    ClusterBackup,
    DryRun,
    ExportImages,
    HostPorts,
    LoadImages,
    Platform,
    PlatformContext,
    PlatformStatus,
    Preflight,
    StartStop,
    Upgrade,
)
from infometis_sdk.testing.looking import (
    cluster_uid,
    contents,
    files,
    get_note,
    has_note,
    put_note,
    secrets_of,
    servers_of,
)

__all__ = ("PlatformContract", "PlatformFactory", "cluster_uid", "get_note", "put_note")

PlatformFactory = Callable[[PlatformContext], Platform]

_T = TypeVar("_T")
_STATES = frozenset({"started", "progress", "finished", "failed", "skipped", "info"})
_PHASES = frozenset({"absent", "stopped", "starting", "ready", "failed"})
_CLAIMS = frozenset({"declared", "absent"})
_LEVELS = frozenset({"ok", "warning", "error"})
_USERS_FILE = b"apiVersion: v1\nkind: Config\ncurrent-context: mine\n"


class _AbortedError(BaseException):
    """Stands for the death of the process: nothing may catch it and go on."""


class PlatformContract:
    """The promises; a subclass gives the fixture ``platform_factory`` and may set the limits.

    Attributes:
        patience: seconds in which a cluster must be there.
        quick: seconds in which an ``ensure`` of a running cluster, and ``status``, must return;
            the fastest of three counts, since a loaded machine is slow and not wrong.
        owner: false for a platform that only reaches clusters of others: ``destroy`` then refuses,
            or gives up the access alone, and the cluster lives on.
        loopback: false where clusters are not on this machine; the API of one that is
            must not be reachable from elsewhere.

    """

    __test__ = False
    patience: ClassVar[float] = 300.0
    quick: ClassVar[float] = 10.0
    owner: ClassVar[bool] = True
    loopback: ClassVar[bool] = True

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
        """Make a platform for a cluster of that name; each is destroyed at the end.

        What else is in the folder, the settings' own files for instance, must stay as it is.
        """
        made: list[Platform] = []
        before = contents(tmp_path)

        def make(name: str = "contract") -> Platform:
            made.append(platform_factory(self._context(tmp_path, name)))
            return made[-1]

        yield make
        for platform in made if self.owner else ():
            platform.destroy(Run.within(self.patience))
        after = contents(tmp_path)
        assert {path: after.get(path) for path in before} == before
        ours = tuple(str(tmp_path / name) for name in ("contract", "one", "other"))
        made_elsewhere = [path for path in set(after) - set(before) if not path.startswith(ours)]
        assert made_elsewhere == []

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
        """Where no cluster is, status and connect say so, and looking makes nothing at all."""
        platform = make()
        self._look(platform)
        assert files(tmp_path / "contract") == []
        if not self.owner and platform.status().phase == "ready":
            assert cluster_uid(platform.connect())
            return
        assert self._is(platform, "absent")
        with pytest.raises(PlatformError):
            platform.connect()
        platform.destroy(Run.within(self.patience))
        assert files(tmp_path / "contract") == []

    def test_what_is_said_beforehand(self, make: Callable[..., Platform]) -> None:
        """Findings, steps, add-ons and ports are well formed, and the same when asked again."""
        platform = make()
        assert platform.owned is self.owner
        assert set(platform.capabilities.values()) <= _CLAIMS
        if isinstance(platform, Preflight):
            for finding in platform.preflight():
                assert finding.check
                assert finding.level in _LEVELS
                assert finding.cure or finding.level == "ok", finding
        if isinstance(platform, DryRun):
            assert self._steps(platform) or self._is(platform, "ready")
            assert self._steps(platform) == self._steps(platform)
        if isinstance(platform, AddOns):
            objects = platform.add_ons()
            assert objects == platform.add_ons()
            for each in objects:
                assert ObjectRef.of(each).name
        if isinstance(platform, HostPorts):
            ports = platform.host_ports()
            assert ports == platform.host_ports()
            assert all(0 < port < 65_536 for pair in ports.items() for port in pair)

    def test_ensure_gives_a_cluster(self, make: Callable[..., Platform], tmp_path: Path) -> None:
        """After ensure the API answers through a kubeconfig of our own that only we can read."""
        platform = make()
        events: list[Event] = []
        access = self._ensure(platform, emit=events.append)
        assert access.kubeconfig is not None
        own = access.kubeconfig.is_relative_to(tmp_path / "contract")
        assert own or not self.owner
        if own:
            assert stat.S_IMODE(access.kubeconfig.stat().st_mode) == 0o600
            assert stat.S_IMODE((tmp_path / "contract").stat().st_mode) == 0o700
        assert cluster_uid(access)
        assert platform.connect() == access
        status = self._look(platform)
        end = time.monotonic() + self.patience
        while status.phase != "ready" and time.monotonic() < end:
            status = self._look(platform)  # a loaded machine may not answer in time
        assert status.phase == "ready"
        assert status.version.startswith("v1.") or not (status.version or self.owner)
        assert status.simulated == access.simulated
        if isinstance(platform, DryRun):
            assert self._steps(platform) == ()
        assert events or not self.owner
        secrets = secrets_of(access)
        for event in events:
            assert not [each for each in secrets if each in f"{event.subject} {event.detail}"]
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
        second = self._quickly(lambda: again.ensure(Run.within(self.patience)))
        assert second == first
        assert cluster_uid(second) == uid
        if self.owner and second.kubeconfig is not None:
            # Whatever became of our file, the way in is there again.
            second.kubeconfig.unlink()
            third = self._ensure(make())
            assert third == first
            assert cluster_uid(third) == uid
            assert stat.S_IMODE(second.kubeconfig.stat().st_mode) == 0o600
        if self.owner and self.loopback:
            hosts = {urlsplit(server).hostname for server in servers_of(second)}
            assert hosts
            assert hosts <= {"127.0.0.1", "localhost", "::1"}

    def test_destroy_leaves_nothing(self, make: Callable[..., Platform], tmp_path: Path) -> None:
        """Destroy removes every file, may be repeated, and what is made next is another cluster."""
        self._owners_only()
        platform = make()
        uid = cluster_uid(self._ensure(platform))
        platform.destroy(Run.within(self.patience))
        assert files(tmp_path / "contract") == []
        assert self._is(platform, "absent")
        with pytest.raises(PlatformError):
            platform.connect()
        platform.destroy(Run.within(self.patience))
        assert cluster_uid(self._ensure(platform)) != uid

    def test_destroy_spares_what_is_not_ours(
        self, make: Callable[..., Platform], tmp_path: Path
    ) -> None:
        """A platform that made no cluster removes none: it refuses, or gives up the access."""
        if self.owner:
            pytest.skip("the platform makes its clusters itself")
        platform = make()
        access = self._ensure(platform)
        uid = cluster_uid(access)
        assert access.kubeconfig is not None
        kept = attrs.evolve(access, kubeconfig=Path(shutil.copy(access.kubeconfig, tmp_path / "k")))
        try:
            platform.destroy(Run.within(self.patience))
        except PlatformError:
            assert self._is(platform, "ready")
            assert cluster_uid(access) == uid
        else:
            assert self._is(platform, "absent")
            with pytest.raises(PlatformError):
                platform.connect()
            assert files(tmp_path / "contract") == []
            platform.destroy(Run.within(self.patience))
        assert cluster_uid(kept) == uid
        (tmp_path / "k").unlink()

    def test_stop_keeps_the_data(self, make: Callable[..., Platform]) -> None:
        """A stopped cluster says so and goes on with its data; stop and start may be repeated."""
        platform = make()
        if not isinstance(platform, StartStop):
            pytest.skip("the platform cannot stop and start")
        access = self._ensure(platform)
        uid = cluster_uid(access)
        put_note(access, "kept")
        for _ in range(2):
            platform.stop(Run.within(self.patience))
            assert self._is(platform, "stopped")
        for _ in range(2):
            access = platform.start(Run.within(self.patience))
        assert cluster_uid(access) == uid
        assert get_note(access) == "kept"
        platform.stop(Run.within(self.patience))
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
        """An ensure that dies or is cancelled at any event is one that the next one completes."""
        for after, end in ((1, "dies"), (2, "is cancelled"), (4, "dies")):
            seen: list[Event] = []
            cancel = CancelToken()

            def stop(
                event: Event,
                seen: list[Event] = seen,
                after: int = after,
                end: str = end,
                cancel: CancelToken = cancel,
            ) -> None:
                seen.append(event)
                if len(seen) == after and end == "dies":
                    raise _AbortedError
                if len(seen) == after:
                    cancel.cancel()

            platform = make()
            # A platform that tells less than that has come to its end already.
            with contextlib.suppress(_AbortedError, CancelledError):
                platform.ensure(Run.within(self.patience, emit=stop, cancel=cancel))
            assert platform.status().phase in _PHASES
        assert cluster_uid(self._ensure(make()))
        if not self.owner:
            return
        make().destroy(Run.within(self.patience))
        assert files(tmp_path / "contract") == []

    def test_ensure_heeds_its_caller(self, make: Callable[..., Platform]) -> None:
        """A cancelled or timed-out ensure ends at once with the error that says so."""
        cancel = CancelToken()
        cancel.cancel()

        def ensure() -> None:
            with pytest.raises(CancelledError):
                make().ensure(Run.within(self.patience, cancel=cancel))
            with pytest.raises(DeadlineError):
                make().ensure(Run.within(0))

        self._quickly(ensure)

    def test_two_clusters_side_by_side(self, make: Callable[..., Platform]) -> None:
        """Clusters of two names are two clusters, and the end of one is not that of the other."""
        self._owners_only()
        one, other = make("one"), make("other")
        first, second = self._ensure(one), self._ensure(other)
        uid = cluster_uid(second)
        assert cluster_uid(first) != uid
        one.destroy(Run.within(self.patience))
        assert self._is(one, "absent")
        assert cluster_uid(second) == uid

    # ------------------------------------------------------------------ abilities

    def test_images_that_are_not_there_are_named(self, make: Callable[..., Platform]) -> None:
        """An image that cannot be loaded is an error that names it, never silence."""
        platform = make()
        if not isinstance(platform, LoadImages):
            pytest.skip("the platform cannot load images")
        name = "nowhere.invalid/nothing:1"
        self._ensure(platform)
        with pytest.raises(PlatformError, match=name):
            platform.load_images([name], Run.within(self.patience))

    def test_images_that_are_not_there_are_not_carried(
        self, make: Callable[..., Platform], tmp_path: Path
    ) -> None:
        """An image that cannot be exported is an error that names it, and no archive is left."""
        platform = make()
        if not isinstance(platform, ExportImages):
            pytest.skip("the platform cannot export images")
        name = "nowhere.invalid/nothing:1"
        with pytest.raises(PlatformError, match=name):
            platform.export_images([name], tmp_path / "other", Run.within(self.patience))
        assert [path for path in files(tmp_path / "other") if not path.endswith("SHA256SUMS")] == []

    def test_upgrade_to_what_is_there_changes_nothing(self, make: Callable[..., Platform]) -> None:
        """A cluster that has the version already stays as it is."""
        platform = make()
        if not isinstance(platform, Upgrade):
            pytest.skip("the platform cannot upgrade")
        uid = cluster_uid(self._ensure(platform))
        version = platform.status().version
        assert cluster_uid(platform.upgrade(Run.within(self.patience))) == uid
        assert platform.status().version == version

    def test_a_backup_brings_everything_back(
        self, make: Callable[..., Platform], tmp_path: Path
    ) -> None:
        """What was there at the backup is there again, what came later is gone."""
        platform = make()
        if not isinstance(platform, ClusterBackup):
            pytest.skip("the platform cannot back up its cluster")
        folder = tmp_path / "other"
        folder.mkdir()
        access = self._ensure(platform)
        uid = cluster_uid(access)
        put_note(access, "before")
        archive = platform.backup_cluster(folder, Run.within(self.patience))
        assert archive.is_relative_to(folder)
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600
        damaged = folder / "damaged"
        damaged.write_bytes(archive.read_bytes()[:100])
        with pytest.raises(PlatformError):
            platform.restore_cluster(damaged, Run.within(self.patience))
        put_note(access, "later", name="later")
        access = platform.restore_cluster(archive, Run.within(self.patience))
        assert cluster_uid(access) == uid
        assert get_note(access) == "before"
        assert not has_note(access, "later")

    # ------------------------------------------------------------------ helpers

    def _look(self, platform: Platform) -> PlatformStatus:
        """Ask all that must change nothing; the answers come within their time."""
        status = self._quickly(platform.status)
        assert status.phase in _PHASES
        if isinstance(platform, Preflight):
            platform.preflight()
        if isinstance(platform, DryRun):
            self._steps(platform)
        return status

    def _is(self, platform: Platform, phase: str) -> bool:
        """Ask up to three times: on a loaded machine an answer may not come in time."""
        return any(platform.status().phase == phase for _ in range(3))

    def _quickly(self, work: Callable[[], _T]) -> _T:
        """Do it up to three times, until it was quick enough; return what came of it."""
        for _ in range(3):
            began = time.monotonic()
            result = work()
            seconds = time.monotonic() - began
            if seconds < self.quick:
                return result
        msg = f"it took {seconds:.1f} s at the third time, which must be below {self.quick:.0f}"
        raise AssertionError(msg)

    def _steps(self, platform: DryRun) -> tuple[str, ...]:
        steps = platform.steps()
        assert all(step == step.strip() and "\n" not in step for step in steps)
        return steps

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
