"""What a promotion decides on values alone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from infometis_sdk.engine.promote import choose, eligible, render_digest, resumable
from infometis_sdk.engine.promoting.gates import (
    approval_gate,
    authors_of,
    backup_gate,
    drift_gate,
    evidence_gate,
    soak_gate,
)
from infometis_sdk.engine.promoting.target import (
    PlatformClass,
    class_faults,
)
from infometis_sdk.errors import RefusedError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.pipeline import Pipeline, PipelineStep, seconds_of
from infometis_sdk.model.promotion import Approval, PromotionReport, StageResult
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.release import Release, ReleaseList
from infometis_sdk.model.report import DriftItem, DriftReport
from infometis_sdk.model.stack import Manifest, ManifestSet

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
DIGEST = "sha256:" + "0" * 64


def pipeline(*names: str) -> Pipeline:
    """Return a pipeline through these environments."""
    return Pipeline(steps=[PipelineStep(environment=name) for name in names])


def manifests(*objects: Mapping[str, Any]) -> ManifestSet:
    """Return a render of these objects."""
    return ManifestSet(
        environment=Environment("uat"),
        namespace="uat",
        stack_id="demo-uat",
        manifests=[Manifest(object=obj) for obj in objects],
    )


@pytest.mark.parametrize("text", ["1", "h", "1.5h", "-1h", "1w", " 1h", "1h30m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """A time is one number and one unit."""
    with pytest.raises(ValueError, match="no time"):
        seconds_of(text)


def test_pipelines_are_followed_step_by_step() -> None:
    """The next environment of one pipeline, or of the one that is named."""
    known = {"main": pipeline("dev", "uat", "prod"), "hot": pipeline("dev", "prod")}
    assert choose(known, "dev", "uat")[0] == "main"
    assert choose(known, "dev", "prod")[0] == "hot"
    assert choose({}, "dev", "prod") == ("", PipelineStep(environment="prod"))
    for source, target, name in (
        ("uat", "dev", ""),
        ("dev", "dev", ""),
        ("dev", "uat", "hot"),
        ("dev", "uat", "none"),
    ):
        with pytest.raises(RefusedError):
            choose(known, source, target, name)
    with pytest.raises(RefusedError, match="several"):
        choose({"a": pipeline("x", "y"), "b": pipeline("x", "y")}, "x", "y")


def test_only_what_surely_runs_whole_is_promoted() -> None:
    """Nothing deployed, half deployed, mixed, failed, damaged: each is refused."""
    good = Release(number=1, status="deployed", bundle="sha256:1")
    assert eligible(ReleaseList(stack_id="s", items=[good])) == good
    later = attrs.evolve(good, number=2)
    for items in (
        [],
        [good, attrs.evolve(later, status="pending")],
        [good, attrs.evolve(later, status="failed")],
        [good, attrs.evolve(later, mixed=True)],
        [attrs.evolve(good, bundle="")],
        [attrs.evolve(good, status="superseded")],
    ):
        with pytest.raises(RefusedError):
            eligible(ReleaseList(stack_id="s", items=items))
    with pytest.raises(RefusedError, match="release 3 was changed"):
        eligible(ReleaseList(stack_id="s", items=[good], problems=["release 3 was changed"]))


def test_a_promotion_goes_on_only_as_itself() -> None:
    """Another release, other values or an ended promotion begin anew."""
    mine = PromotionReport(id="a", source="dev", target="uat", release=1, bundle="b", render="r")
    again = attrs.evolve(mine, id="b", stages=[StageResult(name="validation")])
    assert resumable(mine, again)
    assert not resumable(None, again)
    assert not resumable(attrs.evolve(mine, state="failed"), again)
    for other in (
        attrs.evolve(again, source="x"),
        attrs.evolve(again, release=9),
        attrs.evolve(again, bundle="x"),
        attrs.evolve(again, render="x"),
    ):
        assert not resumable(mine, other)


def test_values_of_secrets_are_not_in_the_digest_of_a_render() -> None:
    """Two renders that differ in a Secret's value have one digest; others do not."""

    def obj(kind: str, value: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": "a", "namespace": "uat"},
            "data": {"k": value},
        }

    assert render_digest(manifests(obj("Secret", "1"))) == render_digest(
        manifests(obj("Secret", "2"))
    )
    assert render_digest(manifests(obj("ConfigMap", "1"))) != render_digest(
        manifests(obj("ConfigMap", "2"))
    )


@pytest.mark.parametrize(
    ("ended", "opened", "word"),
    [
        ("2026-11-24T11:00:00+00:00", True, "1.0h"),
        ("2026-11-24T11:00:01+00:00", False, "wait until 2026-11-24T12:00:01+00:00"),
        ("2026-11-24T14:00:00+02:00", False, "wait until"),
        ("2026-11-24T13:00:00+00:00", False, "clocks"),
        ("2026-11-24T12:00:30+00:00", False, "wait until"),
        ("2026-11-24T11:00:00", False, "does not say"),
        ("", False, "does not say"),
    ],
)
def test_soak(ended: str, opened: bool, word: str) -> None:  # noqa: FBT001 - a table
    """The Release must have run so long; clocks that are apart open nothing."""
    release = Release(number=3, status="deployed", ended=ended)
    gate = soak_gate(release, "1h", NOW)
    assert gate.opened is opened
    assert word in f"{gate.reason} {gate.opens}"


def test_drift_and_what_could_not_be_looked_at_close() -> None:
    """Any open difference closes, and so does a look that was not complete."""
    ref = ObjectRef(api_version="v1", kind="ConfigMap", namespace="dev", name="a")
    item = DriftItem(state="drift", ref=ref, path="data.k", manager="kubectl-edit")
    assert drift_gate(DriftReport(stack_id="s", items=[], checked=3), "dev").opened
    closed = drift_gate(DriftReport(stack_id="s", items=[item], checked=3), "dev")
    assert not closed.opened
    assert "kubectl-edit" in closed.reason
    unseen = DriftReport(stack_id="s", items=[], checked=3, incomplete=["Secret: 403"])
    assert not drift_gate(unseen, "dev").opened


def test_backups_must_be_young() -> None:
    """None on record, an old one and one from the future close."""
    for newest, opened in (
        ("", False),
        ("2026-11-24T11:30:00+00:00", True),
        ("2026-11-24T10:30:00+00:00", False),
        ("2026-11-24T13:30:00+00:00", False),
    ):
        found = backup_gate(newest, "1h", "uat", NOW)
        assert (found.opened, "backup FOLDER -e uat" in found.opens) == (opened, not opened)


def test_simulated_evidence_needs_its_name() -> None:
    """Only the word itself allows it."""
    assert evidence_gate((), ()).opened
    assert not evidence_gate(["dev"], ()).opened
    assert not evidence_gate(["dev"], ("kubernetes",)).opened
    assert evidence_gate(["dev"], ("simulated",)).opened


def test_approvals_count_people_with_keys_of_their_own() -> None:
    """One person with two keys is one, two names with one key are one, an author is none."""
    authors = authors_of(Release(number=1, status="deployed", actor="dan@lab"), "eve@laptop")

    def opened(*approvals: tuple[str, str]) -> bool:
        given = [Approval(principal=name, key=key) for name, key in approvals]
        return approval_gate(given, 2, authors, DIGEST).opened

    assert opened(("ann@x", "1"), ("bob@x", "2"))
    assert not opened(("ann@x", "1"), ("Ann@x", "2"))
    assert not opened(("ann@x", "1"), ("bob@x", "1"))
    assert not opened(("ann@x", "1"), ("dan@x", "2"))
    assert not opened(("ann@x", "1"), ("EVE@elsewhere", "2"))
    assert DIGEST in approval_gate([], 2, authors, DIGEST).opens


def test_a_key_of_several_names_counts_as_the_least_of_them() -> None:
    """Whoever has a second name for an author's key, or for one that signed, adds nobody."""
    authors = ("dan@lab", "eve@laptop")
    ann = Approval(principal="ann@x", key="1")
    alias = Approval(principal="zoe@x", key="2", others=["dan@x"])
    again = Approval(principal="zoe@x", key="3", others=["ann@x"])
    told = approval_gate([ann, alias, again], 2, authors, DIGEST)
    assert not told.opened
    assert told.reason == "1 of 2 approved: ann@x; dan@x is an author of it"


def test_classes_of_platform_must_be_alike_or_allowed() -> None:
    """A difference is a fault, with the word that allows it; what is unknown is a note."""
    a = PlatformClass(kubernetes="1.34", cni="calico", capabilities={"load_balancer": "declared"})
    b = PlatformClass(kubernetes="1.33", storage="x", capabilities={"load_balancer": "absent"})
    faults, notes = class_faults(a, b, ())
    assert len(faults) == 1
    assert "'kubernetes'" in faults[0]
    assert any("cni" in note for note in notes)
    assert any("load_balancer" in note for note in notes)
    assert class_faults(a, b, ("kubernetes",))[0] == ()
