"""Stacks whose pods really run, on a genuine node: up, a crash, rolling updates, down."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any, Self, cast

import pytest
from tests.kafka_home import kafka_home
from tests.real_node.workloads import kafka, website

from infometis_sdk.catalogue.plugin import infometis_services
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Service
from infometis_sdk.project import load_package_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.real_node import RealNode

    from infometis_sdk.workspace import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.timeout(1800)]

PATIENCE = 600.0
HELLO = "tests.invalid/hello"
TOPIC = "orders"


def hello(version: int, replicas: int = 1) -> Service:
    """Return a website; what it serves is its version."""
    return Service.web("hello", image=f"{HELLO}:{version}", port=8080, replicas=replicas)


def broker() -> Service:
    """Return Kafka as the catalogue has it."""
    source = next(each for each in infometis_services() if each.name == "kafka")
    return load_package_service(source)


def fetch(url: str) -> bytes:
    """Return what an address answers."""
    with urllib.request.urlopen(url, timeout=30) as page:  # noqa: S310 - http, as tests have it
        return cast("bytes", page.read())


def pods(stack: Stack, kind: str = "Pod") -> dict[str, Mapping[str, Any]]:
    """Return the stack's objects of a kind by name."""
    found = stack.cluster().list("v1", kind, Run.within(60), namespace=stack.render().namespace)
    return {each["metadata"]["name"]: each for each in found}


def container(pod: Mapping[str, Any]) -> str:
    """Return the id that containerd knows a pod's container by."""
    return str(pod["status"]["containerStatuses"][0]["containerID"]).removeprefix("containerd://")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.2)


def test_a_service_runs_logs_and_is_reached(
    real_node: RealNode, on_node: Callable[..., Callable[..., Stack]]
) -> None:
    """With our hardening a web service gets ready, not simulated; its log and port are genuine."""
    real_node.load(website(f"{HELLO}:1", "one"))
    dev = on_node()(hello(1))
    report = dev.up(run=Run.within(PATIENCE))
    assert {item.state for item in report.health.items} == {"ready"}
    assert not report.health.simulated
    assert {item.state for item in dev.status(run=Run.within(60)).items} == {"ready"}
    (pod,) = pods(dev).values()
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    run = Run.within(120)
    with dev.forward("hello", run=run) as opened:
        assert fetch(opened.url) == b"one"
    # What came through the forward came from the pod's own loopback address.
    assert any("127.0.0.1" in line and "200" in line for line in dev.logs("hello", run=run))
    dev.down(run=Run.within(PATIENCE))


class Load:
    """Somebody who opens the page again and again, each time on a new connection."""

    def __init__(self, node: RealNode, address: str) -> None:
        self.answers: list[bytes] = []
        self.lost: list[str] = []
        self._node, self._address = node, address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with self._node.network():
            while not self._stop.wait(0.01):
                door = http.client.HTTPConnection(self._address, 8080, timeout=30)
                try:
                    door.request("GET", "/")
                    answer = door.getresponse()
                    body = answer.read()
                    (self.answers.append if answer.status == 200 else self._lose)(body)
                except OSError as error:
                    self._lose(repr(error).encode())
                finally:
                    door.close()

    def _lose(self, what: bytes) -> None:
        self.lost.append(f"{time.monotonic():.2f} {what.decode()}")


def test_a_rolling_update_under_load_loses_no_request(
    real_node: RealNode, on_node: Callable[..., Callable[..., Stack]]
) -> None:
    """While ``up`` replaces every pod of a service, each request gets a page: old or new."""
    for version in (1, 2):
        real_node.load(website(f"{HELLO}:{version}", f"version {version}"))
    place = on_node()
    place(hello(1, replicas=2)).up(run=Run.within(PATIENCE))
    second = place(hello(2, replicas=2))
    address = pods(second, "Service")["hello"]["spec"]["clusterIP"]
    with Load(real_node, address) as load:
        until(lambda: bool(load.answers), "the first answer")
        second.up(run=Run.within(PATIENCE))
        until(lambda: len(pods(second)) == 2, "the old pods are gone")
    assert load.lost == []
    assert set(load.answers) == {b"version 1", b"version 2"}
    assert load.answers[-1] == b"version 2"
    second.down(run=Run.within(PATIENCE))


def test_kafka_keeps_its_records(
    real_node: RealNode, on_node: Callable[..., Callable[..., Stack]]
) -> None:
    """The catalogue's Kafka serves, outlives a kill and ``down``, and its records stay."""
    real_node.load(kafka(kafka_home()))
    dev = on_node()(broker())
    report = dev.up(run=Run.within(PATIENCE))
    assert {item.state for item in report.health.items} == {"ready"}
    assert set(report.health.checks.values()) == {"1 passed"}

    def tool(name: str, *words: str, text: str = "") -> str:
        found = container(pods(dev)["kafka-0"])
        inside = ("env", "KAFKA_HEAP_OPTS=-Xmx128m", "KAFKA_LOG4J_OPTS=")
        program = f"/opt/kafka/bin/{name}.sh"
        server = ("--bootstrap-server", "kafka:9092", "--topic", TOPIC)
        # A shell in the pod gives the text: its end does not come through from here.
        pipe = ("sh", "-c", 'printf %s "$0" | "$@"', text)
        return real_node.execute(found, *pipe, *inside, program, *server, *words)

    def records() -> list[str]:
        enough = ("--max-messages", "2", "--timeout-ms", "90000")
        return tool("kafka-console-consumer", "--from-beginning", *enough).split()

    tool("kafka-topics", "--create")
    tool("kafka-console-producer", text="first\nsecond\n")
    assert records() == ["first", "second"]

    real_node.kill(container(pods(dev)["kafka-0"]))
    until(lambda: _restarted(pods(dev)["kafka-0"]), "the container is started again")
    dev.up(run=Run.within(PATIENCE))
    assert records() == ["first", "second"]

    (volume,) = pods(dev, "PersistentVolumeClaim").values()
    dev.down(run=Run.within(PATIENCE))
    assert pods(dev) == {}
    (kept,) = pods(dev, "PersistentVolumeClaim").values()
    assert kept["spec"]["volumeName"] == volume["spec"]["volumeName"]
    dev.up(run=Run.within(PATIENCE))
    assert records() == ["first", "second"]
    dev.down(delete_data=True, run=Run.within(PATIENCE))


def _restarted(pod: Mapping[str, Any]) -> bool:
    return bool(pod["status"]["containerStatuses"][0]["restartCount"])
