"""The choice of a platform: by this machine, by somebody's wish, and for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

import infometis_sdk as im
from infometis_sdk.errors import PlatformError, ProjectError, RefusedError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import (
    Access,
    Finding,
    Platform,
    PlatformContext,
    PlatformSpec,
    PlatformStatus,
)
from infometis_sdk.workspace.chosen import PREFERRED

if TYPE_CHECKING:
    from pathlib import Path


@frozen(kw_only=True)
class _Settings:
    size: int = 1


class _Stub(Platform):
    """A platform that can say what is wrong with this machine, and do nothing else."""

    def __init__(self, name: str, trouble: str) -> None:
        self.name, self.trouble = name, trouble

    def ensure(self, run: Run) -> Access:
        run.check("making a cluster")
        msg = f"{self.name} makes nothing"
        raise PlatformError(msg)

    def status(self) -> PlatformStatus:
        return PlatformStatus(phase="absent")

    def connect(self) -> Access:
        msg = "there is no cluster"
        raise PlatformError(msg)

    def destroy(self, run: Run) -> None:
        run.check("destroying")

    def preflight(self) -> tuple[Finding, ...]:
        level = "error" if self.trouble else "ok"
        return (Finding(check="machine", level=level, detail=self.trouble),)


class _Plugin:
    """Registers stubs of the preferred platforms, some of which would not work here."""

    def __init__(self, **troubles: str) -> None:
        self.troubles = {name.replace("_", "-"): text for name, text in troubles.items()}

    @hookimpl
    def infometis_platforms(self) -> tuple[PlatformSpec, ...]:
        def spec(name: str, trouble: str) -> PlatformSpec:
            def make(settings: _Settings, context: PlatformContext) -> Platform:
                del context
                stub = _Stub(name, trouble)
                stub.size = settings.size  # type: ignore[attr-defined]
                return stub

            return PlatformSpec(name=name, summary=name, settings=_Settings, factory=make)

        return tuple(spec(name, trouble) for name, trouble in self.troubles.items())


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a stack on a machine where the named platforms have these troubles."""
    monkeypatch.setenv("INFOMETIS_DISABLE_PLUGINS", "*")

    def make(platform: dict[str, Any], **troubles: str) -> im.Stack:
        environment = im.Environment("dev", platform=platform)
        project = im.Project(name="demo", id="demo", environments={"dev": environment})
        plugins = [_Plugin(**troubles)]
        return im.Workspace(project, plugins=plugins, state_dir=tmp_path)["dev"]

    return make


_AUTO = {"type": "auto"}
_ALL_WELL = {"k0s_docker": "", "kind": "", "embedded": ""}


def _up(stack: im.Stack) -> list[Event]:
    events: list[Event] = []
    with pytest.raises(PlatformError, match="makes nothing"):
        stack.up(run=Run.within(60, emit=events.append))
    return [event for event in events if event.name == "choose platform"]


def test_the_best_that_works_is_chosen(stack: Any) -> None:
    """Containers come before simulated ones, and the reasons are told."""
    assert stack(_AUTO, **_ALL_WELL).chosen.name == PREFERRED[0]
    chosen = stack(_AUTO, **_ALL_WELL | {"k0s_docker": "docker is stopped"}).chosen
    assert (chosen.name, chosen.by) == ("kind", "auto")
    assert chosen.why == "k0s-docker: docker is stopped"
    chosen = stack(_AUTO, k0s_docker="no docker", embedded="").chosen
    assert chosen.name == "embedded"
    assert chosen.why == "k0s-docker: no docker; kind: its plugin is not installed"


def test_where_nothing_works_every_reason_is_told(stack: Any) -> None:
    """The error names each platform with its reason."""
    with pytest.raises(PlatformError, match="no docker") as caught:
        _ = stack(_AUTO, k0s_docker="no docker", embedded="no disk").chosen
    assert "no disk" in caught.value.message


def test_a_choice_holds(stack: Any) -> None:
    """An engine that is down afterwards does not lead to a second, empty stack."""
    (event,) = _up(stack(_AUTO, **_ALL_WELL))
    assert event.subject == "k0s-docker"
    assert event.detail
    later = stack(_AUTO, **_ALL_WELL | {"k0s_docker": "docker is stopped"})
    assert later.chosen.name == "k0s-docker"
    assert _up(later) == []
    later.destroy()
    assert later.on("auto").chosen.name == "kind"


def test_reading_verbs_remember_nothing(stack: Any) -> None:
    """Only ``up`` makes the choice for good."""
    assert stack(_AUTO, **_ALL_WELL).chosen.name == "k0s-docker"
    assert stack(_AUTO, **_ALL_WELL | {"k0s_docker": "stopped"}).chosen.name == "kind"


def test_a_wish_is_followed_and_remembered(stack: Any) -> None:
    """``up --platform`` overrules the environment, for the verbs that come later too."""
    named = {"type": "embedded", "size": 3}
    (event,) = _up(stack(named, **_ALL_WELL).on("kind"))
    assert event.subject == "kind"
    assert stack(named, **_ALL_WELL).chosen.name == "kind"
    # Nothing lives there yet, so another wish may follow.
    assert stack(named, **_ALL_WELL).on("embedded").chosen.platform.size == 3


def test_a_stack_that_lives_somewhere_is_not_moved(stack: Any) -> None:
    """What has objects in one cluster is not begun anew in another."""
    there = stack(_AUTO, **_ALL_WELL)
    there._pins.write(there.stack_id, there.chosen.pin("some-uid"))
    with pytest.raises(RefusedError, match="lives on k0s-docker, not on kind"):
        _ = stack(_AUTO, **_ALL_WELL).on("kind").chosen
    assert stack(_AUTO, **_ALL_WELL).on("auto").chosen.name == "k0s-docker"
    assert stack(_AUTO, **_ALL_WELL).on("k0s-docker").chosen.name == "k0s-docker"


def test_settings_of_each_platform_may_stand_below_auto(stack: Any) -> None:
    """The chosen platform gets its own section; a misspelt one is a fault."""
    wanted = {"type": "auto", "kind": {"size": 2}}
    assert stack(wanted, kind="").chosen.platform.size == 2
    assert stack(wanted, kind="", embedded="").on("embedded").chosen.platform.size == 1
    with pytest.raises(ProjectError, match="did you mean 'kind'"):
        _ = stack({"type": "auto", "knd": {}}, kind="").chosen
