"""Checks through the service proxy, against a server on loopback in the API server's place.

The embedded API server dials no pod, so its proxy cannot be had here; a real node has it.
"""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.checks import check_services, run_checks
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Check, Endpoint, Service
from infometis_sdk.model.stack import ComposedService, Manifest, ManifestSet
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infometis_sdk.ports.cluster import Cluster

PROXY = "/api/v1/namespaces/n/services/http:app:80/proxy"


@contextmanager
def api(tmp_path: Path, answers: dict[str, tuple[int, str]]) -> Iterator[tuple[Cluster, list[str]]]:
    """Answer those paths; yield a cluster and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = answers.get(self.path, (404, ""))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
            ],
            "users": [{"name": "u", "user": {}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        cluster = open_cluster(Access(kubeconfig=path))
        yield cluster, asked
        cluster.close()
        server.shutdown()
        thread.join()


def stack(**checks: Check) -> ManifestSet:
    """Make a stack of one service with those checks."""
    service = Service(name="app", endpoints={"web": Endpoint(port=80)}, checks=checks)
    return ManifestSet(
        stack_id="s",
        environment=Environment("test"),
        namespace="n",
        manifests=(),
        services={"app": ComposedService(service=service, values={})},
    )


@pytest.mark.parametrize(
    ("check", "result", "detail"),
    [
        (Check(endpoint="web", path="/health", contains='"green"'), "passed", ""),
        (
            Check(endpoint="web", path="/health", contains="blue"),
            "failed",
            "the answer lacks 'blue'",
        ),
        (Check(endpoint="web", path="/private"), "failed", "HTTP 401, expected 200"),
        (Check(endpoint="web", path="/private", status=401), "passed", ""),
        (Check(endpoint="web", path="/none", status=404), "passed", ""),
        (Check(endpoint="gone"), "not run", "the service has no endpoint gone"),
    ],
)
def test_answers(tmp_path: Path, check: Check, result: str, detail: str) -> None:
    """Status and text of the answer decide; what is wrong is said without the body."""
    answers = {
        f"{PROXY}/health": (200, '{"status": "green"}'),
        f"{PROXY}/private": (401, '{"hidden": "geheim"}'),
    }
    with api(tmp_path, answers) as (cluster, _):
        (found,) = check_services(
            cluster, stack(c=check), Run.within(30), simulated=False, patience=0
        )
    assert (found.result, found.detail) == (result, detail)


def test_patience(tmp_path: Path) -> None:
    """A service that needs a moment more gets it."""
    answers = {f"{PROXY}/health": (404, "")}
    with api(tmp_path, answers) as (cluster, asked):

        def become_ready() -> None:
            first_asked(asked)
            answers[f"{PROXY}/health"] = (200, "ok")

        threading.Thread(target=become_ready).start()
        checks = stack(health=Check(endpoint="web", path="/health"))
        lines = run_checks(cluster, checks, Run.within(30), simulated=False)
    assert lines == {"app": "1 passed"}
    assert len(asked) > 1


def first_asked(asked: list[str]) -> None:
    """Wait for the first question."""
    run = Run.within(20)
    while not asked:
        run.sleep(0.01, "waiting for a question")


def test_simulated(tmp_path: Path) -> None:
    """On a simulated platform nobody is asked and nothing has passed."""
    with api(tmp_path, {}) as (cluster, asked):
        lines = run_checks(
            cluster, stack(health=Check(endpoint="web")), Run.within(30), simulated=True
        )
    assert lines == {"app": "not applicable (simulated)"}
    assert asked == []


def test_services_in_one_line(tmp_path: Path) -> None:
    """The line of a service names what failed first, then counts what passed."""
    answers = {f"{PROXY}/a": (200, ""), f"{PROXY}/b": (200, "")}
    checks = stack(
        a=Check(endpoint="web", path="/a"),
        b=Check(endpoint="web", path="/b"),
        c=Check(endpoint="web", path="/c"),
    )
    with api(tmp_path, answers) as (cluster, _):
        lines = run_checks(cluster, checks, Run.within(30), simulated=False, patience=0)
    assert lines == {"app": "c failed: HTTP 404, expected 200; 2 passed"}


def test_isolated_pods_are_asked_through_a_forwarded_port(tmp_path: Path) -> None:
    """Policies keep the API server's proxy out, so it is not asked where there are policies."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "n"},
    }
    closed = attrs.evolve(
        stack(health=Check(endpoint="web", path="/health")), manifests=[Manifest(object=policy)]
    )
    with api(tmp_path, {f"{PROXY}/health": (200, "ok")}) as (cluster, asked):
        (found,) = check_services(cluster, closed, Run.within(30), simulated=False, patience=0)
    assert found.result != "passed"
    assert not [path for path in asked if path.startswith(PROXY)]
