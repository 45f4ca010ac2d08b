"""Functional checks, logs and forwarded ports against the genuine API server."""

from __future__ import annotations

import http.server
import socket
import threading
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk._adapters.kubernetes_api import KubernetesCluster, open_cluster
from infometis_sdk._adapters.transport import Patience
from infometis_sdk.engine.checks import run_checks
from infometis_sdk.engine.forward import forward
from infometis_sdk.engine.logs import logs
from infometis_sdk.errors import NotFoundError, PlatformError, ProjectError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Check, Credential, Endpoint, Service
from infometis_sdk.model.stack import BoundCredential, ComposedService, Manifest, ManifestSet
from infometis_sdk.ports.cluster import Write
from infometis_sdk.workspace.credentials import read_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration

PASSWORD = "geheim-und-lang"


class Web(http.server.BaseHTTPRequestHandler):
    """Answers as a small service would: health for all, the rest with a password."""

    asked: list[Mapping[str, str]]

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append({name.lower(): value for name, value in self.headers.items()})
        status = 200 if self.path == "/health" else 503
        body = b'{"status": "green"}'
        if self.path == "/private":
            status = 200 if self.headers.get("authorization") else 401
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def web() -> Iterator[tuple[int, list[Mapping[str, str]]]]:
    """Serve on loopback; yield the port and the headers of what was asked."""
    handler = type("Handler", (Web,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], handler.asked  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


class Carrying(KubernetesCluster):
    """The genuine API, but for connections to pods, which go to a server of this test.

    Simulated pods have no ports; a genuine kubelet answers in the end-to-end tests.
    """

    target: tuple[str, int]
    carried: list[tuple[str, int]]
    gone: set[str]

    def carry(self, pod: ObjectRef, port: int, near: socket.socket, run: Run) -> str:
        """Connect with the test's server."""
        del run
        if pod.name in self.gone:
            raise NotFoundError(f"{pod} is gone")  # noqa: EM102, TRY003
        self.carried.append((pod.name, port))
        with socket.create_connection(self.target) as far:
            back = threading.Thread(target=pump, args=(far, near), daemon=True)
            back.start()
            pump(near, far)
            back.join(5)
        near.close()
        return ""


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source ends."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Stage:
    """A service in a namespace, with whatever answers for it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.manifests: list[Manifest] = []
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def apply(self, obj: dict[str, Any], *, want: bool = False) -> ObjectRef:
        """Apply an object, and count it among the stack's if wanted."""
        if obj["kind"] != "Namespace":
            obj = {**obj, "metadata": {"namespace": self.namespace, **obj["metadata"]}}
        ref = ObjectRef.of(obj)
        write = Write(verb="apply", ref=ref, body=obj, manager="t", force=True)
        self.cluster.write(write, Run.within(30))
        if want:
            self.manifests.append(Manifest(object=obj, service="app"))
        return ref

    def set(self, *, protocol: str = "http", **checks: Check) -> ManifestSet:
        """Return the stack with those checks."""
        service = Service(
            name="app",
            endpoints={
                "admin": Endpoint(port=8080),
                "web": Endpoint(port=80, protocol=protocol, public=True),
            },
            checks=checks,
            credentials={"admin": Credential(username="admin")},
        )
        return ManifestSet(
            stack_id=self.namespace,
            environment=Environment("test"),
            namespace=self.namespace,
            order=("app",),
            manifests=tuple(self.manifests),
            services={"app": ComposedService(service=service, values={})},
            credentials=(
                BoundCredential(
                    service="app", name="admin", secret="app-admin", credential=Credential()
                ),
            ),
        )

    def workload(self, replicas: int = 1) -> None:
        """Apply a Deployment with simulated pods and its Service; wait until they are ready."""
        labels = {"app": "app"}
        pod = {
            "containers": [
                {"name": "main", "image": "i:1", "ports": [{"name": "web", "containerPort": 8000}]}
            ]
        }
        ref = self.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "app"},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
            want=True,
        )
        ports = [{"name": "web", "port": 80, "targetPort": "web"}]
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "app"},
                "spec": {"selector": labels, "ports": ports},
            },
            want=True,
        )
        run = Run.within(60)
        while ((self.cluster.get(ref, run) or {}).get("status") or {}).get(
            "readyReplicas"
        ) != replicas:
            run.sleep(0.1, "waiting for simulated pods")

    def secret(self) -> None:
        """Make the credential's Secret."""
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "app-admin"},
                "stringData": {"username": "admin", "password": PASSWORD},
            }
        )


@pytest.fixture
def stage(embedded_access: Access, namespace_name: str) -> Iterator[Stage]:
    """Give an empty stage in a namespace of its own."""
    cluster = Carrying(embedded_access, Patience())
    cluster.carried, cluster.gone = [], set()
    made = Stage(cluster, namespace_name)
    yield made
    ref = ObjectRef(api_version="v1", kind="Namespace", name=namespace_name)
    cluster.write(Write(verb="delete", ref=ref), Run.within(30))
    cluster.close()


def test_check_with_a_credential(stage: Stage) -> None:
    """Basic authentication from the credential's Secret reaches the service, and only it."""
    stage.workload()
    stage.secret()
    check = Check(endpoint="web", path="/private", credential="admin")
    with web() as (port, asked):
        stage.cluster.target = ("127.0.0.1", port)  # type: ignore[attr-defined]
        lines = run_checks(stage.cluster, stage.set(private=check), Run.within(30), simulated=False)
    assert lines == {"app": "1 passed"}
    assert asked[0]["authorization"].startswith("Basic ")
    assert asked[0]["host"].startswith("app")
    assert stage.cluster.carried[0][1] == 8000  # type: ignore[attr-defined]


def test_check_without_its_secret(stage: Stage) -> None:
    """A check whose credential is not there is not run, and says which Secret it wants."""
    stage.workload()
    check = Check(endpoint="web", path="/private", credential="admin")
    lines = run_checks(stage.cluster, stage.set(private=check), Run.within(30), simulated=False)
    assert lines == {"app": "private not run: Secret/app-admin holds no username and password"}


def test_checks_of_a_service_that_is_down(stage: Stage) -> None:
    """A check that gets no answer has failed, and the rest of the report goes on."""
    check = Check(endpoint="web", path="/health", credential="admin")
    stage.secret()
    lines = run_checks(
        stage.cluster, stage.set(health=check), Run.within(30), simulated=False, patience=0
    )
    assert lines["app"] == "health failed: Service/app is not in the cluster"


def test_checks_on_a_simulated_platform(stage: Stage) -> None:
    """Nothing ran that could have answered: not applicable, never passed, and nobody is asked."""
    manifests = stage.set(good=Check(endpoint="web", path="/health"))
    lines = run_checks(stage.cluster, manifests, Run.within(30), simulated=True)
    assert lines == {"app": "not applicable (simulated)"}


def test_logs_and_ports_of_simulated_pods(stage: Stage) -> None:
    """Simulated pods have neither, and the error says what to use instead."""
    stage.workload()
    for ask in (logs, forward):
        with pytest.raises(PlatformError, match="simulated") as caught:
            ask(stage.cluster, stage.set(), "app", Run.within(30), simulated=True)
        assert "k0s-docker" in caught.value.hint


def test_unknown_names(stage: Stage) -> None:
    """A misspelt service or endpoint is an error with the nearest name."""
    stage.workload()
    run = Run.within(30)
    with pytest.raises(ProjectError) as service:
        logs(stage.cluster, stage.set(), "ap", run, simulated=False)
    assert service.value.faults[0].nearest == "app"
    with pytest.raises(ProjectError) as owner:
        read_credentials(stage.cluster, stage.set(), "ap", run, reveal=False)
    assert owner.value.faults[0].nearest == "app"
    with pytest.raises(ProjectError) as endpoint:
        forward(stage.cluster, stage.set(), "app", run, simulated=False, endpoint="wbe")
    assert endpoint.value.faults[0].legal == "admin, web"
    assert endpoint.value.faults[0].nearest == "web"


def test_forward(stage: Stage) -> None:
    """A browser's request to the loopback port reaches the ready pod behind the endpoint."""
    stage.workload()
    with web() as (port, asked):
        stage.cluster.target = ("127.0.0.1", port)  # type: ignore[attr-defined]
        with forward(stage.cluster, stage.set(), "app", Run.within(60), simulated=False) as opened:
            assert opened.url == f"http://127.0.0.1:{opened.port}/"
            for _ in range(3):
                with urllib.request.urlopen(opened.url + "health", timeout=20) as answer:  # noqa: S310
                    assert answer.read() == b'{"status": "green"}'
            local = opened.port
        assert len(asked) == 3
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", local), timeout=5)


def test_forward_survives_a_pod_that_goes(stage: Stage) -> None:
    """When the pod is gone, the next connection finds the one that took its place."""
    stage.workload()
    run = Run.within(60)
    cluster = stage.cluster
    assert isinstance(cluster, Carrying)
    with web() as (port, _):
        cluster.target = ("127.0.0.1", port)
        with forward(cluster, stage.set(), "app", run, simulated=False) as opened:
            urllib.request.urlopen(opened.url + "health", timeout=20).close()  # noqa: S310
            first = cluster.carried[-1][0]
            cluster.gone.add(first)
            ref = ObjectRef(api_version="v1", kind="Pod", namespace=stage.namespace, name=first)
            cluster.write(Write(verb="delete", ref=ref), run)
            while True:
                try:
                    urllib.request.urlopen(opened.url + "health", timeout=20).close()  # noqa: S310
                except OSError:
                    run.sleep(0.1, "waiting for the next pod")
                else:
                    break
            assert cluster.carried[-1][0] != first


def test_forward_tells_what_went_wrong(stage: Stage) -> None:
    """A connection that no pod could take is told, and the port stays open."""
    stage.workload()
    run = Run.within(60)
    with forward(stage.cluster, stage.set(), "app", run, simulated=False) as opened:
        ref = ObjectRef(api_version="v1", kind="Service", namespace=stage.namespace, name="app")
        stage.cluster.write(Write(verb="delete", ref=ref), run)
        for number in (1, 2):
            with pytest.raises(OSError, match=r"."):
                urllib.request.urlopen(opened.url + "health", timeout=20).close()  # noqa: S310
            told = next(opened.watch(30))
            assert told == "Service/app is not in the cluster"
            assert opened.errors == [told] * number


def test_forward_to_a_taken_port(stage: Stage) -> None:
    """A port that somebody else listens on is an error that says so."""
    stage.workload()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PlatformError, match=f"port {port} of 127.0.0.1 cannot be opened"):
            forward(stage.cluster, stage.set(), "app", Run.within(30), simulated=False, port=port)


def test_forward_where_no_pod_is_ready(stage: Stage) -> None:
    """A service that is down is an error at once, not at the first connection."""
    stage.workload()
    patch = {"spec": {"replicas": 0}}
    ref = stage.manifests[0].ref
    run = Run.within(30)
    stage.cluster.write(Write(verb="merge-patch", ref=ref, body=patch), run)
    while stage.cluster.list("v1", "Pod", run, namespace=stage.namespace):
        run.sleep(0.1, "waiting for the pods to go")
    with pytest.raises(NotFoundError, match="no pod behind Service/app is ready"):
        forward(stage.cluster, stage.set(), "app", run, simulated=False)


def test_open_cluster_can_stream(embedded_access: Access) -> None:
    """The cluster port that users get has the ability to stream."""
    from infometis_sdk.ports.pods import PodStreams

    assert isinstance(open_cluster(embedded_access), PodStreams)
