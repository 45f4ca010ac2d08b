"""Hosts as their operator sees them: by the command, over SSH, and on the very machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import cache_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.k0s_hosts import Site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
WHOAMI = ROOT / "examples/service_whoami/src/infometis_service_whoami"


def _project(home: Path, hosts: Site, name: str) -> None:
    """Write a project of one service, without the checks that only real containers answer."""
    service = home / "services/whoami"
    (service / "templates").mkdir(parents=True)
    text = (WHOAMI / "service.yaml").read_text().partition("\nchecks:")[0] + "\n"
    (service / "service.yaml").write_text(text)
    for file in (WHOAMI / "templates").iterdir():
        (service / "templates" / file.name).write_text(file.read_text())
    (home / "infometis.yaml").write_text(
        "format: infometis.io/project/v1\nname: site\nid: site-k4x7nq\nservices: {whoami: {}}\n"
    )
    settings = hosts.settings(hosts.host(name, "controller+worker"))
    platform = {
        "type": "k0s-host",
        "hosts": [{"address": settings.leader.address, "role": "controller+worker"}],
        "binary": settings.binary,
        "ssh_config": settings.ssh_config,
        "cgroup_v1": settings.cgroup_v1,
    }
    (home / "environments").mkdir()
    for environment, wanted in (("prod", platform), ("dev", {"type": "embedded"})):
        (home / "environments" / f"{environment}.yaml").write_text(
            f"format: infometis.io/environment/v1\nstack_id: site-k4x7nq-{environment}\n"
            f"platform: {json.dumps(wanted)}\n"
        )


def _infometis(home: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "infometis_sdk", *words],
        cwd=home,
        env={
            **os.environ,
            "INFOMETIS_STATE_DIR": str(home / "state"),
            "INFOMETIS_CACHE_DIR": str(cache_dir()),
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_up_kill_up_down(hosts: Site, tmp_path: Path) -> None:
    """Up, status, doctor, a kill, up again, and down with the cluster: nothing of ours is left.

    The core has the same digests as on any other platform.
    """
    machine = hosts.machine("command")
    before = machine.files()
    _project(tmp_path, hosts, "command")
    digests = {
        name: json.loads(
            _infometis(tmp_path, "render", "--digests", "-e", name, "--output", "json")
        )
        for name in ("dev", "prod")
    }
    assert digests["dev"] == digests["prod"]

    assert "start the first controller" in _infometis(tmp_path, "up", "--dry-run", "-e", "prod")
    assert machine.files() == before
    _infometis(tmp_path, "up", "-e", "prod")
    status = json.loads(_infometis(tmp_path, "status", "-e", "prod", "--output", "json"))
    assert "ready" in json.dumps(status)
    # Probes wait for pods that run, which the stand-in has not.
    probing = () if hosts.genuine else ("--no-probe",)
    assert machine.address in _infometis(tmp_path, "doctor", *probing, "-e", "prod")

    machine.ssh("kill -9 $(cat /var/run/k0scontroller.pid)")
    _infometis(tmp_path, "up", "-e", "prod")
    kubeconfig = Path(_infometis(tmp_path, "kubeconfig", "-e", "prod").strip())
    assert kubeconfig.stat().st_mode & 0o777 == 0o600

    _infometis(tmp_path, "down", "--destroy", "--yes", "-e", "prod")
    left = {path for path in set(machine.files()) - set(before) if "k0s" in path}
    assert left == set()
    assert not kubeconfig.exists()


_LOCAL = """
import sys
from pathlib import Path
from infometis_platform_k0s_host import Host, K0sHost
from infometis_platform_k0s_host.platform import K0sHostPlatform
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import PlatformContext

binary, v1 = sys.argv[1:]
host = Host(connection="local", role="single")
settings = K0sHost(hosts=(host,), binary=binary, cgroup_v1=v1 == "True")
context = PlatformContext(cluster="here", state_dir=Path("/root/s"), cache_dir=Path("/root/c"))
platform = K0sHostPlatform(settings, context)
run = Run.within(600)
platform.ensure(run)
assert platform.status().phase == "ready", platform.status()
platform.stop(run)
assert platform.status().phase == "stopped"
platform.start(run)
platform.destroy(run)
assert platform.status().phase == "absent"
"""


def test_this_very_machine(hosts: Site) -> None:
    """`connection: local` needs no SSH: the same life on the machine that the command runs on."""
    machine = hosts.machine("local")
    settings = hosts.settings(hosts.host("local", "single"))
    (machine.root / "root/local.py").write_text(_LOCAL)
    before = machine.files()
    binary = "/root/k0s-here"
    with Path(settings.binary).open("rb") as content:
        argv = ["ssh", "-F", str(hosts.farm.config), machine.address]
        subprocess.run([*argv, f"cat > {binary}"], stdin=content, check=True)
    words: Sequence[str] = (sys.executable, "/root/local.py", binary, str(settings.cgroup_v1))
    path = ":".join(each for each in sys.path if each)
    machine.ssh(f"PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={path} {' '.join(words)}")
    left = sorted(path for path in set(machine.files()) - set(before) if "k0s" in path)
    assert left == ["root/k0s-here"]
