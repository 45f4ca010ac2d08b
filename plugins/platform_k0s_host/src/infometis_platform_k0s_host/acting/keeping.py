"""The state of a control plane, kept and brought back.

k0s' own archive holds etcd or SQLite, the certificates and the configuration.
We add what it leaves out and nothing can be read without: whose cluster it is,
and the key by which Secrets are encrypted at rest.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from typing import TYPE_CHECKING

from attrs import frozen

from infometis_platform_k0s_host.acting.k0s import BINARY
from infometis_platform_k0s_host.connection import HostError
from infometis_platform_k0s_host.planning import hardening
from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import private_folder

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_platform_k0s_host.acting.world import World
    from infometis_sdk.model.run import Run

__all__ = ("Kept", "keep", "look_into", "put_back")

_ABOUT = "infometis/cluster.json"
_KEY = "infometis/encryption.yaml"
_TIMEOUT = 1800.0
_SCRIPT = (
    "set -eu; umask 077; folder=$(mktemp -d); trap 'rm -rf -- \"$folder\"' EXIT; "
    '"$1" backup "--data-dir=$2" "--save-path=$folder" >&2; cat "$folder"/*.tar.gz'
)


@frozen(kw_only=True)
class Kept:
    """What an archive is.

    Attributes:
        cluster, uid: whose it is.
        version: of k0s that made it.
        key: file with the key of the Secrets; empty where they are not encrypted.

    """

    cluster: str
    uid: str
    version: str
    key: bytes = b""


def keep(world: World, leader: str, folder: Path, run: Run) -> Path:
    """Write the archive of a running cluster into a folder; return its path.

    Raises:
        HostError: k0s cannot make it.

    """
    marker = world.marker(leader)
    private_folder(folder) if not folder.exists() else None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = folder / f"{marker.cluster}-{stamp}.tar.gz"
    raw = folder / f".{path.name}.part"
    argv = ["sh", "-c", _SCRIPT, "sh", BINARY, world.settings.data_dir]
    try:
        world.connections[leader].fetch(argv, raw, run, timeout=_TIMEOUT)
        extra = {
            _ABOUT: json.dumps(
                {"cluster": marker.cluster, "uid": marker.uid, "version": marker.version}
            ).encode()
        }
        key = world.read(leader, hardening.ENCRYPTION, run)
        if key:
            extra[_KEY] = key
        _add(raw, path, extra)
    except (tarfile.TarError, EOFError, OSError) as error:
        path.unlink(missing_ok=True)
        msg = f"{leader}: the backup cannot be written to {folder}: {error}"
        raise HostError(msg, host=leader, hint="make room there, and run it again") from error
    finally:
        raw.unlink(missing_ok=True)
    return path


def _add(source: Path, target: Path, extra: dict[str, bytes]) -> None:
    """Copy an archive with some files more, to a file that only we may read."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with (
        os.fdopen(handle, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w:gz") as new,
        tarfile.open(source, mode="r:gz") as old,
    ):
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
        for name, content in extra.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            new.addfile(info, io.BytesIO(content))


def look_into(archive: Path, cluster: str) -> Kept:
    """Return what an archive is, having read all of it.

    Raises:
        PlatformError: it is damaged, or of another cluster.

    """
    found: dict[str, bytes] = {}
    names = set()
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            for member in tar:
                names.add(member.name.removeprefix("./"))
                if member.name in {_ABOUT, _KEY} and (file := tar.extractfile(member)):
                    found[member.name] = file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        msg = f"{archive} is damaged or no backup: {error}"
        raise PlatformError(msg, hint="take another backup") from error
    if "k0s.yaml" not in names or _ABOUT not in found:
        msg = f"{archive} is no backup that `infometis cluster backup` made of k0s on hosts"
        raise PlatformError(msg, hint="take another file")
    about = json.loads(found[_ABOUT])
    if about["cluster"] != cluster:
        msg = f"{archive} is of the cluster {about['cluster']!r}, not of {cluster!r}"
        raise PlatformError(msg, hint="name the right backup, or the right environment")
    return Kept(**about, key=found.get(_KEY, b""))


def put_back(world: World, leader: str, archive: Path, kept: Kept, run: Run) -> None:
    """Give a stopped and empty controller the state of an archive."""
    connection = world.connections[leader]
    if kept.key:
        connection.put(kept.key, hardening.ENCRYPTION, run)
    # From standard input k0s prints the configuration instead of dropping it in a folder.
    argv = [BINARY, "restore", f"--data-dir={world.settings.data_dir}", "-"]
    done = connection.run(argv, run, stdin=archive, timeout=_TIMEOUT)
    if not done.ok:
        msg = f"{leader}: the backup cannot be restored: {done.tail(2)}"
        raise HostError(msg, host=leader)
