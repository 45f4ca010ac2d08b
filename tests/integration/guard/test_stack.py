"""``heal`` and ``guard`` as people use them: through a stack, and from inside the cluster."""

from __future__ import annotations

import json
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.engine.lab import MINUTE, Lab, config_map, deployment, raw

from infometis_sdk import Environment, Existing, Project, Workspace
from infometis_sdk.errors import RefusedError, WrongClusterError
from infometis_sdk.model.environment import AuditPolicy, DriftPolicy, Policies
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.workspace.guard_pod import guard_from_pod, guard_manifests
from infometis_sdk.workspace.pins import Pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infometis_sdk.model.guard import GuardNote
    from infometis_sdk.ports.platform import Access
    from infometis_sdk.workspace import Stack

pytestmark = pytest.mark.integration


def make_stack(lab: Lab, state_dir: Path, *, level: str = "info", **policies: Any) -> Stack:
    """Return a stack with one service, on the test's cluster."""
    access = lab.access
    platform = Existing(kubeconfig=str(access.kubeconfig), context=access.context)
    policies.setdefault("drift", DriftPolicy(action="heal"))
    environment = Environment(
        "dev",
        platform=platform,
        namespace=lab.namespace,
        stack_id=lab.name,
        policies=Policies(**policies),
    )
    service = raw("app", config_map("app", level=level), deployment("app"))
    project = Project(
        name=lab.name, id=lab.name, services={"app": service}, environments={"dev": environment}
    )
    return Workspace(project, state_dir=state_dir)["dev"]


class Ear:
    """Collects what a guard says."""

    def __init__(self) -> None:
        self.notes: list[GuardNote] = []
        self._moved = threading.Condition()

    def say(self, note: GuardNote) -> None:
        """Take a note."""
        with self._moved:
            self.notes.append(note)
            self._moved.notify_all()

    def hears(self, name: str, subject: str = "", *, times: int = 1) -> GuardNote:
        """Wait for a note."""

        def found() -> list[GuardNote]:
            return [n for n in self.notes if n.name == name and subject in ("", n.subject)]

        with self._moved:
            heard = self._moved.wait_for(lambda: len(found()) >= times, 2 * MINUTE)
        assert heard, "\n".join(map(str, self.notes))
        return found()[times - 1]


@contextmanager
def running(guard: Callable[[Run], None]) -> Iterator[None]:
    """Run a guard in a thread, and end it."""
    token = CancelToken()
    failed: list[BaseException] = []

    def target() -> None:
        try:
            guard(Run(cancel=token))
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        yield
    finally:
        token.cancel()
        thread.join(MINUTE)
        assert not thread.is_alive()
    assert failed == []


class Pager(ThreadingHTTPServer):
    """A genuine HTTP server that keeps what is posted to it; fails as often as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Desk)
        self.posted: list[tuple[str, str, Any]] = []
        self.failures = 0
        self.moved = threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def alerts(self) -> list[dict[str, Any]]:
        """Return every alert that a webhook was told."""
        return [alert for _, _, body in self.posted for alert in body["alerts"]]

    def waits(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for an alert."""
        with self.moved:
            heard = self.moved.wait_for(lambda: any(map(fits, self.alerts())), 2 * MINUTE)
        assert heard, self.posted
        return next(filter(fits, self.alerts()))


class _Desk(BaseHTTPRequestHandler):
    server: Pager

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.moved:
            failing = self.server.failures > 0
            self.server.failures -= failing
            if not failing:
                token = self.headers.get("authorization") or ""
                self.server.posted.append((self.path, token, body))
            self.server.moved.notify_all()
        self.send_response(500 if failing else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def pager() -> Iterator[Pager]:
    """Give a webhook's other end."""
    server = Pager()
    yield server
    server.shutdown()
    server.server_close()


def test_heal_brings_back_the_release_not_the_working_tree(lab: Lab, tmp_path: Path) -> None:
    """``heal`` returns to what was deployed, whatever the project says by now; the audit has it."""
    stack = make_stack(lab, tmp_path)
    with pytest.raises(RefusedError, match="no release"):
        stack.heal()
    stack.up(wait=False)
    clean = stack.heal()
    assert clean.outcomes == ()
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"level": "debug"}}')
    lab.kubectl("delete", "deployment", "app")
    edited = make_stack(lab, tmp_path, level="trace")
    report = edited.heal(reason="somebody was here")
    assert {str(o.ref): o.result for o in report.outcomes} == {
        "ConfigMap/app": "applied",
        "Deployment/app": "applied",
    }
    assert lab.must_get(lab.ref("ConfigMap", "app"))["data"] == {"level": "info"}
    assert report.release == 1
    assert [r.number for r in stack.releases().items] == [1]
    begun, ended = edited.audit.timeline(kind="heal").events
    assert (begun.verb, begun.phase, begun.reason) == ("heal", "begin", "somebody was here")
    assert [change.path for change in begun.diff] == ["data.level"]
    assert {o.object for o in ended.outcomes} == {"ConfigMap/app", "Deployment/app"}
    assert edited.verify_audit().intact


def test_guard_heals_tells_and_measures(lab: Lab, tmp_path: Path, pager: Pager) -> None:
    """Alerts reach a webhook in spite of its failures; metrics and health are served."""
    token = tmp_path / "token"
    token.write_text("let me in")
    hook = {"type": "webhook", "url": f"{pager.url}/hook", "token": f"file:{token}"}
    drift = DriftPolicy(action="heal-except", exceptions=["Deployment/app"])
    stack = make_stack(lab, tmp_path, notify=[hook], drift=drift)
    stack.up(wait=False)
    pager.failures = 2
    ear = Ear()
    port = _free_port()
    with running(lambda run: stack.guard(say=ear.say, listen=f":{port}", run=run)):
        ear.hears("synced")
        assert _get(port, "/healthz") == "ok\n"
        assert _get(port, "/readyz") == "guarding\n"
        lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"level": "debug"}}')
        ear.hears("healed", "ConfigMap/app")
        lab.kubectl("patch", "deployment", "app", "--patch", '{"spec": {"minReadySeconds": 3}}')
        lab.patch(lab.ref("Deployment", "app", "apps/v1"),
                  {"metadata": {"labels": {"app.kubernetes.io/part-of": "x"}}})  # fmt: skip
        alert = pager.waits(lambda a: a["name"] == "drift")
        assert (alert["subject"], alert["level"]) == ("Deployment/app", "warning")
        assert (alert["stack_id"], alert["manager"]) == (lab.name, "kubectl-patch")
        ear.hears("not told")
        assert pager.posted[0][:2] == ("/hook", "Bearer let me in")
        metrics = {
            sample.name: sample.value
            for family in text_string_to_metric_families(_get(port, "/metrics"))
            for sample in family.samples
        }
        assert metrics["infometis_guard_healed_total"] == 1
        assert metrics["infometis_guard_time_to_consistency_seconds_count"] == 1
        assert metrics["infometis_guard_drift"] == 1
        assert metrics["infometis_guard_leading"] == 1
        assert metrics["infometis_guard_last_success_timestamp_seconds"] > 0
        label = {"metadata": {"labels": {"app.kubernetes.io/part-of": lab.name}}}
        lab.patch(lab.ref("Deployment", "app", "apps/v1"), label)
    heals = stack.audit.timeline(kind="heal").events
    assert [e.verb for e in heals] == ["guard", "guard"]
    assert not any("let me in" in str(note) for note in ear.notes)


def test_without_an_audit_nothing_is_changed(lab: Lab, tmp_path: Path) -> None:
    """Where the audit cannot be written nothing is healed, and that is told; later it is."""
    stack = make_stack(lab, tmp_path)
    stack.up(wait=False)
    ear = Ear()
    with running(lambda run: stack.guard(say=ear.say, run=run)):
        ear.hears("synced")
        folder = stack.audit.path.parent
        kept = folder.rename(tmp_path / "elsewhere")
        folder.touch()
        lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"level": "debug"}}')
        assert "audit" in ear.hears("heal failed", "ConfigMap/app").detail
        assert lab.must_get(lab.ref("ConfigMap", "app"))["data"] == {"level": "debug"}
        folder.unlink()
        kept.rename(folder)
        ear.hears("healed", "ConfigMap/app")
    assert stack.verify_audit().intact


def test_another_cluster_is_refused(lab: Lab, tmp_path: Path) -> None:
    """What this machine knows to live elsewhere is neither healed nor guarded here."""
    stack = make_stack(lab, tmp_path)
    stack.up(wait=False)
    pins = Pins(tmp_path)
    pins.write(lab.name, attrs.evolve(pins.read(lab.name), cluster_uid="another"))
    with pytest.raises(WrongClusterError, match="another"):
        stack.heal()
    with pytest.raises(WrongClusterError, match="another"):
        stack.guard(say=Ear().say, run=Run.within(MINUTE))


def test_inside_its_cluster_with_rendered_rights(lab: Lab, tmp_path: Path) -> None:
    """The rendered objects suffice for a guard that knows nothing but stack and namespace.

    It reads what is desired from the Release's Bundle, and goes on with a new Release.
    What it did is told by the copies of its records, which outlive its pod.
    """
    audit = AuditPolicy(sinks=[{"type": "cluster"}])
    stack = make_stack(lab, tmp_path / "person", audit=audit)
    stack.up(wait=False)
    objects = guard_manifests(stack, image="registry.example/infometis:1")
    account = objects[0]["metadata"]["name"]
    (tmp_path / "guard.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )
    lab.kubectl("apply", "--filename", str(tmp_path / "guard.json"))
    access = _as_account(lab, account, tmp_path)
    ear = Ear()

    def guard(run: Run) -> None:
        guard_from_pod(
            lab.name,
            lab.namespace,
            say=ear.say,
            run=run,
            access=access,
            state_dir=tmp_path / "pod",
        )

    with running(guard):
        ear.hears("synced")
        lab.kubectl("delete", "configmap", "app")
        ear.hears("healed", "ConfigMap/app")
        make_stack(lab, tmp_path / "person", level="trace", audit=audit).up(wait=False)
        ear.hears("synced", times=2)
        lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"level": "debug"}}')
        ear.hears("healed", "ConfigMap/app", times=2)
        assert lab.must_get(lab.ref("ConfigMap", "app"))["data"] == {"level": "trace"}
        assert not [n for n in ear.notes if n.name in ("watch lost", "heal failed")]
    lab.kubectl("delete", "--filename", str(tmp_path / "guard.json"))
    heals = stack.audit.timeline(lines=stack.audit_copies(), kind="heal").events
    assert [e.phase for e in heals] == ["begin", "end"] * 2
    assert not stack.audit.timeline(kind="heal").events
    assert stack.verify_audit().intact


def _as_account(lab: Lab, account: str, folder: Path) -> Access:
    """Return the way in of a ServiceAccount, as its pod has it."""
    from yaml import safe_load  # noqa: PLC0415 - here alone

    kubeconfig = lab.access.kubeconfig
    assert kubeconfig is not None
    data = safe_load(kubeconfig.read_text(encoding="utf-8"))
    token = lab.kubectl("create", "token", account).strip()
    data["users"] = [{"name": user["name"], "user": {"token": token}} for user in data["users"]]
    path = folder / "account.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(data), encoding="utf-8")
    return attrs.evolve(lab.access, kubeconfig=path)


def _free_port() -> int:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    with server:
        return int(server.server_address[1])


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=MINUTE) as answer:
        return str(answer.read().decode())
