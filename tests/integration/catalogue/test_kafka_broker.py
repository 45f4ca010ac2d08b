"""The rendered Kafka settings and start.sh against genuine Kafka, on loopback."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from tests.unit.catalogue.stacks import one

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
OTHER_ID = "5L6g3nShT-eMCtK--X86sw"
PORT = 9092
_START = 120.0


@define
class Nodes:
    """Kafka nodes on this machine: each has an address of its own, as each pod has."""

    home: Path
    folder: Path
    config: Mapping[str, str]
    running: dict[int, subprocess.Popen[bytes]] = field(factory=dict)

    def environment(self, ordinal: int, cluster_id: str) -> dict[str, str]:
        """Return what the container of a pod gets, pointed at folders of the test."""
        node = self.folder / f"kafka-{ordinal}"
        settings = node / "settings"
        settings.mkdir(parents=True, exist_ok=True)
        for name, text in self.config.items():
            (settings / name).write_text(text.replace("/var/lib/kafka/data", str(node / "data")))
        hosts = self.folder / "hosts"
        hosts.write_text("".join(f"{address(n)} kafka-{n}.kafka-headless\n" for n in range(9)))
        return {
            "PATH": os.environ["PATH"],
            "POD_NAME": f"kafka-{ordinal}",
            "HEADLESS_SERVICE": "kafka-headless",
            "CLUSTER_ID": cluster_id,
            "SETTINGS_DIR": str(settings),
            "RUN_DIR": str(node / "run"),
            "KAFKA_HOME": str(self.home),
            "BIND_ADDRESS": address(ordinal),
            "KAFKA_HEAP_OPTS": "-Xmx256m",
            "KAFKA_OPTS": f"-Djdk.net.hosts.file={hosts}",
            "KAFKA_LOG4J_OPTS": f"-Dlog4j2.configurationFile={settings / 'log4j2.yaml'}",
        }

    def start(self, ordinal: int, cluster_id: str = CLUSTER_ID) -> subprocess.Popen[bytes]:
        """Start a node as its container would."""
        environment = self.environment(ordinal, cluster_id)
        log = (self.folder / f"kafka-{ordinal}.log").open("ab")
        process = subprocess.Popen(
            ["/bin/sh", f"{environment['SETTINGS_DIR']}/start.sh"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.running[ordinal] = process
        return process

    def log(self, ordinal: int) -> str:
        """Return everything that a node said."""
        return (self.folder / f"kafka-{ordinal}.log").read_text()

    def wait_open(self, *ordinals: int) -> None:
        """Wait until the probe of the pod would pass: the client port opens."""
        for ordinal in ordinals:
            until(functools.partial(self._is_open, ordinal), f"node {ordinal} opens port {PORT}")

    def _is_open(self, ordinal: int) -> bool:
        if self.running[ordinal].poll() is not None:
            pytest.fail(f"node {ordinal} ended:\n{self.log(ordinal)[-3000:]}")
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex((address(ordinal), PORT)) == 0

    def tool(self, name: str, *arguments: str, text: str = "") -> str:
        """Run one of Kafka's own programs against the first node and return what it says."""
        environment = self.environment(0, CLUSTER_ID)
        del environment["KAFKA_LOG4J_OPTS"]  # the broker's would log to standard output
        done = subprocess.run(
            [
                str(self.home / "bin" / name),
                "--bootstrap-server",
                f"{address(0)}:{PORT}",
                *arguments,
            ],
            env=environment,
            input=text.encode(),
            capture_output=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        return done.stdout.decode()

    def stop(self) -> None:
        """End what still runs."""
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
            process.wait()


def address(ordinal: int) -> str:
    """Return the loopback address that stands for a pod's."""
    return f"127.0.0.{10 + ordinal}"


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + _START
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {_START:.0f} s: {what}")
        time.sleep(0.1)


@pytest.fixture
def nodes(kafka_home: Path, tmp_path: Path) -> Iterator[Callable[..., Nodes]]:
    """Render Kafka with the values of a test, and end its nodes afterwards."""
    made: list[Nodes] = []

    def make(**values: Any) -> Nodes:
        config = one("ConfigMap", "kafka-config", {"kafka": values})["data"]
        made.append(Nodes(kafka_home, tmp_path, config))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_one_node_at_the_defaults(nodes: Callable[..., Nodes]) -> None:
    """One node formats its volume once, serves, ends on SIGTERM, and finds its data again."""
    kafka = nodes()
    first = kafka.start(0)
    kafka.wait_open(0)
    kafka.tool("kafka-topics.sh", "--create", "--topic", "events")
    kafka.tool("kafka-console-producer.sh", "--topic", "events", text="one\ntwo\n")

    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 128 + signal.SIGTERM
    assert "shut down completed" in kafka.log(0)
    assert "node 0 as broker,controller" in kafka.log(0)

    kafka.start(0)
    kafka.wait_open(0)
    got = kafka.tool(
        "kafka-console-consumer.sh",
        "--topic", "events", "--from-beginning", "--max-messages", "2", "--timeout-ms", "60000",
    )  # fmt: skip
    assert got.splitlines() == ["one", "two"]
    assert kafka.log(0).count("Formatting") == 1


def test_a_volume_of_another_cluster_is_left_alone(nodes: Callable[..., Nodes]) -> None:
    """A node whose volume belongs to another cluster ends with a reason and changes nothing."""
    kafka = nodes()
    kafka.start(0)
    kafka.wait_open(0)
    kafka.stop()
    properties = kafka.folder / "kafka-0" / "data" / "kraft" / "meta.properties"
    before = properties.read_bytes()

    assert kafka.start(0, OTHER_ID).wait(60) == 78
    assert f"belongs to Kafka cluster {CLUSTER_ID}" in kafka.log(0)
    assert properties.read_bytes() == before


def test_three_voters_and_one_more_broker(nodes: Callable[..., Nodes]) -> None:
    """Three voters and a broker keep three copies and survive the loss of a voter."""
    kafka = nodes(controllers=3, replicas=4)
    for ordinal in range(4):
        kafka.start(ordinal)
    kafka.wait_open(*range(4))
    assert "node 3 as broker\n" in kafka.log(3)

    # A broker that is registered may still be fenced; a topic with four copies needs all of them.
    until(lambda: _creates(kafka, "everywhere", 4), "all four brokers take a copy")
    kafka.tool("kafka-topics.sh", "--create", "--topic", "events")
    described = kafka.tool("kafka-topics.sh", "--describe", "--topic", "events")
    assert "ReplicationFactor: 3" in described
    assert "min.insync.replicas=2" in described
    quorum = kafka.tool("kafka-metadata-quorum.sh", "describe", "--replication")
    roles = {line.split()[0]: line.split()[-1] for line in quorum.splitlines()[1:] if line.strip()}
    assert set(roles) == {"0", "1", "2", "3"}
    assert roles["3"] == "Observer"
    assert sorted(roles[n] for n in "012") == ["Follower", "Follower", "Leader"]

    kafka.tool("kafka-console-producer.sh", "--topic", "events", text="before\n")
    kafka.running[1].kill()
    kafka.running[1].wait()
    kafka.tool("kafka-console-producer.sh", "--topic", "events", text="after\n")
    got = kafka.tool(
        "kafka-console-consumer.sh",
        "--topic", "events", "--from-beginning", "--max-messages", "2", "--timeout-ms", "60000",
    )  # fmt: skip
    assert got.splitlines() == ["before", "after"]


def _creates(kafka: Nodes, topic: str, copies: int) -> bool:
    try:
        kafka.tool("kafka-topics.sh", "--create", "--if-not-exists", "--topic", topic,
                   "--partitions", "1", "--replication-factor", str(copies))  # fmt: skip
    except AssertionError:
        return False
    return True
