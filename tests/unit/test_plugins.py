from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk import errors, hookspecs
from infometis_sdk._plugins import DISABLE, Plugins
from infometis_sdk.model import ApplyReport, Plan
from infometis_sdk.model.service import ServiceSource

if TYPE_CHECKING:
    from pathlib import Path

MARKED = "from infometis_sdk.hookspecs import hookimpl\n@hookimpl\n"
FOREIGN = "import pluggy\n@pluggy.HookimplMarker('other')\n"
Install = Callable[..., None]
PLAN = Plan(stack_id="s", environment="dev", namespace="demo")
REPORT = ApplyReport(stack_id="s", plan_digest="", outcomes=())

GOOD = """
    from attrs import frozen
    from infometis_sdk.hookspecs import hookimpl
    from infometis_sdk.ports.platform import PlatformSpec

    @frozen
    class Mine:
        nodes: int = 1

    @hookimpl
    def infometis_platforms():
        yield PlatformSpec(name="mine", summary="mine", settings=Mine, factory=lambda s, c: None)
"""
SERVICE = """
    from infometis_sdk.hookspecs import hookimpl
    from infometis_sdk.model.service import ServiceSource

    @hookimpl
    def infometis_services():
        return (ServiceSource(name="{name}", summary="", package="nowhere"),)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a distribution with one plugin, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(dist: str, entry: str, module: str, code: str, version: str = "1.0") -> None:
        info = tmp_path / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[infometis]\n{entry} = {module}\n")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))

    yield make
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def load(tmp_path: Path) -> Callable[[], Plugins]:
    """Return a function that loads what the test installed, and nothing else."""

    def plugins() -> Plugins:
        found = [
            point
            for dist in distributions(path=[str(tmp_path)])
            for point in dist.entry_points
            if point.group == hookspecs.NAME
        ]
        return Plugins.load(found=found)

    return plugins


Load = Callable[[], Plugins]


def states(plugins: Plugins) -> dict[str, str]:
    """Return the state of each plugin by its name."""
    return {row.name: row.state for row in plugins.listing()}


def test_installed_plugins_are_found_by_their_entry_points(install: Install, load: Load) -> None:
    """A plugin of another distribution takes part without a word of configuration."""
    install("third-party", "platform-mine", "third_party_mine", GOOD)
    plugins = load()
    assert list(plugins.platforms()) == ["mine"]
    (row,) = plugins.listing()
    assert (row.distribution, row.version, row.offers) == ("third-party", "1.0", ("platform mine",))


@pytest.mark.parametrize(
    ("code", "phase", "message"),
    [
        ("import no_such_module", "import", "cannot be imported: No module named 'no_such_module'"),
        ("def (", "import", "cannot be imported: invalid syntax"),
        ("raise SystemExit('out')", "import", "cannot be imported: out"),
        (
            MARKED + "def infometis_platform(): return ()",
            "register",
            "unknown hook 'infometis_platform'; did you mean 'infometis_platforms'?",
        ),
        (
            FOREIGN + "def infometis_platforms(): return ()",
            "register",
            "infometis_platforms is marked for 'other'; mark it with",
        ),
        (
            "def infometis_platforms(): return ()",
            "register",
            "infometis_platforms is not marked; mark it with",
        ),
        (
            MARKED + "def infometis_before_apply(plan, stack): pass",
            "register",
            "",
        ),
        ("x = 1", "register", "has no hook"),
        (
            MARKED + "def infometis_platforms(): return 3",
            "infometis_platforms",
            "infometis_platforms failed: 'int' object is not iterable",
        ),
        (
            MARKED + "def infometis_platforms(): return ['mine']",
            "infometis_platforms",
            "infometis_platforms returned str, not PlatformSpec",
        ),
        (
            MARKED + "def infometis_platforms(): raise RuntimeError('no disk')",
            "infometis_platforms",
            "infometis_platforms failed: no disk",
        ),
    ],
    ids=[
        "import",
        "syntax",
        "exit",
        "misspelt",
        "foreign-marker",
        "no-marker",
        "argument",
        "nothing",
        "no-list",
        "no-record",
        "raises",
    ],
)
def test_a_broken_plugin_costs_nobody_else(
    install: Install, load: Load, code: str, phase: str, message: str
) -> None:
    """Whatever is wrong with one, the others work, and the listing says what is wrong."""
    install("bad-one", "platform-bad", "bad_one", code)
    install("third-party", "platform-mine", "third_party_mine", GOOD)
    plugins = load()
    assert list(plugins.platforms()) == ["mine"]
    assert states(plugins) == {"platform-bad": "broken", "platform-mine": "loaded"}
    (problem,) = plugins.problems
    assert (problem.name, problem.distribution, problem.phase) == ("platform-bad", "bad-one", phase)
    assert problem.message.startswith(message)


def test_a_broken_plugin_is_fatal_when_it_is_wanted(install: Install, load: Load) -> None:
    """Asking for the platform of a broken plugin says why it is broken."""
    install("bad-one", "platform-bad", "bad_two", "import no_such_module")
    with pytest.raises(errors.PluginLoadError, match=r"bad-one 1.0.*no_such_module") as caught:
        load().platform({"type": "bad"})
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_unknown_platform_names_the_nearest(install: Install, load: Load) -> None:
    """A name that nobody offers is answered with the nearest one and with all there are."""
    install("third-party", "platform-mine", "third_party_mine", GOOD)
    with pytest.raises(errors.UnknownPluginError) as caught:
        load().platform({"type": "mien"})
    assert caught.value.message == "no plugin offers the platform 'mien'"
    assert caught.value.hint == "did you mean 'mine'?; known: mine"


def test_platform_by_name_and_by_settings(install: Install, load: Load) -> None:
    """A platform is had by its name in files, and by a typed settings object in code."""
    install("third-party", "platform-mine", "third_party_mine", GOOD)
    plugins = load()
    spec, settings = plugins.platform({"type": "mine", "nodes": 3})
    assert (spec.name, settings.nodes) == ("mine", 3)
    assert plugins.platform(settings) == (spec, settings)
    with pytest.raises(errors.ProjectError) as faulty:
        plugins.platform({"type": "mine", "nods": 3, "nodes": "3"})
    assert [f.path for f in faulty.value.faults] == ["platform.nodes", "platform.nods"]
    with pytest.raises(errors.UnknownPluginError, match="settings SimpleNamespace"):
        plugins.platform(SimpleNamespace())


def test_two_plugins_of_one_name_are_fatal(install: Install, load: Load) -> None:
    """Two entry points of one name: neither wins by chance, and both distributions are named."""
    install("one", "platform-mine", "mine_one", GOOD)
    install("two", "platform-mine", "mine_two", GOOD, version="2.0")
    plugins = load()
    assert [row.state for row in plugins.listing()] == ["clash", "clash"]
    with pytest.raises(errors.PluginClashError, match=r"by one 1.0 and by two 2.0"):
        plugins.platforms()


def test_two_records_of_one_name_are_fatal(install: Install, load: Load) -> None:
    """Two plugins that offer one service: both distributions are named, whatever the order."""
    install("one", "services-a", "services_a", SERVICE.format(name="whoami"))
    install("two", "services-b", "services_b", SERVICE.format(name="whoami"))
    plugins = load()
    with pytest.raises(errors.PluginClashError) as caught:
        plugins.services()
    assert caught.value.message == "service 'whoami' is offered twice: by one 1.0 and by two 1.0"
    assert states(plugins) == {"services-a": "clash", "services-b": "clash"}


def test_plugins_can_be_left_out(
    install: Install, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment variable leaves plugins out, by name or all; they are listed all the same."""
    install("one", "services-a", "services_a", SERVICE.format(name="a"))
    install("two", "services-b", "services_b", SERVICE.format(name="b"))
    monkeypatch.setenv(DISABLE, "services-a, other")
    assert list(load().services()) == ["b"]
    assert states(load()) == {"services-a": "disabled", "services-b": "loaded"}
    monkeypatch.setenv(DISABLE, "*")
    assert dict(load().services()) == {}


def test_order_is_by_name_and_not_by_the_file_system(install: Install, load: Load) -> None:
    """Results come in the order of entry point names, the same on every machine."""
    for letter in "cab":
        install(
            f"dist-{letter}", f"services-{letter}", f"mod_{letter}", SERVICE.format(name=letter)
        )
    assert list(load().services()) == ["a", "b", "c"]


class Extra:
    """A plugin given by hand."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.seen: list[Any] = []

    @hookspecs.hookimpl
    def infometis_services(self) -> tuple[ServiceSource, ...]:
        """Register one service."""
        return (ServiceSource(name="extra", summary="", package="nowhere"),)

    @hookspecs.hookimpl
    def infometis_before_apply(self, plan: Plan) -> None:
        """Object, where it is asked to."""
        self.seen.append(plan)
        if self.fails:
            msg = "change freeze"
            raise RuntimeError(msg)

    @hookspecs.hookimpl
    def infometis_after_apply(self, plan: Plan, report: ApplyReport) -> None:
        """Fail, where it is asked to."""
        self.seen.append((plan, report))
        if self.fails:
            msg = "no mail server"
            raise RuntimeError(msg)


def test_plugins_given_by_hand() -> None:
    """An object given by hand takes part; a broken one is an error at once."""
    plugins = Plugins.load(extra=[Extra()], found=())
    assert list(plugins.services()) == ["extra"]
    with pytest.raises(errors.PluginLoadError, match="has no hook"):
        Plugins.load(extra=[SimpleNamespace()], found=())


def test_observers_are_told() -> None:
    """Every observer sees the plan before the first write and the report after the last."""
    extra = Extra()
    plugins = Plugins.load(extra=[extra], found=())
    plugins.before_apply(PLAN)
    assert plugins.after_apply(PLAN, REPORT) == ()
    assert extra.seen == [PLAN, (PLAN, REPORT)]


def test_an_observer_can_stop_an_apply_but_not_undo_it() -> None:
    """Failing before stops the apply, failing afterwards is a warning; both name the plugin."""
    plugins = Plugins.load(extra=[Extra(fails=True)], found=())
    with pytest.raises(errors.PluginError, match=r"'Extra' stopped the apply.*change freeze"):
        plugins.before_apply(PLAN)
    assert plugins.after_apply(PLAN, REPORT) == (
        "plugin 'Extra' failed after the apply: no mail server",
    )


def test_the_catalogue_is_registered_like_any_plugin() -> None:
    """The SDK's own services come through the hook that third parties use."""
    from infometis_sdk.catalogue import plugin

    services = Plugins.load(extra=[plugin], found=()).services()
    assert sorted(services) == ["elasticsearch", "grafana", "kafka", "nifi"]
