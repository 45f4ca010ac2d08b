"""What doctor advises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import infometis_sdk as im

if TYPE_CHECKING:
    from pathlib import Path


def test_nobody_is_told_to_make_what_is_not_ours_to_make(tmp_path: Path) -> None:
    """Where somebody else's cluster is not found, no verb of ours brings it up."""
    platform = im.Existing(kubeconfig=str(tmp_path / "none"))
    project = im.Project(name="demo", environments={"a": im.Environment("a", platform=platform)})
    report = im.Workspace(project, state_dir=tmp_path / "state")["a"].doctor(probe=False)
    (found,) = (each for each in report.to_dict()["findings"] if each["check"] == "cluster")
    assert found["level"] == "warning"
    assert "infometis up" not in found["cure"]
    assert "`platform` of the environment" in found["cure"]
