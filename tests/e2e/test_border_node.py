"""Everything enters through Traefik, a pod on a genuine node: 80 and 443, for real."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.kafka_home import kafka_home
from tests.real_node import node_required
from tests.real_node.workloads import kafka, traefik, website

import infometis_sdk as im
from infometis_border_traefik import Traefik
from infometis_sdk.catalogue.plugin import infometis_services
from infometis_sdk.model import Border, BorderTls, RouteSettings
from infometis_sdk.model.project import Project
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Service
from infometis_sdk.ports.cluster import Write
from infometis_sdk.project.services import load_package_service
from infometis_sdk.workspace.publishing import trusted_authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.real_node import RealNode

    from infometis_sdk.workspace import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.timeout(1500)]

PATIENCE = 600.0
IMAGE = "docker.io/library/traefik:v3.7.15"
HELLO = "tests.invalid/hello"


@pytest.fixture
def stack(
    real_node: RealNode, tmp_path: Path, namespace_name: str
) -> Iterator[Callable[..., Stack]]:
    """Make stacks of one environment on the node, published by Traefik; gone with the test."""
    real_node.load(traefik(IMAGE))
    made: list[Stack] = []

    def make(*services: Service, replicas: int = 1, **border: Any) -> Stack:
        full = Border(
            type="traefik",
            anonymous=True,
            settings=Traefik(replicas=replicas, requests={"cpu": "10m", "memory": "64Mi"}),
            **border,
        )
        dev = im.Environment(
            "dev",
            platform=im.Existing(kubeconfig=str(real_node.kubeconfig), context=real_node.context),
            namespace=namespace_name,
            stack_id=namespace_name[-32:].lstrip("-"),
            border=full,
        )
        project = Project(
            name="demo",
            id="demo-1",
            services={each.name: each for each in services},
            environments={"dev": dev},
        )
        made.append(im.Workspace(project, state_dir=tmp_path / "state")["dev"])
        return made[-1]

    yield make
    for each in made[-1:]:
        each.down(delete_data=True, run=Run.within(PATIENCE))


def web(version: str, *, replicas: int = 1) -> Service:
    """Return a service of one page."""
    return Service.web(
        "hello", image=f"{HELLO}:{version}", port=8080, replicas=replicas, public=True
    )


def curl(real_node: RealNode, *words: str | Path) -> str:
    """Return what curl says on the node's network."""
    return real_node.run("curl", "-sS", "--max-time", "30", *words).stdout


def test_routes_open_at_localhost_with_the_development_authority_trusted(
    real_node: RealNode, stack: Callable[..., Stack]
) -> None:
    """``up``, then HTTPS on 443 without a warning, HTTP redirected, every promise proven."""
    real_node.load(website(f"{HELLO}:1", "one"))
    dev = stack(web("1"), published_by="host-ports")
    with real_node.network():
        report = dev.up(run=Run.within(PATIENCE))
        assert dict(report.health.urls) == {"hello.http": "https://hello.localhost/"}
        proofs = dev.verify_border(run=Run.within(120))
    assert {item.state for item in report.health.items} == {"ready"}
    assert [proof for proof in proofs.proofs if proof.state == "failed"] == []
    assert proofs.proven == ("hello.http",)
    authority = trusted_authority(dev).certificate
    assert curl(real_node, "--cacert", authority, "https://hello.localhost/") == "one"
    said = curl(real_node, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}",
                "http://hello.localhost/x")  # fmt: skip
    assert re.fullmatch(r"30[1278] https://hello\.localhost/x", said)


def test_a_browser_opens_the_page_without_a_warning(
    real_node: RealNode, stack: Callable[..., Stack], tmp_path: Path
) -> None:
    """Chromium, which trusts nothing but the development authority."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    certutil = shutil.which("certutil")
    if chromium is None or certutil is None:
        why = "no chromium, or no certutil (Debian: chromium, libnss3-tools)"
        if node_required():
            pytest.fail(why)
        pytest.skip(why)
    real_node.load(website(f"{HELLO}:1", "<h1>one</h1>"))
    dev = stack(web("1"), published_by="host-ports")
    dev.up(run=Run.within(PATIENCE))
    home = tmp_path / "home"
    nss = home / ".pki" / "nssdb"
    nss.mkdir(parents=True)
    place = f"sql:{nss}"
    subprocess.run([certutil, "-d", place, "-N", "--empty-password"], check=True)
    authority = trusted_authority(dev).certificate
    trust = ["-A", "-t", "C,,", "-n", "infometis", "-i", str(authority)]
    subprocess.run([certutil, "-d", place, *trust], check=True)
    done = real_node.run(
        "env", f"HOME={home}", chromium, "--headless", "--no-sandbox", "--disable-gpu",
        "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={home / 'profile'}",
        "--virtual-time-budget=10000", "--dump-dom", "https://hello.localhost/",
    )  # fmt: skip
    assert "<h1>one</h1>" in done.stdout


@contextmanager
def load(real_node: RealNode, authority: Path) -> Iterator[list[str]]:
    """Ask the published address all the time from two threads; collect what was no page."""
    failures: list[str] = []
    asked = [0]
    over = threading.Event()
    context = ssl.create_default_context(cafile=str(authority))

    def ask() -> None:
        while not over.is_set():
            connection = http.client.HTTPConnection("hello.localhost")
            try:
                near = socket.create_connection((real_node.address, 443), timeout=60)
                connection.sock = context.wrap_socket(near, server_hostname="hello.localhost")
                connection.request("GET", "/", headers={"Connection": "close"})
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    failures.append(str(answer.status))
                answer.read()
                asked[0] += 1
            except OSError as error:
                failures.append(f"{type(error).__name__}: {error}")
            finally:
                connection.close()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield failures
        assert asked[0] > 0
    finally:
        over.set()
        for thread in threads:
            thread.join(120)


def give_address(real_node: RealNode, stack: Stack, namespace: str) -> None:
    """Do what a load balancer does: give the border's Service an address, that of the node."""
    ref = ObjectRef(api_version="v1", kind="Service", namespace=namespace, name="border-traefik")
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        live = stack.cluster().get(ref, Run.within(60))
        if live is not None:
            break
        time.sleep(0.5)
    body = {"status": {"loadBalancer": {"ingress": [{"ip": real_node.address}]}}}
    write = Write(verb="merge-patch", ref=ref, body=body, subresource="status", manager="balancer")
    stack.cluster().write(write, Run.within(60))


def rolled(stack: Stack, kind: str, name: str, namespace: str) -> None:
    """Restart a workload as ``kubectl rollout restart`` does, and wait until that is over."""
    ref = ObjectRef(api_version="apps/v1", kind=kind, namespace=namespace, name=name)
    note = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    body = {"spec": {"template": {"metadata": {"annotations": note}}}}
    cluster = stack.cluster()
    made = cluster.write(
        Write(verb="merge-patch", ref=ref, body=body, manager="kubectl-rollout"), Run.within(60)
    )
    generation = made.object["metadata"]["generation"]
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        live = cluster.get(ref, Run.within(60)) or {}
        status, wanted = live.get("status") or {}, live["spec"]["replicas"]
        counts = [status.get(key) for key in ("updatedReplicas", "availableReplicas", "replicas")]
        if status.get("observedGeneration", 0) >= generation and counts == [wanted] * 3:
            return
        time.sleep(0.5)
    pytest.fail(f"{ref} never came to rest: {json.dumps(live.get('status'))}")


def test_rolling_the_border_and_a_service_loses_no_request(
    real_node: RealNode, stack: Callable[..., Stack], namespace_name: str
) -> None:
    """Old pods go on answering until nobody is sent to them any more."""
    for version in ("1", "2"):
        real_node.load(website(f"{HELLO}:{version}", version))
    # A node that is busy learns late that a pod has gone: what found nobody is asked again.
    wanted: dict[str, Any] = {
        "replicas": 2,
        "published_by": "load-balancer",
        "routes": {"hello.http": RouteSettings(retries=3)},
    }
    dev = stack(web("1", replicas=2), **wanted)
    dev.up(wait=False, run=Run.within(PATIENCE))
    give_address(real_node, dev, f"{namespace_name}-border")
    dev.up(run=Run.within(PATIENCE))
    with load(real_node, trusted_authority(dev).certificate) as failures:
        rolled(dev, "Deployment", "border-traefik", f"{namespace_name}-border")
        newer = stack(web("2", replicas=2), **wanted)
        newer.up(run=Run.within(PATIENCE))
    assert failures == []


def test_a_service_that_is_down_is_503_and_not_a_missing_route(
    real_node: RealNode, stack: Callable[..., Stack]
) -> None:
    """Whoever asks learns that the service is down, not that there never was one."""
    real_node.load(website(f"{HELLO}:1", "one"))
    dev = stack(
        web("1"),
        published_by="host-ports",
        tls=BorderTls(source="none", required=False),
        routes={"hello.http": RouteSettings(host="hello.localhost")},
    )
    dev.up(run=Run.within(PATIENCE))
    ref = ObjectRef(
        api_version="apps/v1", kind="Deployment", namespace=dev.environment.namespace, name="hello"
    )
    scale = Write(
        verb="merge-patch", ref=ref, body={"spec": {"replicas": 0}}, manager="kubectl-edit"
    )
    dev.cluster().write(scale, Run.within(60))
    ends = time.monotonic() + PATIENCE
    said = ""
    while said != "503" and time.monotonic() < ends:
        said = curl(real_node, "-o", "/dev/null", "-w", "%{http_code}", "http://hello.localhost/")
        assert said in ("200", "502", "503")
    assert said == "503"


def test_kafka_is_written_and_read_from_outside_through_the_border(
    real_node: RealNode, stack: Callable[..., Stack], tmp_path: Path
) -> None:
    """A genuine client, over TLS on 443: first by the name of all brokers, then by that of one."""
    home = kafka_home()
    real_node.load(kafka(home))
    source = next(each for each in infometis_services() if each.name == "kafka")
    dev = stack(load_package_service(source), published_by="host-ports")
    dev.up(run=Run.within(PATIENCE))
    # Java asks the machine's resolver, which knows no names below localhost.
    names = tmp_path / "hosts"
    names.write_text("127.0.0.1 kafka.localhost kafka-0.localhost\n")
    client = tmp_path / "client.properties"
    authority = trusted_authority(dev).certificate
    client.write_text(
        f"security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={authority}\n"
    )

    def tool(program: str, *words: str, text: str = "") -> str:
        asked = [
            f"KAFKA_OPTS=-Xmx128m -Djdk.net.hosts.file={names}",
            *(str(home / "bin" / program), "--bootstrap-server", "kafka.localhost:443"),
            *words,
        ]
        # A shell gives the text: programs on the node's network get no input from here.
        pipe = ("sh", "-c", 'printf %s "$0" | "$@"', text)
        return real_node.run(*pipe, "env", *asked).stdout

    topic, how = ("--topic", "outside"), ("--command-config", str(client))
    tool("kafka-topics.sh", "--create", *topic, *how)
    tool("kafka-console-producer.sh", *topic, *how, text="first\nsecond\n")
    enough = ("--from-beginning", "--max-messages", "2", "--timeout-ms", "90000")
    assert tool("kafka-console-consumer.sh", *topic, *how, *enough).split() == ["first", "second"]
