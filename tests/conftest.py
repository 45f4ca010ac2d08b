"""Fixtures of all tests: one genuine API server for the run, a name of its own for each test."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests import leaks
from tests.docker_daemon import (
    DockerDaemon,
    MissingDockerError,
    docker_daemon,
    docker_required,
)

from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import Access, PlatformContext

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.k0s_hosts import Site
    from tests.real_node import RealNode
    from tests.standin.k0s_docker import SettingsMaker

# A loaded machine is slow, not wrong.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

leaks.listen()

_MINUTES = 30 * 60  # the first run on a machine may have to build the control plane


def cache_dir() -> Path:
    """Return the user's cache, which a test run shares: a control plane is had once."""
    return Path(os.environ.get("INFOMETIS_CACHE_DIR") or Path.home() / ".cache" / "infometis")


def required() -> bool:
    """Whether a missing control plane is an error, not a skip."""
    return bool(os.environ.get("CI")) or os.environ.get("INFOMETIS_REQUIRE_EMBEDDED") == "1"


@pytest.fixture(scope="session")
def embedded_access(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Access]:
    """Give the one embedded cluster of this test run; it dies with the run."""
    from infometis_platform_embedded import Embedded
    from infometis_platform_embedded.platform import EmbeddedPlatform

    state_dir = tmp_path_factory.mktemp("embedded") / "state"
    context = PlatformContext(cluster="tests", state_dir=state_dir, cache_dir=cache_dir())
    platform = EmbeddedPlatform(Embedded(nodes=3, lifetime="ephemeral"), context)
    shown = _Progress(request.config)
    try:
        access = platform.ensure(Run.within(_MINUTES, emit=shown))
    except PlatformError as error:
        platform.destroy(Run.within(300))
        if required():
            raise
        pytest.skip(f"no embedded cluster: {error}")
    yield access
    platform.destroy(Run.within(300))


@pytest.fixture(scope="session")
def dockerd() -> Iterator[DockerDaemon]:
    """Give the one genuine dockerd of this test run; nothing of it is left afterwards."""
    try:
        with docker_daemon() as daemon:
            yield daemon
    except MissingDockerError as error:
        if docker_required():
            raise
        pytest.skip(f"no dockerd: {error}")


@pytest.fixture(scope="session")
def real_node() -> Iterator[RealNode]:
    """Give the one genuine node of this test run; nothing of it is left afterwards."""
    from tests.real_node import MissingNodeError, node_required, running_node

    try:
        with running_node(cache_dir()) as node:
            yield node
    except MissingNodeError as error:
        if node_required():
            raise
        pytest.skip(f"no node: {error}")


@pytest.fixture(scope="session")
def k0s_docker(dockerd: DockerDaemon, tmp_path_factory: pytest.TempPathFactory) -> SettingsMaker:
    """Make settings of ``k0s-docker`` whose image is at hand in the daemon of this test run."""
    from tests.standin.k0s_docker import settings_maker

    return settings_maker(dockerd, cache_dir(), tmp_path_factory.mktemp("k0s"))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the one farm of machines of this test run; tests ask for ``hosts``."""
    from tests import k0s_hosts

    with k0s_hosts.site(tmp_path_factory.mktemp("hosts")) as made:
        yield made


@pytest.fixture
def hosts(site: Site) -> Iterator[Site]:
    """Give machines with a genuine sshd that no test has used before, nor a first try of this."""
    yield site
    site.clear()


class _Progress:
    """Shows the building of the control plane, which takes minutes; nothing otherwise."""

    def __init__(self, config: pytest.Config) -> None:
        self._reporter = config.pluginmanager.get_plugin("terminalreporter")
        self._shown = -1

    def __call__(self, event: Event) -> None:
        if self._reporter is None or event.name not in ("build", "download") or not event.total:
            return
        percent = 100 * event.done // event.total // 10 * 10
        if percent != self._shown:
            self._shown = percent
            line = f"{event.name} {event.subject}: {event.done} of {event.total} {event.unit}"
            self._reporter.write_line(line)


@pytest.fixture
def namespace_name(request: pytest.FixtureRequest) -> str:
    """Give a name that no other test has, for a namespace that the test makes itself."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    return f"{stem or 'test'}-{secrets.token_hex(4)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test in whose output, log or files a generated secret shows up."""
    report = yield
    if call.when == "call" and report.passed:
        left = leaks.texts_below(getattr(item, "funcargs", {}))
        if found := leaks.found_in([*report.sections, *left]):
            report.outcome = "failed"
            report.longrepr = f"a generated secret shows in: {', '.join(found)}"
    return report
