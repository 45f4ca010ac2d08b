"""The first process of the node: it mounts, starts every part and starts again what ends.

Started by ``keeper.py`` in namespaces of its own, and by nobody else.
When its standard input closes it ends, and the kernel ends everything that is left.

Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

# What the kubelet would set for the whole machine, with the values that it wants to see.
_TUNABLES = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
_AGAIN = 0.5


def mount(*words: object) -> None:
    """Mount, in the namespace of the node only."""
    subprocess.run(["mount", *map(str, words)], check=True)


def mount_all(folder: Path) -> None:
    """Give the node a disk of its own, in memory, at the places where its parts write."""
    disk = folder / "disk"
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", disk)
    for name in ("upper", "work", "volumes", "tunables"):
        (disk / name).mkdir()
    layers = f"lowerdir=/var/lib,upperdir={disk}/upper,workdir={disk}/work"
    mount("-t", "overlay", "-o", layers, "overlay", "/var/lib")
    # In memory, where an overlay may lie on them whatever the machine's disk is,
    # and where nothing can be left. The kubelet cannot tell how full they are: it evicts nobody.
    for each in ("/run", "/var/log", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet"):
        Path(each).mkdir(exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", each)
    for name, value in _TUNABLES.items():
        file = disk / "tunables" / name.replace("/", ".")
        file.write_text(f"{value}\n")
        mount("--bind", file, f"/proc/sys/{name}")


def start(part: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start one part of the node."""
    with Path(part["log"]).open("ab") as log:
        return subprocess.Popen(
            part["command"],
            env=os.environ | part.get("env", {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def serve(parts: list[dict[str, Any]]) -> None:
    """Reap every process that ends, for ever; start again what is a part."""
    running = {start(part).pid: part for part in parts}
    while True:
        pid, _ = os.wait()
        if (part := running.pop(pid, None)) is not None:
            time.sleep(_AGAIN)  # as a service manager: not in a tight loop
            running[start(part).pid] = part


def main(file: str) -> None:
    """Set up, say so, wait for the word, and serve."""
    spec = json.loads(Path(file).read_text())
    mount_all(Path(spec["folder"]))
    print("mounted", flush=True)  # noqa: T201 - the other end of the pipe
    if not sys.stdin.readline():
        return
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    serve(spec["parts"])


if __name__ == "__main__":
    main(sys.argv[1])
