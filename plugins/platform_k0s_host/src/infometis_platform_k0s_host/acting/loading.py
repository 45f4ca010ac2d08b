"""Images of this machine on every node, without a registry."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.acting.k0s import BINARY
from infometis_platform_k0s_host.connection import HostError
from infometis_sdk.errors import MissingPartError, PlatformError
from infometis_sdk.machine import run_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_platform_k0s_host.acting.world import World
    from infometis_sdk.model.run import Run

__all__ = ("architectures", "load", "saved")

_TIMEOUT = 1800.0
_SMALL = 1 << 20


def saved(images: Sequence[str | Path], folder: Path, run: Run) -> list[Path]:
    """Return an archive for each image: a path is one already, a name is saved from Docker.

    Raises:
        MissingPartError: Docker is not here, or an archive is not.
        PlatformError: Docker has no such image.

    """
    archives = []
    for image in images:
        if isinstance(image, Path):
            if not image.is_file():
                msg = f"there is no archive {image}"
                raise MissingPartError(msg, hint="make one with `docker save -o FILE IMAGE`")
            archives.append(image)
            continue
        target = folder / f"{hashlib.sha256(image.encode()).hexdigest()[:16]}.tar"
        done = run_command(["docker", "save", "--output", str(target), image], run)
        if not done.ok:
            msg = f"the image {image} cannot be saved: {done.tail(1)}"
            raise PlatformError(msg, hint=f"docker pull {image}")
        archives.append(target)
    return archives


def architectures(archive: Path) -> set[str]:
    """Return for which architectures an archive holds images, as its configurations say.

    Raises:
        PlatformError: it is no archive.

    """
    found = set()
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if not member.isreg() or member.size > _SMALL:
                    continue
                file = tar.extractfile(member)
                try:
                    value = json.loads(file.read()) if file else None
                except ValueError:
                    continue
                if isinstance(value, dict) and value.get("os") and "rootfs" in value:
                    found.add(str(value.get("architecture")))
    except (tarfile.TarError, EOFError, OSError) as error:
        msg = f"{archive} is no archive of images: {error}"
        raise PlatformError(msg, hint="make one with `docker save -o FILE IMAGE`") from error
    return found


def load(world: World, name: str, archive: Path, run: Run) -> None:
    """Put an archive where k0s imports it again after each start, and import it now.

    Raises:
        HostError: it is for another architecture, or does not fit.

    """
    known, own = architectures(archive), world.facts[name].arch
    if known and own not in known:
        msg = f"{name}: {archive.name} is for {', '.join(sorted(known))}, and the host is {own}"
        raise HostError(msg, host=name, hint=f"docker pull --platform linux/{own} IMAGE")
    stat = archive.stat()
    who = f"{archive.name}:{stat.st_size}:{stat.st_mtime_ns}"
    stem = hashlib.sha256(who.encode()).hexdigest()[:12]
    target = f"{world.settings.data_dir}/images/infometis-{stem}.tar"
    connection = world.connections[name]
    connection.put(archive, target, run, mode="0644", timeout=_TIMEOUT)
    done = connection.run([BINARY, "ctr", "images", "import", target], run, timeout=_TIMEOUT)
    if not done.ok:
        connection.run(["rm", "-f", target], run)
        msg = f"{name}: {archive.name} cannot be imported: {done.tail(1)}"
        raise HostError(msg, host=name)
