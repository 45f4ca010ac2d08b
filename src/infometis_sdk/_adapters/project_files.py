"""The files of a project: read whole directories, and say of each what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ("Files", "names_in", "read_file", "read_service_files", "write_new", "write_over")

SERVICE_FOLDERS = ("templates", "files", "manifests")
DESCRIPTOR = "service.yaml"
_SIZE_MAX = 32 * 1024 * 1024
"""No manifest or configuration file is larger; a ConfigMap holds 1 MiB, says Kubernetes."""


@frozen(kw_only=True)
class Files:
    """The files of a service, unread by any format.

    Attributes:
        content: path below the service, such as ``templates/statefulset.yaml.j2``, to bytes.
        faults: files that cannot be read or do not belong there.

    """

    content: Mapping[str, bytes] = field(factory=dict, repr=False)
    faults: tuple[Fault, ...] = ()


def read_file(path: Path, *, shown: str, layer: str = "code") -> tuple[bytes | None, Fault | None]:
    """Read one file.

    Returns:
        Its bytes, or the fault that says why it cannot be read.

    """
    origin = Origin(layer=layer, file=shown)
    try:
        if path.stat().st_size > _SIZE_MAX:
            return None, Fault(message="is too large", origin=origin, legal="at most 32 MiB")
        return path.read_bytes(), None
    except FileNotFoundError:
        if path.is_symlink():
            message = f"is a link to {str(path.readlink())!r}, which is not there"
            return None, Fault(message=message, origin=origin)
        near = _near(path)
        return None, Fault(message="there is no such file", origin=origin, nearest=near)
    except OSError as error:
        message = f"cannot be read: {(error.strerror or str(error)).lower()}"
        return None, Fault(message=message, origin=origin)


def names_in(directory: Path) -> tuple[str, ...]:
    """Return the names in a directory, sorted, without hidden ones and editors' backups."""
    try:
        return tuple(sorted(entry.name for entry in directory.iterdir() if _meant(entry.name)))
    except OSError:
        return ()


def read_service_files(directory: Path | Traversable, *, shown: str, layer: str = "base") -> Files:
    """Read the descriptor, templates, files and manifests of a service.

    Args:
        directory: on disk, or a resource of a package.
        shown: the directory's name in messages.
        layer: for the faults.

    Returns:
        Every file that could be read, and a fault for each that could not:
        missing, unreadable, a directory where a file belongs, a link that leads out of the
        service.

    """
    content: dict[str, bytes] = {}
    faults: list[Fault] = []
    for name in _service_names(directory):
        place = directory
        for step in name.split("/"):
            place = place.joinpath(step)
        origin = Origin(layer=layer, file=str(PurePosixPath(shown, name)))
        if isinstance(directory, Path) and (out := _leads_out(directory, directory / name)):
            faults.append(Fault(message=f"is a link out of the service, to {out!r}", origin=origin,
                                legal="a file of the service's own"))  # fmt: skip
        elif isinstance(place, Path):
            if place.is_dir():
                faults.append(Fault(message="is a directory", origin=origin,
                                    legal="files only, without folders below"))  # fmt: skip
                continue
            data, fault = read_file(place, shown=origin.file, layer=layer)
            if data is not None:
                content[name] = data
            if fault is not None:
                faults.append(fault)
        elif place.is_file():
            content[name] = place.read_bytes()
        elif name == DESCRIPTOR:
            faults.append(Fault(message="there is no such file", origin=origin))
    return Files(content=content, faults=tuple(faults))


def write_new(root: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Write files below ``root``; where one of them is there already, nothing is written.

    Returns:
        Names of the files that are there already; empty when all were written.

    """
    there = tuple(name for name in files if (root / name).exists() or (root / name).is_symlink())
    if not there:
        write_over(root, files)
    return there


def write_over(root: Path, files: Mapping[str, str]) -> None:
    """Write files below ``root``, each in one step, so that a crash leaves no half file."""
    for name, text in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(target)


def _service_names(directory: Path | Traversable) -> Iterator[str]:
    yield DESCRIPTOR
    for folder in SERVICE_FOLDERS:
        place = directory.joinpath(folder)
        if place.is_dir():
            for entry in sorted(place.iterdir(), key=lambda item: item.name):
                if _meant(entry.name):
                    yield f"{folder}/{entry.name}"


def _meant(name: str) -> bool:
    return not name.startswith(".") and not name.endswith("~") and name != "__pycache__"


def _leads_out(directory: Path, place: Path) -> str:
    """Return where a path leads when that is outside of the directory."""
    home = os.path.realpath(directory)
    target = os.path.realpath(place)
    inside = target == home or target.startswith(home + os.sep)
    return "" if inside else target


def _near(path: Path) -> str:
    from difflib import get_close_matches

    close = get_close_matches(path.name, names_in(path.parent), n=1, cutoff=0.6)
    return close[0] if close else ""
