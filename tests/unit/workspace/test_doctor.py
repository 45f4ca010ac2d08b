"""What doctor advises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

import infometis_sdk as im
from infometis_sdk.errors import PlatformError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.platform import (
    Access,
    Finding,
    Platform,
    PlatformSpec,
    PlatformStatus,
    Preflight,
)

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.model.run import Run


@frozen
class _Settings:
    pass


class _Lost(Platform, Preflight):
    """A platform whose engine goes away while this machine is looked at."""

    def ensure(self, run: Run) -> Access:
        run.check("making a cluster")
        return Access(kubeconfig=None)

    def status(self) -> PlatformStatus:
        return PlatformStatus(phase="absent")

    def connect(self) -> Access:
        return Access(kubeconfig=None)

    def destroy(self, run: Run) -> None:
        run.check("destroying")

    def preflight(self) -> tuple[Finding, ...]:
        msg = "the engine went away"
        raise PlatformError(msg, hint="start it")


class _Plugin:
    @hookimpl
    def infometis_platforms(self) -> tuple[PlatformSpec, ...]:
        lost = PlatformSpec(
            name="lost",
            summary="loses",
            settings=_Settings,
            factory=lambda _settings, _context: _Lost(),
        )
        return (lost,)


def test_a_look_that_fails_is_a_finding(tmp_path: Path) -> None:
    """Doctor goes on, and says what the platform said."""
    project = im.Project(
        name="demo", environments={"a": im.Environment("a", platform={"type": "lost"})}
    )
    workspace = im.Workspace(project, plugins=[_Plugin()], state_dir=tmp_path / "state")
    findings = workspace["a"].doctor(probe=False).to_dict()["findings"]
    known = {each["check"]: each for each in findings}
    assert known["machine"]["level"] == "error", findings
    assert known["machine"]["detail"] == "the engine went away"
    assert known["machine"]["cure"] == "start it"
    assert "cluster" in known


def test_nobody_is_told_to_make_what_is_not_ours_to_make(tmp_path: Path) -> None:
    """Where somebody else's cluster is not found, no verb of ours brings it up."""
    platform = im.Existing(kubeconfig=str(tmp_path / "none"))
    project = im.Project(name="demo", environments={"a": im.Environment("a", platform=platform)})
    report = im.Workspace(project, state_dir=tmp_path / "state")["a"].doctor(probe=False)
    (found,) = (each for each in report.to_dict()["findings"] if each["check"] == "cluster")
    assert found["level"] == "warning"
    assert "infometis up" not in found["cure"]
    assert "`platform` of the environment" in found["cure"]
