"""The platform ``kind`` beside the bare program, in one run on one dockerd, as ratios.

    python -m benchmarks.kind

Needs what ``tests/docker_daemon.py`` needs; ``INFOMETIS_KIND_IMAGE`` names a genuine node image.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.docker_daemon import docker_daemon
from tests.kind_nodes import kind_settings
from tests.standin.kind_build import node_image

from infometis_platform_kind.binary import find_kind
from infometis_platform_kind.platform import KindPlatform
from infometis_sdk.machine import run_command
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import PlatformContext

_CACHE = Path(os.environ.get("INFOMETIS_CACHE_DIR") or Path.home() / ".cache" / "infometis")


def main() -> None:
    """Make a cluster by hand, then by the platform, and print how long each took."""
    with tempfile.TemporaryDirectory() as name, docker_daemon() as daemon:
        folder = Path(name)
        os.environ.update(daemon.environ())
        client = daemon.client()
        image = node_image(client, folder, _CACHE)
        client.close()
        settings = kind_settings(image)
        program = find_kind(settings, _CACHE, run_command, Run.within(600))

        began = time.monotonic()
        kubeconfig = str(folder / "bare.kubeconfig")
        create = [program, "create", "cluster", "--name", "bare", "--image", image]
        subprocess.run([*create, "-q", "--kubeconfig", kubeconfig], check=True)
        bare = time.monotonic() - began
        delete = [program, "delete", "cluster", "-q", "--name", "bare"]
        subprocess.run([*delete, "--kubeconfig", kubeconfig], check=True)

        context = PlatformContext(cluster="ours", state_dir=folder / "state", cache_dir=_CACHE)
        platform = KindPlatform(settings, context)
        rows = [("kind create", bare)]
        for label, action in (
            ("ensure, cold", lambda: platform.ensure(Run.within(600))),
            ("ensure, nothing to do", lambda: platform.ensure(Run.within(600))),
            ("status", platform.status),
            ("stop", lambda: platform.stop(Run.within(60))),
            ("start", lambda: platform.start(Run.within(600))),
            ("destroy", lambda: platform.destroy(Run.within(60))),
        ):
            began = time.monotonic()
            action()
            rows.append((label, time.monotonic() - began))
        for label, seconds in rows:
            print(f"{label:24}{seconds:8.2f} s{seconds / bare:8.2f} of the bare program")


if __name__ == "__main__":
    main()
