"""The node of the tests itself: it is published as promised, and leaves no trace."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import cache_dir
from tests.real_node.workloads import website

from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.real_node import RealNode

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.timeout(900)]

PATIENCE = 300.0
ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.2)


@pytest.fixture
def node_port(real_node: RealNode, namespace_name: str) -> Iterator[int]:
    """Publish a website on host ports 80 and 443 and on a node port; return that."""
    real_node.load(website("tests.invalid/published:1", "published"))
    cluster = real_node.cluster()

    def make(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        where = "" if kind == "Namespace" else namespace_name
        name = namespace_name if kind == "Namespace" else "web"
        ref = ObjectRef(api_version="v1", kind=kind, namespace=where, name=name)
        meta = {"name": name, "labels": {"app": "web"}} | ({"namespace": where} if where else {})
        body = {"apiVersion": "v1", "kind": kind, "metadata": meta, **spec}
        write = Write(verb="apply", ref=ref, body=body, manager="tests")
        return dict(cluster.write(write, Run.within(60)).object)

    pairs = ((8080, 80), (8443, 443))
    ports = [{"containerPort": inner, "hostPort": outer} for inner, outer in pairs]
    space = make("Namespace", {})
    container = {"name": "web", "image": "tests.invalid/published:1", "ports": ports}
    container["command"] = ["sh", "-c", "httpd -p 8080 -h /www; exec httpd -f -p 8443 -h /www"]
    until(lambda: _has_account(real_node, namespace_name), "the namespace's account")
    make("Pod", {"spec": {"containers": [container], "terminationGracePeriodSeconds": 0}})
    service = {"type": "NodePort", "selector": {"app": "web"}}
    made = make("Service", {"spec": service | {"ports": [{"port": 8080}]}})
    yield int(made["spec"]["ports"][0]["nodePort"])
    ref = ObjectRef(
        api_version="v1", kind="Namespace", namespace="", name=space["metadata"]["name"]
    )
    cluster.write(Write(verb="delete", ref=ref), Run.within(60))


def _has_account(node: RealNode, space: str) -> bool:
    found = node.cluster().list("v1", "ServiceAccount", Run.within(60), namespace=space)
    return bool(found)


def test_ports_are_published(real_node: RealNode, node_port: int, namespace_name: str) -> None:
    """Ports answer at the node's ``localhost``, at its address from outside, names in pods."""

    def answers(url: str, *, inside: bool) -> bool:
        with real_node.network() if inside else contextlib.nullcontext():
            try:
                with urllib.request.urlopen(url, timeout=10) as page:  # noqa: S310 - http
                    return bool(page.read() == b"published")
            except OSError:
                return False

    for port in (80, 443, node_port):
        for host, inside in (("127.0.0.1", True), ("localhost", True), (real_node.address, False)):
            url = f"http://{host}:{port}/"
            until(functools.partial(answers, url, inside=inside), url)
    (pod,) = real_node.cluster().list("v1", "Pod", Run.within(60), namespace=namespace_name)
    (service,) = real_node.cluster().list("v1", "Service", Run.within(60), namespace=namespace_name)
    found = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    name = f"web.{namespace_name}.svc.cluster.local"
    assert service["spec"]["clusterIP"] in real_node.execute(found, "nslookup", name)


RUN = """
import sys
import tempfile
from pathlib import Path
from tests.real_node import running_node
with running_node(Path(sys.argv[1])) as node:
    print(node.context, flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left_of_a_run_that_was_killed() -> None:
    """After SIGKILL of the test process neither process, mount, link, group nor file is left."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(cache_dir())],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        if owner.stdout is None:
            raise AssertionError
        name = owner.stdout.readline().strip()
        try:
            below = Path("/tmp").glob("imt-node-*")  # noqa: S108 - where the harness has it
            (folder,) = [path for path in below if _is_of(path, name)]
            assert _traces(name, folder) >= {"folder", "group", "link", "process"}
        finally:
            os.kill(owner.pid, signal.SIGKILL)
    until(lambda: not _traces(name, folder), f"{name} leaves no trace")
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()


def _is_of(folder: Path, name: str) -> bool:
    spec = folder / "spec.json"
    return spec.exists() and json.loads(spec.read_text())["name"] == name


def _traces(name: str, folder: Path) -> set[str]:
    groups = [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]
    found = {
        "folder": folder.exists(),
        "group": bool(groups),
        "link": Path("/sys/class/net", name).exists(),
        "process": any(_names(path, folder) for path in Path("/proc").glob("[0-9]*/cmdline")),
    }
    return {key for key, there in found.items() if there}


def _names(command: Path, folder: Path) -> bool:
    try:
        return str(folder) in command.read_text(errors="replace")
    except OSError:
        return False
