"""The whole story of a stack, as its operator lives it: every step is a command of its own."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.conftest import cache_dir, required

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.ports.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SERVICES = {"nifi", "kafka", "elasticsearch", "grafana"}
DRIFT_FOUND = 6
KUBECTL = Path(__file__).with_name("kubectl.py")
KINDS = (
    *(("v1", kind) for kind in ("ConfigMap", "Secret", "Service", "ServiceAccount")),
    ("apps/v1", "StatefulSet"),
    ("policy/v1", "PodDisruptionBudget"),
)


class Operator:
    """Somebody at a terminal, in a project of their own, with a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.project = home / "demo"

    def environ(self) -> dict[str, str]:
        """Return variables that keep this operator apart from everybody else on the machine."""
        return {
            **os.environ,
            "INFOMETIS_STATE_DIR": str(self.home / "state"),
            "INFOMETIS_CACHE_DIR": str(cache_dir()),
            "NO_COLOR": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "infometis_sdk", *arguments]

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command that ends with ``code``; return what it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.project if self.project.exists() else self.home,
            env=self.environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def read(self, *arguments: str, code: int = 0) -> Any:
        """Run a command for a program; return its one document."""
        return json.loads(self.run(*arguments, "--output", "json", code=code))

    def cluster(self) -> Cluster:
        """Open the cluster's own door."""
        path = self.run("kubeconfig").strip()
        return open_cluster(Access(kubeconfig=self.home / path))


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator with a new project; its cluster goes when the story ends."""
    someone = Operator(tmp_path_factory.mktemp("operator"))
    someone.run("init", "demo")
    try:
        someone.run("up")
    except AssertionError as error:
        if "no part" in str(error) and not required():
            pytest.skip(f"no embedded cluster: {error}")
        raise
    yield someone
    someone.run("destroy", "--yes")


def namespace(operator: Operator) -> str:
    """Return the stack's home namespace."""
    documents = yaml.safe_load_all(operator.run("render"))
    return next(str(d["metadata"]["name"]) for d in documents if d["kind"] == "Namespace")


def ours(operator: Operator) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return every object of the kinds we use that is in the home namespace."""
    cluster, run, home = operator.cluster(), Run.within(60), namespace(operator)
    return {
        (kind, obj["metadata"]["name"]): obj
        for version, kind in KINDS
        for obj in cluster.list(version, kind, run, namespace=home)
        if obj["metadata"]["name"] not in ("default", "kube-root-ca.crt")
    }


def test_four_services_come_up_and_a_second_up_does_nothing(operator: Operator) -> None:
    """After the first up all four services are ready, and the next one finds nothing to do."""
    report = operator.read("up")
    assert report["changed"] is False
    health = report["health"]["items"]
    assert {item["service"] for item in health} >= SERVICES
    assert {item["state"] for item in health} <= {"ready", "ready (simulated)"}
    assert "nothing to do" in operator.run("plan")


def test_dev_and_prod_have_one_core(operator: Operator) -> None:
    """The example's environments differ in size, hosts and storage, and in no core digest."""
    assert operator.run("render", "--digests", "-e", "dev") == operator.run(
        "render", "--digests", "-e", "prod"
    )
    assert operator.run("render", "-e", "dev") != operator.run("render", "-e", "prod")


def test_a_value_names_its_file_and_line(operator: Operator) -> None:
    """``explain`` names the file and the line that set a value, and the line says so."""
    text = operator.run("explain", "kafka.replicas")
    found = re.search(r"environments/dev\.yaml:(\d+)", text)
    assert found
    lines = (operator.project / "environments" / "dev.yaml").read_text().splitlines()
    assert "replicas: 1" in lines[int(found[1]) - 1]


def test_a_scaled_set_is_drift_with_manager_and_time(operator: Operator) -> None:
    """``kubectl scale`` shows up with field, both values, who did it and when; up undoes it."""
    environ = {**operator.environ(), "KUBECONFIG": operator.run("kubeconfig").strip()}
    kubectl = ["kubectl"] if shutil.which("kubectl") else [sys.executable, str(KUBECTL)]
    subprocess.run(
        [*kubectl, "-n", namespace(operator), "scale", "statefulset", "kafka", "--replicas=2"],
        env=environ,
        check=True,
        capture_output=True,
    )
    items = operator.read("drift", code=DRIFT_FOUND)["items"]
    assert [item["state"] for item in items] == ["drift"]
    assert items[0]["path"] == "spec.replicas"
    assert (items[0]["desired"], items[0]["live"]) == ("1", "2")
    assert items[0]["manager"].startswith("kubectl")
    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d", items[0]["time"])
    assert operator.read("up")["changed"] is True
    assert operator.read("drift")["items"] == []


def test_killed_anywhere_and_run_again_converges(operator: Operator) -> None:
    """SIGKILL at random moments of an up loses nothing, orphans nothing and makes no new secret."""
    before = {name: obj["data"] for (kind, name), obj in ours(operator).items() if kind == "Secret"}
    wanted = {key for key in ours(operator) if "-release-" not in key[1]}
    file = operator.project / "environments" / "dev.local.yaml"
    dice = random.Random(7)
    for number in range(6):
        # A change for all services, so that there is something to be killed in.
        toleration = {"key": f"round-{number}", "operator": "Exists"}
        values = {name: {"tolerations": [toleration]} for name in sorted(SERVICES)}
        file.write_text(yaml.safe_dump({"values": values}))
        process = subprocess.Popen(
            operator.command("up"),
            cwd=operator.project,
            env=operator.environ(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(dice.uniform(0.8, 3.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    file.unlink()
    assert operator.read("up")["health"]["items"]
    assert "nothing to do" in operator.run("plan")
    after = ours(operator)
    assert {key for key in after if "-release-" not in key[1]} == wanted
    secrets = {name: obj["data"] for (kind, name), obj in after.items() if kind == "Secret"}
    assert secrets == before


def test_a_removed_service_goes_and_its_data_stays(operator: Operator) -> None:
    """Taking grafana out of the project prunes exactly its objects; volume and passwords stay."""
    before = set(ours(operator))
    config = operator.project / "infometis.yaml"
    text = config.read_text()
    data = yaml.safe_load(text)
    data["services"].pop("grafana")
    (data.get("values") or {}).pop("grafana", None)
    config.write_text(yaml.safe_dump(data, sort_keys=False))
    for file in (operator.project / "environments").glob("*.yaml"):
        environment = yaml.safe_load(file.read_text())
        environment["values"].pop("grafana", None)
        file.write_text(yaml.safe_dump(environment, sort_keys=False))

    operator.run("up")
    after = set(ours(operator))
    gone = {key for key in before - after if "-release-" not in key[1]}
    assert gone
    assert all(name.removeprefix("boundary-").startswith("grafana") for _, name in gone)
    assert ("Secret", "grafana-admin") in after
    claim = ObjectRef(
        api_version="v1",
        kind="PersistentVolumeClaim",
        namespace=namespace(operator),
        name="data-grafana-0",
    )
    cluster, run = operator.cluster(), Run.within(60)
    assert cluster.get(claim, run) is not None

    operator.run("down", "--yes")
    assert cluster.get(claim, run) is not None
    operator.run("down", "--delete-data", "--yes")
    assert cluster.get(claim, run) is None
    space = ObjectRef(api_version="v1", kind="Namespace", name=claim.namespace)
    assert cluster.get(space, run) is None
