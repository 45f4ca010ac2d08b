"""What is recorded of writes to a genuine cluster, and what tampering with the records shows."""

from __future__ import annotations

import base64
import contextlib
import io
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from infometis_sdk import Project, Workspace
from infometis_sdk._adapters.audit_stdout import Stdout
from infometis_sdk._serde.audit_lines import audit_line, seal
from infometis_sdk.errors import AuditError, ClusterError, PluginError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.audit import AuditSink, AuditSinkSpec
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.integration.promotion.conftest import Site

    from infometis_sdk.model.audit import AuditEvent

pytestmark = pytest.mark.integration


def kinds(events: Iterable[AuditEvent]) -> list[tuple[str, str, str, str]]:
    """Return what each record is about."""
    return [(e.kind, e.verb, e.phase, e.result) for e in events]


def faults(site: Site) -> set[tuple[str, int]]:
    """Return kind and record of each fault that verification finds."""
    report = site.ws()["dev"].verify_audit(run=site.run())
    return {(f.kind, f.sequence) for f in report.faults}


def test_every_write_is_recorded_before_and_after(site: Site) -> None:
    """Who, why, which plan, which fields, what became of each object; and tampering is named."""
    site.up("dev", reason="the first one")
    site.declare("", greeting="bye")
    site.up("dev", reason="politeness")
    site.meddle("dev")
    site.up("dev")
    site.up("dev")  # nothing to do, so nothing is recorded
    stack = site.ws()["dev"]
    events = stack.audit.timeline().events
    assert kinds(events) == [
        ("write", "up", "begin", ""),
        ("credential", "create", "", ""),
        ("write", "up", "end", "done"),
        ("write", "up", "begin", ""),
        ("write", "up", "end", "done"),
        ("override", "overruled", "", ""),
        ("write", "up", "begin", ""),
        ("write", "up", "end", "done"),
    ]
    first, made, end, change = events[:4]
    assert (first.reason, change.reason) == ("the first one", "politeness")
    assert first.plan.startswith("sha256:")
    assert first.plan == end.plan
    assert made.evidence["subject"] == "hello.admin"
    assert {o.object: o.result for o in end.outcomes}["Deployment/hello"] == "applied"
    assert end.release == 1
    (field,) = (c for c in change.diff if c.object == "ConfigMap/hello-settings")
    assert (field.path, field.old, field.new) == ("data.greeting", "hello", "bye")
    assert "kubectl-edit" in str(events[5].evidence)
    about = stack.audit.timeline(about="ConfigMap/hello-settings", kind="write").events
    assert len(about) == 6
    assert not stack.audit.timeline(until="2020").events
    assert stack.audit.timeline(actor=first.actor).events == events
    drawn = stack.audit.timeline()
    assert "politeness" in str(drawn)
    assert "politeness" in drawn._repr_html_()

    report = stack.verify_audit(run=site.run())
    assert report.intact, str(report)
    assert set(report.witnesses) == {"this machine", "the cluster"}
    assert str(report.head) in str(report)

    # One line is deleted: it is named, and stays so whatever is done next.
    path = stack.audit.path
    whole = path.read_text(encoding="ascii")
    lines = whole.splitlines(keepends=True)
    path.write_text("".join([*lines[:3], *lines[4:]]), encoding="ascii")
    assert faults(site) == {("removed", 4)}
    # Cut off, and the head of this machine forged with it: the cluster knows better.
    path.write_text("".join(lines[:4]), encoding="ascii")
    path.with_name("head.json").unlink()
    assert faults(site) == {("truncated", n) for n in (5, 6, 7, 8)}
    # All gone, and begun anew.
    path.unlink()
    site.declare("", greeting="anew")
    site.up("dev")
    assert {kind for kind, _ in faults(site)} == {"removed"}


def test_copies_in_the_cluster_outlive_the_machine(site: Site, tmp_path: Path) -> None:
    """The sink `cluster` keeps every record, of every machine, and edited copies are named."""
    file = site.root / "environments" / "dev.yaml"
    file.write_text(file.read_text() + "policies: {audit: {sinks: [{type: cluster}]}}\n")
    site.up("dev", reason="the first one")
    stack = site.ws()["dev"]
    mine = stack.audit.timeline().events
    assert [e.phase for e in mine] == ["begin", "", "end"]
    assert stack.audit.timeline(lines=stack.audit_copies(site.run())).events == mine
    report = stack.verify_audit(run=site.run())
    assert report.intact, str(report)
    assert "copies in the cluster" in report.witnesses

    # Another machine has a chain of its own, which is seen and verified from here.
    elsewhere = Workspace(Project.load(site.root), state_dir=tmp_path / "elsewhere")["dev"]
    site.meddle("dev")
    elsewhere.heal(reason="by another machine", run=site.run())
    told = stack.audit.timeline(lines=stack.audit_copies(site.run()), kind="heal")
    assert "by another machine" in str(told)
    assert not stack.audit.timeline(kind="heal").events
    report = stack.verify_audit(run=site.run())
    assert report.intact, str(report)
    assert "3 copies of records of another machine" in str(report), str(report)

    # They may not be edited; who makes one anew is found out, also where the hash was forged.
    chain = mine[0].chain
    ref = site.ref("dev", "ConfigMap", f"infometis-{stack.stack_id}-audit-{chain}-2")
    live = site.get(ref)
    assert live is not None
    line = live["data"]["record"]
    edit = Write(verb="merge-patch", ref=ref, body={"data": {"record": "{}"}})
    with pytest.raises(ClusterError, match="immutable"):
        site.cluster.write(edit, site.run())
    for forged in (line.replace("hello.admin", "hello.guest"), "{}"):
        _anew(site, ref, live, forged)
        assert ("changed", ref.name) in {
            (f.kind, f.where.removeprefix("ConfigMap/"))
            for f in stack.verify_audit(run=site.run()).faults
        }
    _anew(site, ref, live, audit_line(seal(attrs.evolve(mine[1], actor="eve"), mine[0].head,
                                           chain=chain, time=mine[1].time)))  # fmt: skip
    assert faults(site) == {("changed", 2)}
    _anew(site, ref, live, line)
    assert not faults(site)

    # The records of this machine are gone, its copies are not.
    stack.audit.path.unlink()
    stack.audit.path.with_name("head.json").unlink()
    assert stack.audit.timeline(lines=stack.audit_copies(site.run())).events[:3] == mine
    assert {n for kind, n in faults(site) if kind == "truncated"} >= {1, 2, 3}


def _anew(site: Site, ref: ObjectRef, like: Mapping[str, Any], record: str) -> None:
    """Delete an object that cannot be edited, and make it again with another record."""
    site.cluster.write(Write(verb="delete", ref=ref), site.run())
    meta = {key: like["metadata"][key] for key in ("name", "namespace", "labels")}
    body = {**like, "metadata": meta, "data": {"record": record}}
    site.cluster.write(Write(verb="create", ref=ref, body=body, manager="mallory"), site.run())


def test_without_an_audit_nothing_is_changed(site: Site) -> None:
    """Where the record cannot be kept, or a sink refuses it, the cluster is left alone."""
    folder = site.ws()["dev"].audit.path.parent
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    with pytest.raises(AuditError, match="cannot be written"):
        site.up("dev")
    home = ObjectRef(api_version="v1", kind="Namespace", name=site.namespace("dev"))
    assert site.get(home) is None
    folder.unlink()

    class Refuses(AuditSink):
        def append(self, event: AuditEvent) -> None:
            msg = f"no room for {event.kind}"
            raise OSError(msg)

    class Plugin:
        @hookimpl
        def infometis_audit_sinks(self) -> Iterable[AuditSinkSpec]:
            return (
                AuditSinkSpec(
                    name="siem", summary="none", settings=Stdout, factory=lambda _s, _c: Refuses()
                ),
            )

    file = site.root / "environments" / "dev.yaml"
    file.write_text(file.read_text() + "policies: {audit: {sinks: [{type: siem}]}}\n")
    with pytest.raises(AuditError, match="'siem' failed: OSError: no room for write"):
        site.ws(Plugin())["dev"].up(run=site.run())
    assert site.get(home) is None
    with pytest.raises(PluginError, match="siem"):
        site.ws()["dev"].up(run=site.run())
    assert site.get(home) is None


def test_what_is_refused_or_fails_is_recorded_as_such(site: Site) -> None:
    """A plugin's objection is before the record; an end tells of failure; down leaves no trace."""

    class Objects:
        @hookimpl
        def infometis_before_apply(self, plan: Any) -> None:
            msg = f"not {plan.environment}"
            raise ValueError(msg)

    with pytest.raises(PluginError):
        site.ws(Objects())["dev"].up(run=site.run())
    assert not site.ws()["dev"].audit.timeline().events
    site.up("dev")
    ws = site.ws()
    stack = ws["dev"]
    report = stack.down(delete_data=True, reason="over", run=site.run())
    assert not report.failed
    assert kinds(stack.audit.timeline(kind="write").events)[-2:] == [
        ("write", "down", "begin", ""),
        ("write", "down", "end", "done"),
    ]
    stack.abandon(reason="gone")
    assert [e.verb for e in stack.audit.timeline().events][-2:] == ["abandon", "abandon"]
    assert stack.verify_audit(run=site.run()).intact


def test_no_secret_enters_any_record_or_output(site: Site) -> None:
    """Every generated secret is searched for in records, reports, sinks, files and objects."""
    file = site.root / "environments" / "dev.yaml"
    file.write_text(file.read_text() + "policies: {audit: {sinks: [{type: stdout}]}}\n")
    site.pipeline()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        site.up("dev")
        report = site.ws().promote("dev", "uat", run=site.run())
    assert '"kind":"credential"' in said.getvalue(), "the sink got every record"
    texts = [said.getvalue(), str(report), repr(report.to_dict())]
    found = set()
    for name in ("dev", "uat"):
        space = site.namespace(name)
        for obj in site.cluster.list("v1", "Secret", site.run(), namespace=space):
            found |= {base64.b64decode(v).decode("latin-1") for v in obj["data"].values()}
        texts += [
            repr(obj) for obj in site.cluster.list("v1", "ConfigMap", site.run(), namespace=space)
        ]
        stack = site.ws()[name]
        texts += [str(stack.audit.timeline()), stack.audit.timeline()._repr_html_()]
    texts += [p.read_text(errors="replace") for p in site.state.rglob("*") if p.is_file()]
    values = {value for value in found if len(value) >= 8 and value != "admin"}
    assert len(values) >= 4, "two passwords and two keys at least"
    for value in values:
        for form in (value, base64.b64encode(value.encode("latin-1")).decode()):
            assert not [text for text in texts if form in text]
