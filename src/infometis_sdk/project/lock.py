"""``infometis.lock``: what a project runs stays what it was, whatever the SDK brings next.

The lock holds the digest of each pinned service's content, and the content itself stands beside it
in ``.infometis/services/NAME/DIGEST/``, under version control.
So an SDK upgrade alone plans nothing; ``lock_project(root, update=["kafka"])`` moves a pin.
Content whose digest is not the pinned one is refused.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk._adapters.project_files import (
    Files,
    read_file,
    read_service_files,
    write_over,
)
from infometis_sdk._serde import dumps_json, nearest, structure
from infometis_sdk._yaml import dump_yaml, load_yaml
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.project import Lock
from infometis_sdk.project.faults import wrong_format
from infometis_sdk.project.services import package_directory, service_from_files

if TYPE_CHECKING:
    from infometis_sdk.model.service import ServiceSource

__all__ = (
    "FILE",
    "FORMAT",
    "STORE",
    "LockFile",
    "Pin",
    "content_digest",
    "lock_project",
    "pinned_files",
    "read_lock",
    "store_lock",
)

FILE = "infometis.lock"
FORMAT = "infometis.io/lock/v1"
STORE = ".infometis/services"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEAD = """\
# Written by infometis; kept under version control. It pins the services of the catalogue and of
# plugins, whose content stands in .infometis/services/, and the digests of images.
"""


@frozen(kw_only=True)
class Pin:
    """A pinned service.

    Attributes:
        version: version of the software, for people.
        digest: of the content, ``sha256:…``.

    """

    version: str
    digest: str


@frozen(kw_only=True)
class LockFile:
    """What the file holds.

    Attributes:
        services: pinned services by the name under which they are registered.
        images: ``repository:tag`` to ``sha256:…``.

    """

    services: Mapping[str, Pin] = field(factory=dict)
    images: Mapping[str, str] = field(factory=dict)

    @property
    def lock(self) -> Lock:
        """The same for the engine."""
        digests = {name: pin.digest for name, pin in self.services.items()}
        return Lock(services=digests, images=self.images)


def content_digest(content: Mapping[str, bytes]) -> str:
    r"""Return the digest of a service's files: names and text, NFC, LF, canonical JSON, SHA-256.

    Line ends are normalised because git may change them in a checkout.

    Example:
        >>> content_digest({"a": b"x\r\n"}) == content_digest({"a": b"x\n"})
        True

    """
    texts = {name: _normal(data) for name, data in content.items()}
    return "sha256:" + hashlib.sha256(dumps_json(texts).encode()).hexdigest()


def _normal(data: bytes) -> str:
    text = data.decode("utf-8-sig", errors="surrogateescape")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text).encode("utf-8", "backslashreplace").decode()


def read_lock(root: Path) -> tuple[LockFile, tuple[Fault, ...]]:
    """Read the lock of a project; an empty one where there is no file."""
    if not (root / FILE).exists():
        return LockFile(), ()
    data, fault = read_file(root / FILE, shown=FILE)
    if data is None:
        return LockFile(), (fault,) if fault else ()
    document, faults = load_yaml(data, file=FILE)
    if document is None:
        return LockFile(), faults
    origin = Origin(file=FILE)
    if not isinstance(document.data, Mapping):
        fault = Fault(message="is no lock", origin=origin, legal="a mapping")
        return LockFile(), (*faults, fault)
    format_faults = wrong_format(document, FORMAT, origin)
    body = {key: value for key, value in document.data.items() if key != "format"}
    lock, found = structure(LockFile, body, file=FILE, lines=document.lines)
    lock = lock or LockFile()
    wrong = [
        Fault(
            message="is no digest",
            origin=attrs.evolve(origin, line=document.lines.get(path, 0)),
            path=path,
            found=digest,
            legal="sha256: and 64 hexadecimal digits",
        )
        for path, digest in (
            *((f"services.{name}.digest", pin.digest) for name, pin in lock.services.items()),
            *((f"images.{name}", digest) for name, digest in lock.images.items()),
        )
        if not _DIGEST.fullmatch(digest)
    ]
    if format_faults or found or wrong:
        return LockFile(), (*faults, *format_faults, *found, *wrong)
    return lock, faults


def pinned_files(root: Path, name: str, pin: Pin) -> tuple[Files, str]:
    """Read the pinned content of a service.

    Returns:
        Its files and their directory's name;
        with a fault, and without files, where it is gone or is not what was pinned.

    """
    place = _place(name, pin.digest)
    origin = Origin(layer="base", file=FILE)
    if not (root / place).is_dir():
        message = f"the pinned content of service {name!r} is not there"
        legal = (
            f"{place}, which belongs under version control; 'infometis lock' brings it back "
            "while the catalogue has the same"
        )
        fault = Fault(message=message, origin=origin, path=f"services.{name}", legal=legal)
        return Files(faults=(fault,)), place
    files = read_service_files(root / place, shown=place)
    digest = content_digest(files.content)
    if digest == pin.digest:
        return files, place
    message = f"the content of service {name!r} is not what was pinned"
    fault = Fault(
        message=message,
        origin=attrs.evolve(origin, file=place),
        path=f"services.{name}",
        found=digest,
        legal=f"{pin.digest}; restore it, or pin anew with infometis lock --update {name}",
    )
    return Files(faults=(*files.faults, fault)), place


def lock_project(
    root: str | Path,
    sources: Mapping[str, ServiceSource],
    *,
    wanted: Iterable[str] | None = None,
    update: Collection[str] = (),
) -> LockFile:
    """Pin the registered services that a project names, and store their content.

    A pin that is there stays as it is unless it is to be updated;
    a pin that nobody names any more goes.

    Args:
        root: the project's directory.
        sources: registered services by name.
        wanted: the registered services that the project names;
            ``None`` reads them from ``infometis.yaml``.
        update: names whose pins move to what is registered now; ``"*"`` for all.

    Returns:
        The lock as it was written.

    Raises:
        ProjectError: the lock, the project or a service cannot be read.

    """
    root = Path(root)
    old, faults = read_lock(root)
    if faults:
        raise ProjectError(faults)
    names = sorted(set(_named(root) if wanted is None else wanted))
    unknown = [name for name in update if name != "*" and name not in names]
    problems = [
        Fault(
            message=f"the project names no registered service {name!r}",
            origin=Origin(file=FILE),
            legal=", ".join(names),
            nearest=nearest(name, names),
        )
        for name in unknown
    ]
    pins: dict[str, Pin] = {}
    contents: dict[str, Mapping[str, bytes]] = {}
    for name in names:
        move = name in update or "*" in update
        if name in old.services and not move:
            pins[name] = old.services[name]
            continue
        if name not in sources:
            problems.append(
                Fault(
                    message=f"no installed plugin offers the service {name!r}",
                    origin=Origin(file=FILE),
                    path=f"services.{name}",
                    legal=", ".join(sorted(sources)),
                    nearest=nearest(name, sources),
                )
            )
            continue
        pin, content, found = _pin(sources[name])
        problems += found
        pins[name], contents[name] = pin, content
    if problems:
        raise ProjectError(problems)
    lock = LockFile(services=pins, images=old.images)
    store_lock(root, lock, contents)
    return lock


def _pin(source: ServiceSource) -> tuple[Pin, Mapping[str, bytes], list[Fault]]:
    place = source.package.replace(".", "/")
    files = read_service_files(package_directory(source), shown=place)
    loaded = service_from_files(files, place)
    version = loaded.service.version if loaded.service else ""
    pin = Pin(version=version, digest=content_digest(files.content))
    return pin, files.content, [fault for fault in loaded.faults if fault.level == "error"]


def store_lock(
    root: Path, lock: LockFile, contents: Mapping[str, Mapping[str, bytes]] | None = None
) -> None:
    """Write content first and the lock last, so that a crash in between leaves the old lock.

    Args:
        root: the project's directory.
        lock: what the file will say.
        contents: files of services that are pinned anew.

    """
    for name, content in (contents or {}).items():
        place = _place(name, lock.services[name].digest)
        write_over(root, {f"{place}/{path}": _stored(data) for path, data in content.items()})
    data: dict[str, Any] = {
        "format": FORMAT,
        "services": {
            name: {"version": pin.version, "digest": pin.digest}
            for name, pin in sorted(lock.services.items())
        },
    }
    if lock.images:
        data["images"] = dict(sorted(lock.images.items()))
    write_over(root, {FILE: _HEAD + dump_yaml(data)})
    _sweep(root, lock)


def _stored(data: bytes) -> str:
    return data.decode("utf-8-sig").replace("\r\n", "\n")


def _sweep(root: Path, lock: LockFile) -> None:
    """Remove stored content that no pin names; only directories that look like ours."""
    kept = {_place(name, pin.digest) for name, pin in lock.services.items()}
    for directory in (root / STORE).glob("*/*"):
        ours = (
            directory.is_dir()
            and not directory.is_symlink()
            and (directory / "service.yaml").exists()
        )
        if ours and str(directory.relative_to(root)) not in kept:
            shutil.rmtree(directory)


def _named(root: Path) -> tuple[str, ...]:
    from infometis_sdk.project.loader import registered_names  # noqa: PLC0415 - loader builds on this

    return registered_names(root)


def _place(name: str, digest: str) -> str:
    return f"{STORE}/{name}/{digest.removeprefix('sha256:')[:16]}"
