"""The address of the Kubernetes API is read from the cluster, and remembered for renders."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import infometis_sdk as im
from infometis_sdk.model import IsolationPolicy, Policies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
SLICE: dict[str, Any] = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["198.51.100.2"]}, {"addresses": ["198.51.100.1"]}],
    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
}
FOUND = ["198.51.100.1/32", "198.51.100.2/32"]


@contextmanager
def _api(answers: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Answer those paths; yield the URL and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(answers.get(self.path, {})).encode()
            self.send_response(200 if self.path in answers else 403)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def _stack(tmp_path: Path, url: str, *, needed: bool = True, **network: Any) -> im.Stack:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    kubeconfig.chmod(0o600)
    leader = im.Service.web("leader", image="example/leader:1.0", port=8080)
    templates = {
        name: text.replace(
            "automountServiceAccountToken: false", "automountServiceAccountToken: true"
        )
        for name, text in leader.templates.items()
    }
    leader = attrs.evolve(leader, kubernetes_api=needed, templates=templates)
    environment = im.Environment(
        "dev",
        platform=im.Existing(kubeconfig=str(kubeconfig), context="c"),
        policies=Policies(network=IsolationPolicy(**network)),
    )
    project = im.Project(
        name="demo", services={"leader": leader}, environments={"dev": environment}
    )
    return im.Workspace(project, state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")["dev"]


def _blocks(stack: im.Stack) -> list[str]:
    """Return the addresses that the policies let out to."""
    return [
        peer["ipBlock"]["cidr"]
        for manifest in stack.render().manifests
        if manifest.ref.kind == "NetworkPolicy"
        for rule in manifest.object["spec"].get("egress", ())
        for peer in rule["to"]
        if "ipBlock" in peer
    ]


def test_it_is_read_when_the_cluster_is_reached_and_remembered(tmp_path: Path) -> None:
    """Before, no policy leads there; afterwards exactly its addresses do, without a request."""
    with _api({PATH: SLICE}) as (url, asked):
        stack = _stack(tmp_path, url)
        assert _blocks(stack) == []
        stack.cluster()
        assert asked == [PATH]
        assert _blocks(stack) == FOUND
        assert [
            f"{row.target.rpartition(' ')[2]} {row.port}"
            for row in stack.policy("leader", "kubernetes").rows
            if row.allowed
        ] == ["198.51.100.1 6443", "198.51.100.2 6443"]
        assert _blocks(_stack(tmp_path, url)) == FOUND
        assert asked == [PATH]


@pytest.mark.parametrize(
    ("needed", "network", "expected"),
    [
        (False, {}, []),
        (True, {"mode": "open"}, []),
        (True, {"api_server": ["192.0.2.9:443"]}, ["192.0.2.9/32"]),
    ],
)
def test_it_is_not_asked_for_in_vain(
    tmp_path: Path,
    needed: bool,  # noqa: FBT001
    network: dict[str, Any],
    expected: list[str],
) -> None:
    """Where nobody needs it, nothing is isolated, or the environment says it, nothing is read."""
    with _api({PATH: SLICE}) as (url, asked):
        stack = _stack(tmp_path, url, needed=needed, **network)
        stack.cluster()
        assert asked == []
        assert expected == _blocks(stack)


def test_who_may_not_look_learns_nothing(tmp_path: Path) -> None:
    """A guest without the right goes on without; the environment may say the address."""
    with _api({}) as (url, _):
        stack = _stack(tmp_path, url)
        stack.cluster()
        assert _blocks(stack) == []
