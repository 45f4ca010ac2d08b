"""Images made here: an archive of the OCI layout, written straight into the node's ``ctr``.

No file is copied on the way: an image's one layer is read twice from where its files are,
once for its digest and once for the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("Image",)

_OCI = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@frozen(kw_only=True)
class Image:
    """One image of one layer.

    Attributes:
        name: ``repository:tag``, as pods name it.
        files: what lies where in the image; a folder brings all that is below it.
        texts: further files, by their content.
        links: symbolic links, by their target.
        entrypoint: what runs.
        command: its arguments, where the pod gives none.
        environ: variables of the process.

    """

    name: str
    files: Mapping[str, Path] = field(factory=dict)
    texts: Mapping[str, str] = field(factory=dict)
    links: Mapping[str, str] = field(factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(factory=dict)

    def write(self, archive: IO[bytes]) -> None:
        """Write the archive; what it is written to need not be a file."""
        sink = _Digest()
        self._write_layer(sink)
        layer = {
            "mediaType": f"{_OCI}.layer.v1.tar",
            "digest": sink.digest,
            "size": sink.size,
        }
        config = json.dumps(self._config(sink.digest)).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor(f"{_OCI}.config.v1+json", config),
            "layers": [layer],
        }
        text = json.dumps(manifest).encode()
        entry = _descriptor(f"{_OCI}.manifest.v1+json", text)
        entry["annotations"] = {"io.containerd.image.name": self.name}
        index = {"schemaVersion": 2, "manifests": [entry]}
        with tarfile.open(fileobj=archive, mode="w|", format=tarfile.PAX_FORMAT) as outer:
            _add(outer, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            _add(outer, "index.json", json.dumps(index).encode())
            for blob in (config, text):
                _add(outer, _place(_sha(blob)), blob)
            head = tarfile.TarInfo(_place(sink.digest))
            head.size = sink.size
            outer.addfile(head)  # its content follows, through the same stream
            self._write_layer(_Passage(outer))
            _pad(outer, sink.size)

    def _config(self, layer: str) -> dict[str, Any]:
        machine = platform.machine()
        return {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {
                "Entrypoint": list(self.entrypoint),
                "Cmd": list(self.command),
                "Env": [f"{key}={value}" for key, value in self.environ.items()],
            },
            "rootfs": {"type": "layers", "diff_ids": [layer]},
        }

    def _write_layer(self, stream: Any) -> None:
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as layer:
            for name, content in sorted(self.texts.items()):
                _add(layer, name, content.encode(), mode=0o755)
            for name, target in sorted(self.links.items()):
                head = tarfile.TarInfo(name)
                head.type, head.linkname = tarfile.SYMTYPE, target
                layer.addfile(head)
            for name, source in sorted(self.files.items()):
                for place, path in _below(name, source):
                    head = tarfile.TarInfo(place)
                    head.mode = 0o755
                    head.size = path.stat().st_size
                    with path.open("rb") as file:
                        layer.addfile(head, file)


def _below(name: str, source: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder, links followed; a file is its own."""
    if source.is_file():
        yield name, source
        return
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield f"{name}/{path.relative_to(source)}", path


class _Digest:
    """Counts and digests what is written to it."""

    def __init__(self) -> None:
        self.size = 0
        self._sum = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._sum.hexdigest()}"

    def write(self, data: bytes) -> int:
        self._sum.update(data)
        self.size += len(data)
        return len(data)


class _Passage:
    """Writes one archive as the content of a member of another."""

    def __init__(self, outer: tarfile.TarFile) -> None:
        self._outer = outer

    def write(self, data: bytes) -> int:
        if self._outer.fileobj is None:
            raise AssertionError
        self._outer.fileobj.write(data)
        return len(data)


def _pad(outer: tarfile.TarFile, size: int) -> None:
    """Fill the last block of a member, and count what passed ``addfile`` by."""
    if outer.fileobj is None:
        raise AssertionError
    rest = -size % tarfile.BLOCKSIZE
    outer.fileobj.write(b"\0" * rest)
    outer.offset += size + rest


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    head = tarfile.TarInfo(name)
    head.size, head.mode = len(content), mode
    archive.addfile(head, io.BytesIO(content))


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _sha(content), "size": len(content)}


def _sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
