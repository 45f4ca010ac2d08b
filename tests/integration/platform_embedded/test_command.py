"""The embedded platform as its operator sees it: by the command, from nothing to nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import cache_dir
from tests.integration.platform_embedded.helpers import processes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def _infometis(home: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "infometis_sdk", *words],
        cwd=home / "demo" if (home / "demo").exists() else home,
        env={
            **os.environ,
            "INFOMETIS_STATE_DIR": str(home / "state"),
            "INFOMETIS_CACHE_DIR": str(cache_dir()),
            "DOCKER_HOST": f"unix://{home}/no-docker.sock",
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_up_kill_up_down(embedded_access: object, tmp_path: Path) -> None:
    """Without Docker auto takes it and says why; it is killed, mended, and leaves no trace.

    Nothing is told to be kept that went with the cluster.
    """
    del embedded_access  # where it cannot be had, nor can this
    _infometis(tmp_path, "init", "demo")
    clusters = tmp_path / "state/clusters/embedded"
    beforehand = _infometis(tmp_path, "up", "--platform", "auto", "--dry-run")
    assert beforehand.startswith("platform embedded: k0s-docker: Docker is not here")
    assert "; kind: " in beforehand.splitlines()[0]
    assert "  - make 1 simulated node and the StorageClass standard" in beforehand
    assert not clusters.exists()
    try:
        _infometis(tmp_path, "up", "--platform", "auto")
        (cluster,) = clusters.iterdir()
        assert "nothing to make or start" in _infometis(tmp_path, "up", "--dry-run")
        assert "4 of 4 services ready (simulated)" in _infometis(tmp_path, "status")
        assert "1 simulated node, port" in _infometis(tmp_path, "doctor")
        kubeconfig = Path(_infometis(tmp_path, "kubeconfig").strip())
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
        assert _infometis(tmp_path, "kubeconfig", "--raw") == kubeconfig.read_text()

        os.kill(json.loads((cluster / "supervisor.pid").read_text())["pid"], signal.SIGKILL)
        _infometis(tmp_path, "status", code=4)
        assert ", with its data" in _infometis(tmp_path, "up", "--dry-run")
        assert "nothing to do; 4 of 4 services ready" in _infometis(tmp_path, "up")
    finally:
        ended = _infometis(tmp_path, "down", "--destroy", "--yes")
    assert "deleted" in ended
    assert "kept" not in ended
    assert list(clusters.iterdir()) == []

    # one that is stopped is not started in order to be removed
    _infometis(tmp_path, "up", "--no-wait")
    _infometis(tmp_path, "stop")
    assert _infometis(tmp_path, "down", "--destroy", "--yes") == "dev: destroyed\n"
    assert list(clusters.iterdir()) == []
    assert processes(tmp_path) == {}
