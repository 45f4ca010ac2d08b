"""Logs of several pods: merged by time, followed across breaks; from a loopback API server."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.logs import logs
from infometis_sdk.errors import ForbiddenError, NotFoundError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.model.stack import Manifest, ManifestSet
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infometis_sdk.ports.cluster import Cluster

Answer = tuple[int, list[str]]


def pod(name: str, *containers: str, started: bool = True) -> dict[str, Any]:
    """Make a pod as the API server lists it."""
    state = {"running": {}} if started else {"waiting": {"reason": "ContainerCreating"}}
    return {
        "metadata": {"name": name, "namespace": "n", "uid": f"uid-{name}"},
        "status": {"containerStatuses": [{"name": c, "state": state} for c in containers]},
    }


def stack() -> ManifestSet:
    """Make a stack with one Deployment."""
    web = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "n"},
        "spec": {"selector": {"matchLabels": {"app": "web", "tier": "a"}}},
    }
    return ManifestSet(
        stack_id="s",
        environment=Environment("test"),
        namespace="n",
        manifests=(Manifest(object=web, service="web"),),
    )


@contextmanager
def api(
    tmp_path: Path,
    pods: list[dict[str, Any]],
    log: Callable[[str, dict[str, str]], Answer],
) -> Iterator[tuple[Cluster, list[str]]]:
    """Answer as an API server; ``log`` gets the pod and the query and returns status and lines."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            if url.path.endswith("/pods"):
                body = json.dumps({"kind": "PodList", "items": pods}).encode()
                status = 200
            else:
                status, lines = log(url.path.split("/")[-2], query)
                body = "".join(f"{line}\n" for line in lines).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
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


def at(second: float, text: str) -> str:
    """Make a line as the kubelet stamps it: trailing zeros left out."""
    stamp = f"{second:012.9f}".rstrip("0").rstrip(".")
    return f"2026-01-01T00:00:{stamp}Z {text}"


def test_merged_by_time(tmp_path: Path) -> None:
    """Lines of all pods come in the order in which they were written."""
    said = {"a": [at(1, "one"), at(3.5, "four")], "b": [at(2, "two"), at(3.25, "three")]}
    with api(tmp_path, [pod("b", "main"), pod("a", "main")], lambda p, _: (200, said[p])) as (
        cluster,
        asked,
    ):
        got = list(logs(cluster, stack(), "web", Run.within(20), simulated=False, tail=7))
    assert got == ["a one", "b two", "b three", "a four"]
    assert "labelSelector=app%3Dweb%2Ctier%3Da" in asked[0]
    assert all("tailLines=7" in path for path in asked if "/log" in path)


def test_containers_are_named_where_there_are_several(tmp_path: Path) -> None:
    """The container is named only where a pod has more than one."""
    pods = [pod("a", "main", "side"), pod("b", "main")]
    with api(tmp_path, pods, lambda p, q: (200, [at(1, f"{p} {q['container']}")])) as (cluster, _):
        run = Run.within(20)
        every = list(logs(cluster, stack(), "web", run, simulated=False))
        side = list(logs(cluster, stack(), "web", run, simulated=False, container="side"))
    assert sorted(every) == ["a [main] a main", "a [side] a side", "b b main"]
    assert side == ["a a side"]


def test_nothing_to_say(tmp_path: Path) -> None:
    """Pods that have not started have no log; that is an error, not an empty answer."""
    with api(tmp_path, [pod("a", "main", started=False)], lambda *_: (200, [])) as (cluster, _):
        with pytest.raises(NotFoundError, match="service web has no pods with a log"):
            logs(cluster, stack(), "web", Run.within(20), simulated=False)
        with pytest.raises(NotFoundError, match="has no container 'ghost' with a log"):
            logs(cluster, stack(), "web", Run.within(20), simulated=False, container="ghost")


def test_followed_across_a_break(tmp_path: Path) -> None:
    """A stream that breaks off goes on after the last line; none is shown twice or lost."""
    written = [at(n, f"line {n}") for n in range(6)]

    def log(_: str, query: dict[str, str]) -> Answer:
        # Two lines at a time, then the connection ends. sinceTime counts whole seconds and
        # includes its own, as the kubelet's does.
        since = query.get("sinceTime", "")[:19]
        left = [line for line in written if line[:19] >= since]
        return 200, left[: 3 if since else 2]

    got = []
    token = CancelToken()
    with api(tmp_path, [pod("a", "main")], log) as (cluster, asked):
        run = Run.within(30, cancel=token)
        for line in logs(cluster, stack(), "web", run, simulated=False, follow=True, tail=2):
            got.append(line)
            if len(got) == len(written):
                token.cancel()
    assert got == [f"a line {n}" for n in range(6)]
    resumed = [path for path in asked if "sinceTime" in path]
    assert resumed
    assert not any("tailLines" in path for path in resumed)


def test_pods_that_join_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that comes later is followed too, from its first line."""
    monkeypatch.setattr("infometis_sdk.engine.logs.LOOK_FOR_PODS", 0.1)
    pods = [pod("a", "main")]
    got: list[str] = []
    with api(tmp_path, pods, lambda p, _: (200, [at(1, f"hello from {p}")])) as (cluster, asked):
        for line in logs(cluster, stack(), "web", Run.within(30), simulated=False, follow=True):
            got.append(line)
            if len(got) == 2:
                break
            pods.append(pod("b", "main"))
    assert got == ["a hello from a", "b hello from b"]
    assert not any("tailLines" in path for path in asked if "/pods/b/" in path)


def test_followed_log_that_is_forbidden(tmp_path: Path) -> None:
    """A log that we may not read is an error, not silence."""
    with (
        api(tmp_path, [pod("a", "main")], lambda *_: (403, [])) as (cluster, _),
        pytest.raises(ForbiddenError),
    ):
        list(logs(cluster, stack(), "web", Run.within(20), simulated=False, follow=True))
