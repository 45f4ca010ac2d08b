"""The state of the control plane, kept and brought back by k0s itself.

What pods wrote to their volumes is not in it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import attrs

from infometis_platform_k0s_docker.kubeconfig import authority
from infometis_platform_k0s_docker.once import run_once
from infometis_platform_k0s_docker.shape import labels
from infometis_platform_k0s_docker.tars import one_file
from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import write_private
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infometis_platform_k0s_docker.making import Maker
    from infometis_platform_k0s_docker.plan import Plan
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.platform import Access

__all__ = ("backup", "restore")

_PLACE = "/tmp/infometis-backup"  # noqa: S108 - in a container of our own
_WHOLE = ("k0s.yaml", "pki/ca.crt")
_STORES = ("etcd-snapshot.db", "kine-state-backup.db")
_PATIENCE = 600.0
_CHUNK = 1 << 20


def backup(maker: Maker, plan: Plan, folder: Path, run: Run) -> Path:
    """Write an archive with mode 0600 into a folder, and beside it a record to check it by."""
    nodes = maker.nodes(plan, run)
    first = maker.shapes(plan)[0].name
    name = f"{plan.cluster}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.tar.gz"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # one that is there keeps its mode
    path = folder / name
    run.emit(Event(name="backup cluster", subject=plan.cluster, state="started"))
    engine = maker.engine
    engine.run_in(first, ["rm", "-rf", _PLACE], run)
    engine.run_in(first, ["mkdir", "-p", _PLACE], run)
    try:
        nodes.k0s(first, "backup", "--save-path", _PLACE, seconds=_PATIENCE)
        _copy_out(engine.fetch(first, _PLACE), path)
    finally:
        engine.run_in(first, ["rm", "-rf", _PLACE], run)
    _members(path)
    record = {
        "cluster": plan.cluster,
        "version": plan.version,
        "single": plan.single,
        "sha256": _sha256(path),
        "volumes": "not inside: what pods wrote to their volumes",
    }
    write_private(path.with_name(name + ".json"), json.dumps(record, indent=2))
    detail = f"{path}; what pods wrote to their volumes is not inside"
    done = Event(name="backup cluster", subject=plan.cluster, state="finished", detail=detail)
    run.emit(done)
    return path


def restore(maker: Maker, plan: Plan, archive: Path, run: Run) -> Access:
    """Bring the cluster back as it was when the archive was written.

    k0s unpacks it into a new volume, while the old one stays whole until the new one runs.
    """
    _check_record(plan, archive)
    members = _members(archive)
    _check_same(maker, plan, members["pki/ca.crt"])
    first = maker.shapes(plan)[0]
    marks = labels(plan)
    run.emit(Event(name="restore cluster", subject=plan.cluster, state="started"))
    maker.nodes(plan, run).stop()
    old = next(name for name in first.volumes if "-data" in name)
    fresh = attrs.evolve(plan, data=plan.data + 1, made=True)
    shape = maker.shapes(fresh)[0]
    new = next(name for name in shape.volumes if "-data" in name)
    maker.engine.remove_volume(new)  # what an earlier try left
    maker.engine.make_volume(new, marks)
    path = "/tmp/infometis-restore.tar.gz"  # noqa: S108 - in a container of our own
    try:
        run_once(
            maker.engine,
            plan,
            ["k0s", "restore", "--config-out", "/tmp/k0s.yaml", path],  # noqa: S108 - the same
            run,
            hostname=shape.name,
            volumes={new: shape.volumes[new]},
            archive=one_file(path.lstrip("/"), archive),
            marks=marks,
        )
    except BaseException:
        maker.engine.remove_volume(new)
        raise
    access = maker.make(fresh.write(maker.folder), run)
    maker.engine.remove_volume(old)
    run.emit(Event(name="restore cluster", subject=plan.cluster, state="finished"))
    return access


def _check_record(plan: Plan, archive: Path) -> None:
    """Compare with what was written beside the archive, where that is still there."""
    try:
        text = archive.with_name(archive.name + ".json").read_text(encoding="utf-8")
        record: dict[str, Any] = json.loads(text)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        msg = f"the record beside {archive} cannot be read: {error}"
        raise PlatformError(msg, hint="remove it to do without") from error
    if archive.exists() and record.get("sha256") != _sha256(archive):
        msg = f"{archive} is damaged: its checksum is not the one that was written with it"
        raise PlatformError(msg, hint="take another backup")
    for key, has in (("version", plan.version), ("single", plan.single)):
        if record.get(key) != has:
            msg = f"{archive} was made with {key} {record.get(key)!r}, and the cluster has {has!r}"
            raise PlatformError(msg, hint="restore it into a cluster made with the same settings")


def _check_same(maker: Maker, plan: Plan, held: bytes) -> None:
    """Refuse the archive of another cluster: its nodes and users trust another authority."""
    kubeconfig = maker.folder / "kubeconfig"
    if not kubeconfig.exists():
        return
    own = authority(kubeconfig.read_text(encoding="utf-8"))
    if own.strip() != held.strip():
        msg = f"the archive is of another cluster than {plan.cluster!r}: its authority differs"
        raise PlatformError(msg, hint="name the archive of this cluster")


def _members(archive: Path) -> dict[str, bytes]:
    """Read an archive to its end; return what is looked into."""
    held: dict[str, bytes] = {}
    stores = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = str(PurePosixPath(member.name))
                stores += name in _STORES
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None and name in _WHOLE:
                    held[name] = content.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        msg = f"{archive} is no whole archive: {error}"
        raise PlatformError(msg, hint="take another backup") from error
    lacking = [name for name in _WHOLE if name not in held] + ([] if stores else ["a snapshot"])
    if lacking:
        msg = f"{archive} is no backup of k0s: it lacks {', '.join(lacking)}"
        raise PlatformError(msg, hint="take another backup")
    return held


def _copy_out(stream: Iterable[bytes], path: Path) -> None:
    """Take the one archive out of the tar of the folder that holds it."""
    draft = path.with_name(f".{path.name}.part")
    try:
        with tarfile.open(fileobj=_Reader(iter(stream)), mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is None:
                    continue
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as out:
                    _pump(content, out)
                draft.replace(path)
                return
    except (OSError, tarfile.TarError) as error:
        msg = f"the backup cannot be written to {path}: {error}"
        raise PlatformError(msg, hint="make room there, and run this again") from error
    finally:
        draft.unlink(missing_ok=True)
    msg = "k0s wrote no backup"
    raise PlatformError(msg, hint="look at the log of the first node's container")


def _pump(content: IO[bytes], out: IO[bytes]) -> None:
    while chunk := content.read(_CHUNK):
        out.write(chunk)


class _Reader(io.RawIOBase):
    """Reads what comes in pieces, as :mod:`tarfile` wants to read it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._left += piece
        given, self._left = self._left[:size], self._left[size:]
        return given


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
