"""Promotion between environments on the genuine API server."""

from __future__ import annotations

import base64
import getpass
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.promotion.conftest import TEMPLATE

from infometis_sdk import CancelToken, Event, Run
from infometis_sdk._adapters.promotion_files import PromotionFiles
from infometis_sdk.errors import (
    CancelledError,
    GateError,
    LockedError,
    PromotionError,
    ProtectedError,
    RefusedError,
    TamperedError,
)
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from tests.integration.promotion.conftest import Site

    from infometis_sdk.model.promotion import PromotionReport

# Long on a loaded machine: many processes, one after the other.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

STAGES = ("validation", "border", "deployment", "integration", "performance")


def states(report: PromotionReport) -> dict[str, str]:
    """Return the state of every stage."""
    return {stage.name: stage.state for stage in report.stages}


def gates(report: PromotionReport) -> dict[str, bool]:
    """Return which gates are open."""
    return {gate.name: gate.opened for gate in report.gates}


def promote(
    site: Site, source: str = "dev", target: str = "uat", **options: Any
) -> PromotionReport:
    """Promote by the project as it is now."""
    return site.ws().promote(source, target, run=site.run(), **options)


FUNCTIONS = """
import time

def raises(context):
    raise OSError("no calendar")

def exits(context):
    raise SystemExit(3)

def hangs(context):
    time.sleep(3600)

def nonsense(context):
    return {"maybe": 1}

def forgets(context):
    pass

def wants(context):
    return f"ask about release {context.release.number} of {context.source.name}"

def fine(context):
    return context.plan.stack_id == context.target.stack_id
"""


def test_closed_gates_stop_before_the_first_write_and_say_what_opens_them(site: Site) -> None:
    """Every closed gate is told at once, whatever its function does, and nothing is written."""
    site.module(FUNCTIONS)
    names = ("raises", "exits", "hangs", "nonsense", "forgets", "wants", "fine")
    listed = ", ".join(f"'{site.functions}:{name}'" for name in names)
    strict = f"soak: 1h, backup: 24h, equivalence: unverified, timeout: 1, functions: [{listed}]"
    site.pipeline(f"gates: {{{strict}}}")
    site.up("dev")
    site.meddle("dev")
    with pytest.raises(GateError) as caught:
        promote(site)
    report: PromotionReport = caught.value.report
    told = caught.value.message
    assert {g.name.rpartition(":")[2] for g in report.gates if g.opened} == {"evidence", "fine"}
    for reason in (
        "wait until",
        "ConfigMap/hello-settings data.greeting by kubectl-edit",
        "no backup of uat is on record",
        "OSError: no calendar",
        "SystemExit",
        "did not answer within 1 s",
        "neither True nor a reason: dict",
        "neither True nor a reason: NoneType",
        "ask about release 1 of dev",
    ):
        assert reason in told
    assert report.state == "refused"
    assert (
        site.get(ObjectRef(api_version="v1", kind="Namespace", name=site.namespace("uat"))) is None
    )
    recorded = site.ws()["uat"].audit.timeline(kind="gate").events
    assert {e.verb: e.result for e in recorded}["soak"] == "closed"
    assert not site.ws()["uat"].audit.timeline(kind="write").events


def test_what_runs_is_promoted_once_gates_open(site: Site) -> None:
    """A rehearsal changes nothing; the promotion deploys exactly that core; again is no change."""
    site.pipeline("gates: {soak: 1h}", greeting="first")
    site.up("dev")
    with pytest.raises(GateError, match="soak"):
        promote(site)
    # The working tree moves on; what is promoted is what runs.
    site.pipeline("gates: {soak: 1s, equivalence: unverified}", greeting="later")
    run = site.run()
    while not gates(promote(site, dry_run=True))["soak"]:
        run.sleep(0.2, "waiting for the soak gate")
    rehearsal = promote(site, dry_run=True)
    assert (rehearsal.state, site.greeting("uat")) == ("planned", "")
    assert "to create" in rehearsal.stage("deployment").detail
    report = promote(site, reason="ticket 42")
    assert report.state == "succeeded", str(report)
    assert states(report)["deployment"] == "passed"
    assert states(report)["border"] == "not applicable"
    assert site.greeting("uat") == "first"
    dev, uat = (site.ws()[name].releases(run=site.run()).live for name in ("dev", "uat"))
    assert dev is not None
    assert uat is not None
    assert (dev.bundle, report.bundle) == (uat.bundle, uat.bundle)
    assert "equal" in report.stage("deployment").evidence["proof"] or (
        "unverified" in report.stage("deployment").evidence["proof"]
    )
    deployed = site.get(site.ref("uat", "Deployment", "hello", "apps/v1"))
    assert deployed is not None
    assert deployed["spec"]["replicas"] == 2, "the target's own values stay"
    audit = site.ws()["uat"].verify_audit(run=site.run())
    assert audit.intact, str(audit)
    before = audit.records
    again = promote(site)
    assert "nothing to do" in again.warnings[0]
    assert site.ws()["uat"].verify_audit(run=site.run()).records == before
    status = site.ws().pipeline_status(run=site.run())
    rows = {row.environment: row for row in status.rows}
    assert rows["dev"].services == rows["uat"].services
    assert rows["uat"].promotion == "succeeded from dev"
    assert rows["uat"].gates["soak"] == "open"
    assert rows["prod"].status == "nothing deployed"
    assert rows["dev"].drift == "none"

    # A protected target wants its plan looked at: without a signature or its digest, no write.
    file = site.root / "environments" / "prod.yaml"
    file.write_text(file.read_text() + "protected: true\n")
    with pytest.raises(ProtectedError) as wanted:
        promote(site, "uat", "prod")
    digest = promote(site, "uat", "prod", dry_run=True).plan
    assert digest in wanted.value.hint
    assert site.greeting("prod") == ""
    assert promote(site, "uat", "prod", confirm=digest).state == "succeeded"
    assert site.greeting("prod") == "first"


def test_a_pipeline_is_followed(site: Site) -> None:
    """No environment is skipped, and none is left out that was never deployed."""
    site.pipeline()
    with pytest.raises(RefusedError, match="no pipeline leads from dev right to prod"):
        promote(site, "dev", "prod")
    with pytest.raises(RefusedError, match="nothing is deployed"):
        promote(site)


def test_a_source_that_is_not_known_for_sure_is_refused(site: Site) -> None:
    """Mixed, half deployed, damaged: each is refused with its reason, and nothing is written."""
    site.pipeline()
    site.up("dev")
    site.pipeline(greeting="more")
    site.up("dev", services=["hello"])
    with pytest.raises(RefusedError, match="mixed"):
        promote(site)
    site.up("dev")
    stack_id = site.ws()["dev"].stack_id
    live = site.ws()["dev"].releases(run=site.run()).live
    assert live is not None
    release = site.ref("dev", "ConfigMap", f"infometis-{stack_id}-release-{live.number}")
    labels = f"infometis.io/bundle-of={stack_id}"
    bundles = site.cluster.list(
        "v1", "ConfigMap", site.run(), namespace=release.namespace, labels=labels
    )
    (bundle,) = (
        ObjectRef.of(obj) for obj in bundles if live.bundle_digest[7:23] in obj["metadata"]["name"]
    )
    for ref in (bundle, release):
        flip_a_byte(site, ref)
        with pytest.raises((TamperedError, RefusedError)):
            promote(site)
        flip_a_byte(site, ref)
    assert site.greeting("uat") == ""
    assert promote(site, dry_run=True).state == "planned", "all is as it was"
    site.up("uat")
    site.pipeline(greeting="half")
    site.up("dev")
    assert killed(site, "the first object", "finished").returncode == -signal.SIGKILL
    with pytest.raises(RefusedError, match="half deployed"):
        promote(site, "uat", "prod")


def flip_a_byte(site: Site, ref: ObjectRef) -> None:
    """Change one byte of what an object holds; what is immutable is made anew."""
    live = site.get(ref)
    assert live is not None
    (key, text), *_ = live["binaryData"].items()
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    changed = {**live["binaryData"], key: base64.b64encode(data).decode()}
    site.cluster.write(Write(verb="delete", ref=ref), site.run())
    meta = {k: live["metadata"][k] for k in ("name", "namespace", "labels")}
    body = {**live, "metadata": meta, "binaryData": changed}
    site.cluster.write(Write(verb="create", ref=ref, body=body, manager="mallory"), site.run())


def test_two_people_must_sign_and_none_of_them_an_author(site: Site) -> None:
    """Signatures count by person and key, over this plan's digest, in our own namespace."""
    keys = {name: site.key(name) for name in ("ann", "bob", "eve")}
    me = getpass.getuser()
    keys[me] = site.key(f"key-of-{me}")
    lines = [
        f"{name}@example.com {key.with_suffix('.pub').read_text().strip()}"
        for name, key in keys.items()
        if name != "eve"
    ]
    (site.root / "signers").write_text("\n".join(lines) + "\n")
    site.pipeline("gates: {approvals: 2, signers: signers}")
    site.up("dev")
    digest = promote(site, dry_run=True).plan
    bad = [
        site.sign(keys[me], digest),
        site.sign(keys["eve"], digest),
        site.sign(keys["bob"], digest, namespace="git"),
    ]
    ann = site.sign(keys["ann"], digest)
    with pytest.raises(GateError) as caught:
        promote(site, approvals=[*bad, ann, ann])
    for reason in (
        "1 of 2 approved: ann@example.com",
        f"{me}@example.com is an author of it",
        "by no key that signers allows",
        "is no good signature of this plan",
        f"let 1 more sign the plan's digest: {digest}",
    ):
        assert reason in caught.value.message
    bob = site.sign(keys["bob"], digest)
    report = promote(site, approvals=[ann, bob])
    assert report.state == "succeeded", str(report)
    names = [e.evidence["subject"] for e in site.ws()["uat"].audit.timeline(kind="approval").events]
    assert set(names) == {"ann@example.com", "bob@example.com"}


BOUNDARIES = (
    ("validation", "started"),
    ("validation", "finished"),
    ("border", "finished"),
    ("gates", "finished"),
    ("deployment", "started"),
    ("the first object", "finished"),
    ("deployment", "finished"),
    ("integration", "finished"),
    ("performance", "finished"),
)


def killed(site: Site, subject: str, when: str) -> subprocess.CompletedProcess[str]:
    """Promote in a process of its own, which kills itself at an event."""
    script = Path(__file__).with_name("victim.py")
    words = (str(site.root), str(site.state), "dev", "uat", subject, when)
    return subprocess.run(
        (sys.executable, str(script), *words),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def cancel(site: Site) -> None:
    """Promote, and cancel as Ctrl-C does, once the gates were looked at."""
    token = CancelToken()

    def stop(event: Event) -> None:
        if (event.name, event.subject, event.state) == ("promotion", "gates", "finished"):
            token.cancel()

    with pytest.raises(CancelledError):
        site.ws().promote("dev", "uat", run=Run.within(180, emit=stop, cancel=token))
    assert site.greeting("uat") == ""


def test_a_promotion_that_is_killed_or_cancelled_goes_on(site: Site) -> None:
    """SIGKILL at every boundary of stages, and amid the deployment: the next run goes on."""
    site.pipeline()
    site.up("dev")
    stack_id = site.ws()["uat"].stack_id
    files = PromotionFiles(site.state / "promotions")
    ids = set()
    for subject, when in BOUNDARIES:
        done = killed(site, subject, when)
        assert done.returncode == -signal.SIGKILL, f"{subject} {when}: {done.stderr}"
        last = files.read(stack_id)
        assert last is not None
        assert last.state == "running"
        ids.add(last.id)
        if subject == "border":
            cancel(site)
    report = promote(site)
    assert report.state == "succeeded", str(report)
    assert ids == {report.id}, "it was one promotion all along"
    assert all(stage.done for stage in report.stages)
    assert site.greeting("uat") == "hello"
    audit = site.ws()["uat"].verify_audit(run=site.run())
    assert audit.intact, str(audit)
    assert site.ws()["uat"].plan(run=site.run()).core_digest == report.bundle


def test_what_the_target_lacks_is_told_with_its_gates(site: Site) -> None:
    """What can never become healthy there stops before the first write, also after a kill."""
    site.pipeline()
    site.up("dev")
    assert killed(site, "gates", "finished").returncode == -signal.SIGKILL
    file = site.root / "environments" / "uat.yaml"
    file.write_text(file.read_text() + "policies: {encryption: required}\n")
    site.pipeline("gates: {soak: 1h}")
    with pytest.raises(GateError) as caught:
        promote(site)
    report: PromotionReport = caught.value.report
    assert "resumed" in report.warnings[0]
    assert (report.state, states(report)["validation"]) == ("refused", "failed")
    assert "it is not proved that this cluster does so" in caught.value.message
    assert "soak: deployed for" in caught.value.message
    space = ObjectRef(api_version="v1", kind="Namespace", name=site.namespace("uat"))
    assert site.get(space) is None


def test_what_may_not_be_planned_is_told_once(site: Site) -> None:
    """Somebody else's object in the way fails the validation, and stays as it is."""
    site.pipeline()
    site.up("dev")
    site.up("uat")
    name = "uat-greeting"
    site.service(TEMPLATE.replace('name ~ "-settings"', f'"{name}"'))
    site.up("dev")
    ref = site.ref("uat", "ConfigMap", name)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": ref.namespace},
        "data": {"greeting": "mine"},
    }
    site.cluster.write(Write(verb="create", ref=ref, body=body, manager="somebody"), site.run())
    with pytest.raises(GateError) as caught:
        promote(site)
    assert caught.value.message.count("it exists and is not ours (written by somebody)") == 1
    assert states(caught.value.report)["validation"] == "failed"
    assert (site.get(ref) or {})["data"] == {"greeting": "mine"}


QUOTA = """
from infometis_sdk import Run
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

def no_more_services(context):
    space = context.plan.namespace
    ref = ObjectRef(api_version="v1", kind="ResourceQuota", namespace=space, name="none")
    body = {"apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": space}, "spec": {"hard": {"services": "0"}}}
    context.target.cluster().write(Write(verb="create", ref=ref, body=body, manager="x"),
                                   Run.within(60))
    return True
"""

ADDED = (
    TEMPLATE
    + """\
---
apiVersion: v1
kind: Service
metadata:
  name: {{ name }}
spec:
  selector: {{ selector }}
  ports: [{port: 80}]
"""
)


def test_a_failed_deployment_goes_back_where_that_is_asked(site: Site) -> None:
    """What the API server refuses amid the deployment ends it, and the release before returns."""
    site.module(QUOTA)
    site.pipeline(greeting="one")
    site.up("dev")
    site.up("uat")
    site.service(ADDED)
    lines = f"rollback: true\ngates: {{functions: ['{site.functions}:no_more_services']}}"
    site.pipeline(lines, "two")
    site.up("dev")
    with pytest.raises(PromotionError, match="deployment of the promotion to uat failed") as caught:
        promote(site)
    report: PromotionReport = caught.value.report
    assert report.state == "rolled back", str(report)
    assert report.stage("deployment").evidence["before"] == 1
    assert site.greeting("uat") == "one"
    newest = site.ws()["uat"].releases(run=site.run()).live
    assert newest is not None
    assert (newest.number, newest.status) == (3, "deployed")


MEDDLER = """
import uuid
from infometis_sdk import Run
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

def meddles(context):
    ref = ObjectRef(api_version="v1", kind="ConfigMap", namespace=context.plan.namespace,
                    name="hello-settings")
    body = {"data": {"greeting": f"meddled {uuid.uuid4()}"}}
    write = Write(verb="merge-patch", ref=ref, body=body, manager="kubectl-edit")
    context.target.cluster().write(write, Run.within(60))
    return True
"""


def test_what_moved_while_gates_were_looked_at_is_not_overwritten(site: Site) -> None:
    """What is deployed is the plan that gates were opened for, or nothing."""
    site.module(MEDDLER)
    site.pipeline(greeting="one")
    site.up("dev")
    site.up("uat")
    site.pipeline(f"rollback: true\ngates: {{functions: ['{site.functions}:meddles']}}", "two")
    site.up("dev")
    with pytest.raises(PromotionError, match="hello-settings") as caught:
        promote(site)
    assert caught.value.report.state == "failed"
    assert site.greeting("uat").startswith("meddled")
    assert "plan again" in caught.value.hint
    assert promote(site, dry_run=True).state == "planned"
    # Killed before that was said, it is said by whoever goes on.
    assert killed(site, "deployment", "failed").returncode == -signal.SIGKILL
    with pytest.raises(PromotionError, match="hello-settings") as caught:
        promote(site)
    assert caught.value.report.state == "failed"
    assert site.greeting("uat").startswith("meddled")


RIVAL = """
from pathlib import Path
from infometis_sdk import Project, Run, Workspace
from infometis_sdk.errors import LockedError

def rival(context):
    for state in ({state!r}, {state!r} + "-elsewhere"):
        workspace = Workspace(Project.load(Path({root!r})), state_dir=Path(state))
        try:
            workspace.promote("dev", "uat", run=Run.within(60))
        except LockedError as error:
            if "promotion" not in str(error) and "holds" not in str(error):
                return str(error)
        else:
            return "two promotions ran at once"
    return True
"""


def test_one_promotion_into_an_environment_at_a_time(site: Site) -> None:
    """A second one is refused, on this machine and on another one."""
    site.pipeline(greeting="one")
    site.up("dev")
    site.up("uat")  # its namespace holds the Lease that another machine meets
    site.pipeline(greeting="two")
    site.up("dev")
    site.module(RIVAL.format(state=str(site.state), root=str(site.root)))
    site.pipeline(f"gates: {{functions: ['{site.functions}:rival']}}", greeting="two")
    report = promote(site)
    assert report.state == "succeeded", str(report)
    with PromotionFiles(site.state / "promotions").alone(site.ws()["uat"].stack_id):  # noqa: SIM117
        with pytest.raises(LockedError, match="another promotion"):
            promote(site)
    lease = site.ref(
        "uat",
        "Lease",
        f"infometis-{site.ws()['uat'].stack_id}-promotion",
        "coordination.k8s.io/v1",
    )
    assert site.get(lease) is None, "no trace stays"


CHECKS = """
from pathlib import Path
from infometis_sdk.model import Measure, Probe

def wary(stack):
    return "it smells of smoke" if Path({flag!r}).exists() else True

def answer(stack):
    return Measure(30.0 if stack.name == "uat" and Path({slow!r}).exists() else 10.0, "ms")

probes = Probe(name="answer", function=answer, needs_containers=False)
"""


JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: smoke}
spec:
  backoffLimit: 0
  template:
    metadata: {labels: {app: smoke}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "example/smoke:1"}]
"""


def test_failed_verification_goes_back_where_that_is_asked(site: Site) -> None:
    """Checks and probes that fail end the promotion, and the release before returns."""
    flag, slow = site.root / "smoke", site.root / "slow"
    site.module(CHECKS.format(flag=str(flag), slow=str(slow)))
    (site.root / "job.yaml").write_text(JOB)
    lines = f"checks: ['{site.functions}:wary']\njobs: [job.yaml]\nrollback: true"

    def declare(greeting: str) -> None:
        site.pipeline(lines, greeting)
        with (site.root / "infometis.yaml").open("a") as stream:
            stream.write(f"probes: ['{site.functions}:probes']\n")

    declare("one")
    site.up("dev")
    flag.touch()
    with pytest.raises(PromotionError, match="it smells of smoke") as caught:
        promote(site)
    first: PromotionReport = caught.value.report
    assert first.state == "failed"
    assert "no earlier release" in first.warnings[-1]
    flag.unlink()
    report = promote(site)
    assert report.state == "succeeded", str(report)
    assert states(report)["performance"] == "passed"
    assert states(report)["integration"] == "passed"
    assert report.stage("integration").evidence["job.yaml"] == "completed"
    jobs = site.cluster.list("batch/v1", "Job", site.run(), namespace=site.namespace("uat"))
    assert not [job for job in jobs if not job["metadata"].get("deletionTimestamp")]
    declare("worse")
    site.up("dev")
    slow.touch()
    # Killed on its way back, it goes on back, although all would pass by now.
    assert killed(site, "rollback", "started").returncode == -signal.SIGKILL
    slow.unlink()
    with pytest.raises(PromotionError, match="performance") as caught:
        promote(site)
    failed: PromotionReport = caught.value.report
    assert failed.state == "rolled back", str(failed)
    assert site.greeting("uat") == "one"
    events = site.ws()["uat"].audit.timeline(kind="write").events
    assert "rollback" in {event.verb for event in events}
