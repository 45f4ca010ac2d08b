"""The life of a stack, verb by verb, as processes on the genuine API server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.conftest import Command, Done

    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration


def _json(done: Done) -> Any:
    return json.loads(done.stdout)


def _change(project: Path, old: str, new: str) -> None:
    file = project / "environments" / "dev.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _label_by_hand(access: Access, namespace: str) -> None:
    ref = ObjectRef(api_version="v1", kind="ConfigMap", namespace=namespace, name="hello-settings")
    body = {"data": {"greeting": "moved"}}
    write = Write(verb="merge-patch", ref=ref, body=body, manager="kubectl-edit")
    open_cluster(access).write(write, Run.within(30))


def test_up_twice_then_down(run: Command) -> None:
    """``up`` ends with all ready; again, it does nothing and says so; ``down`` ends it."""
    first = run("up")
    assert (first.returncode, "Traceback" in first.stderr) == (0, False)
    assert "2 of 2 services ready" in first.stdout
    assert "plan: dev: " in first.stderr
    again = run("up", "--output", "json")
    assert again.returncode == 0
    assert _json(again)["changed"] is False
    assert run("status").returncode == 0
    gone = run("down", "--output", "json")
    assert gone.returncode == 0
    assert {o["result"] for o in _json(gone)["outcomes"]} == {"deleted"}
    missing = run("status", "--output", "json")
    assert missing.returncode == 5
    kinds = {i["ref"]["kind"] for i in _json(missing)["items"] if i["state"] != "missing"}
    assert kinds == {"Namespace", "Secret"}


def test_up_need_not_wait(run: Command, project: Path) -> None:
    """``up --no-wait`` applies everything and says how it is now; not ready yet is no error."""
    for template in project.glob("services/*/templates/all.yaml.j2"):
        # No node has this label, so no pod will ever run.
        placed = template.read_text().replace(
            "      containers:", "      nodeSelector: {nowhere: here}\n      containers:"
        )
        template.write_text(placed)
    done = run("up", "--no-wait", "--output", "json")
    assert done.returncode == 0
    said = _json(done)
    assert said["changed"] is True
    assert {outcome["result"] for outcome in said["apply"]["outcomes"]} == {"applied"}
    assert "progressing" in {item["state"] for item in said["health"]["items"]}


def test_a_saved_plan_is_what_is_applied(run: Command, project: Path) -> None:
    """``plan -o`` then ``apply`` does exactly that; once the cluster moved, it is refused."""
    assert run("up", "-q").returncode == 0
    _change(project, "replicas: 2", "replicas: 3")
    planned = run("plan", "-o", "plan.json", "--output", "json")
    assert planned.returncode == 0
    assert _json(planned) == json.loads((project / "plan.json").read_text())
    assert [item["action"] for item in _json(planned)["items"]] == ["update"]
    applied = run("apply", "plan.json")
    assert (applied.returncode, applied.stdout.split()[:2]) == (0, ["1", "applied"])
    stale = run("apply", "plan.json", "--output", "json")
    assert stale.returncode == 3
    assert _json(stale)["error"]["type"] == "StalePlanError"
    (project / "plan.json").write_text("{}")
    assert run("apply", "plan.json").returncode == 2


def test_drift_has_its_exit_code_and_names_the_hand(
    run: Command, embedded_access: Access, namespace_name: str
) -> None:
    """What a person changed is drift: exit code 6, with field, value, manager and time."""
    assert run("up", "-q").returncode == 0
    clean = run("drift")
    assert (clean.returncode, clean.stdout.split(" in ")[0]) == (0, "no drift")
    _label_by_hand(embedded_access, namespace_name)
    found = run("drift", "--output", "json")
    assert found.returncode == 6
    (item,) = _json(found)["items"]
    assert (item["state"], item["path"], item["live"]) == ("drift", "data.greeting", "moved")
    assert item["manager"] == "kubectl-edit"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item["time"])


def test_pending_is_no_drift(run: Command, project: Path) -> None:
    """That the project moved is shown, and is not drift."""
    assert run("up", "-q").returncode == 0
    _change(project, "replicas: 2", "replicas: 3")
    done = run("drift")
    assert done.returncode == 0
    assert "1 pending" in done.stdout


def test_up_of_one_service_leaves_the_other_out(run: Command) -> None:
    """``up hello`` applies and waits for one service, and an unknown one names the nearest."""
    done = run("up", "hello")
    assert done.returncode == 0
    assert "1 of 1 services ready" in done.stdout
    wrong = run("up", "helo")
    assert wrong.returncode == 2
    assert "did you mean 'hello'?" in wrong.stderr


def test_a_protected_environment_demands_more(run: Command, project: Path) -> None:
    """A protected environment wants a plan looked at, and its name typed for what ends things."""
    _change(project, "values:", "protected: true\nvalues:")
    refused = run("up")
    assert refused.returncode == 3
    (digest,) = re.findall(r"--confirm (sha256:[0-9a-f]{64})", refused.stderr)
    assert run("plan", "-o", "plan.json").returncode == 0
    assert run("apply", "plan.json").returncode == 0
    assert run("down", "--delete-data").returncode == 3
    assert run("abandon").returncode == 3
    assert run("down", "--delete-data", "--confirm-name", "dev").returncode == 0
    assert run("up", "--confirm", digest).returncode in (0, 3)


def test_a_large_prune_wants_the_digest(run: Command, project: Path) -> None:
    """Where the circuit breaker stops a prune, the plan is shown and the way on is named."""
    assert run("up", "-q").returncode == 0
    _change(project, "values:", "policies: {prune: {max_count: 1, max_percent: 1}}\nvalues:")
    for template in project.glob("services/*/templates/all.yaml.j2"):
        template.write_text(template.read_text().partition("---")[0])
    refused = run("up")
    assert refused.returncode == 3
    assert "needs confirmation" in refused.stdout
    (digest,) = re.findall(r"--confirm (sha256:[0-9a-f]{64})", refused.stderr)
    done = run("up", "--confirm", digest)
    assert (done.returncode, "2 deleted" in done.stdout) == (0, True)


def test_not_ready_says_why_in_time(run: Command, project: Path) -> None:
    """What does not become ready ends with exit code 5, the reason and the cure."""
    _change(project, "values:", "policies: {pod_security: restricted}\nvalues:")
    done = run("up", "--timeout", "15", "--output", "json")
    assert done.returncode == 5
    document = _json(done)
    assert document["error"]["type"] == "NotReadyError"
    assert "violates PodSecurity" in document["error"]["message"]
    assert "policies.pod_security" in document["error"]["hint"]
    assert document["report"]["stack_id"]
    shown = run("up", "--timeout", "15", "--no-check")
    assert shown.returncode == 0
    assert "violates PodSecurity" in shown.stdout


def test_a_quota_that_is_too_small_is_refused(run: Command, project: Path) -> None:
    """What does not fit is told with its line and its numbers before anything is written."""
    _change(project, "values:", 'policies: {resource_quota: {pods: "4"}}\nvalues:')
    done = run("up")
    assert done.returncode == 2
    told = "ResourceQuota/infometis allows pods 4, and 5 are wanted: "
    assert told in done.stderr
    assert "environments/dev.yaml:4" in done.stderr
    assert run("status").returncode != 0


def test_doctor_and_kubeconfig(run: Command, embedded_access: Access) -> None:
    """``doctor`` finds nothing in the way; ``kubeconfig`` names the file for other tools."""
    done = run("doctor", "--output", "json")
    assert done.returncode == 0
    assert {f["check"] for f in _json(done)["findings"]} >= {"project", "cluster"}
    assert run("kubeconfig").stdout.strip() == str(embedded_access.kubeconfig)


def test_no_secret_is_shown_unless_asked_for(run: Command, project: Path) -> None:
    """Passwords appear with ``credentials --reveal`` and nowhere else, not in the log either."""
    first = run("-vv", "--debug", "up")
    assert first.returncode == 0
    assert "request answered" in first.stderr
    shown = _json(run("credentials", "--reveal", "--output", "json"))["rows"]
    secrets = {row["value"] for row in shown if row["key"] == "password"}
    assert len(secrets) == 2
    _change(project, "replicas: 2", "replicas: 3")
    told = first.stdout + first.stderr
    for words in (
        ("plan", "-o", "plan.json", "--debug"),
        ("status", "--debug"),
        ("drift", "--debug"),
        ("credentials", "--debug"),
        ("render",),
        ("doctor", "--debug", "--output", "json"),
        ("up", "--debug", "--output", "json"),
        ("down", "--delete-data", "--yes", "--debug"),
    ):
        done = run(*words)
        assert done.returncode == 0
        told += done.stdout + done.stderr
    told += "".join(p.read_text() for p in project.rglob("*") if p.is_file())
    assert not [secret for secret in secrets if secret in told]
