"""Images on nodes without a registry, and in files for machines without a network."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from infometis_platform_k0s_docker.images import architecture, find_image
from infometis_platform_k0s_docker.shape import DATA
from infometis_platform_k0s_docker.tars import one_file
from infometis_platform_k0s_docker.troubles import explained, explaining
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infometis_platform_k0s_docker.engine import Engine
    from infometis_platform_k0s_docker.nodes import Nodes
    from infometis_sdk.model.run import Run

__all__ = ("SUMS", "export_images", "load_images")

SUMS = "SHA256SUMS"
_PATIENCE = 900.0
_CHUNK = 1 << 20


def load_images(nodes: Nodes, engine: Engine, images: Sequence[str | Path], run: Run) -> None:
    """Put images on every node; see :class:`LoadImages`."""
    _check_images(engine, [image for image in images if isinstance(image, str)])
    found = nodes.found()
    down = sorted(name for name, each in found.items() if not each.running)
    if down or not found:
        msg = f"nodes are down: {', '.join(down) or 'all'}"
        raise PlatformError(msg, hint="start the cluster with `infometis up`")
    for done, image in enumerate(images):
        event = Event(
            name="load image",
            subject=str(image),
            state="progress",
            total=len(images),
            unit="images",
        )
        run.emit(attrs.evolve(event, done=done))
        with _archive(engine, image, run) as archive:
            for name in sorted(found):
                run.check(f"loading {image} into {name}")
                _load(engine, name, archive, str(image), run)
        run.emit(attrs.evolve(event, done=done + 1))


def export_images(
    engine: Engine, images: Sequence[str], folder: Path, run: Run
) -> tuple[Path, ...]:
    """Write images into files, one each, and their checksums as ``sha256sum`` writes them.

    Returns:
        The archives, in the order of the images; ``SHA256SUMS`` lies beside them.

    Raises:
        PlatformError: images are not in Docker, and nothing is written; or they do not fit.

    """
    _check_images(engine, images)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image in images:
            run.check(f"exporting {image}")
            path = folder / (re.sub(r"[^A-Za-z0-9._-]+", "_", image) + ".tar")
            _save(engine, image, path, run)
            written.append(path)
            # at once, so that no archive is without its checksum if the next one fails
            _note_sum(path)
            run.emit(Event(name="export image", subject=image, state="finished", detail=str(path)))
    except OSError as error:
        msg = f"images cannot be written to {folder}: {error.strerror or error}"
        raise PlatformError(msg, hint="name a folder that this user may write to") from error
    return tuple(written)


@contextmanager
def _archive(engine: Engine, image: str | Path, run: Run) -> Iterator[Path]:
    """Give a file with the image, for the life of the context."""
    if isinstance(image, Path):
        _check_archive(image)
        yield image
        return
    with tempfile.TemporaryDirectory(prefix="infometis-image-") as folder:
        path = Path(folder) / "image.tar"
        _save(engine, image, path, run)
        yield path


def _check_images(engine: Engine, images: Sequence[str]) -> None:
    """Name all images that are not here, or for another machine, before anything is written."""
    found = {image: find_image(engine, image) for image in images}
    missing = [repr(image) for image, each in found.items() if each is None]
    if missing:
        msg = f"there is no image {', '.join(missing)} in Docker at {engine.host}"
        pulls = "; ".join(f"docker pull {image}" for image, each in found.items() if each is None)
        raise PlatformError(msg, hint=f"bring it: {pulls}")
    own = architecture(engine) if found else ""
    its = {image: str((each or {}).get("Architecture", "")) for image, each in found.items()}
    foreign = [f"{image} is for {each}" for image, each in its.items() if each not in ("", own)]
    if own and foreign:
        msg = f"{', '.join(foreign)}, and nodes run {own}"
        raise PlatformError(msg, hint=f"pull it with --platform linux/{own}")


def _save(engine: Engine, image: str, path: Path, run: Run) -> None:
    draft = path.with_name(f".{path.name}.part")
    try:
        with explaining(f"Docker cannot save {image}", engine.host):
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                for chunk in engine.client.get_image(image, chunk_size=_CHUNK):
                    run.check(f"saving {image}")
                    out.write(chunk)
        draft.replace(path)
    except OSError as error:
        msg = f"{image} cannot be written to {path}: {error.strerror or error}"
        raise PlatformError(msg, hint="make room there") from error
    finally:
        draft.unlink(missing_ok=True)


def _load(engine: Engine, node: str, archive: Path, image: str, run: Run) -> None:
    """Import an archive on a node, by way of its volume, where there is room for images."""
    name = f"infometis-{secrets.token_hex(4)}.tar"
    try:
        with explaining(f"Docker cannot bring {image} to {node}", engine.host):
            engine.client.put_archive(node, DATA, one_file(name, archive))
        words = ["k0s", "ctr", "--namespace", "k8s.io", "images", "import", f"{DATA}/{name}"]
        done = engine.run_in(node, words, run, _PATIENCE)
        if done.code:
            msg = f"node {node} does not take the image {image}"
            raise explained(msg, done.said)
    finally:
        engine.run_in(node, ["rm", "-f", f"{DATA}/{name}"], run)


def _check_archive(path: Path) -> None:
    """Refuse what is no whole archive of images, before a node is asked."""
    wanted = _sums(path.parent).get(path.name)
    try:
        if wanted and wanted != _sha256(path):
            msg = f"{path} is damaged: its checksum is not the one in {SUMS} beside it"
            raise PlatformError(msg, hint="copy it again")
        with tarfile.open(path) as tar:
            names = {member.name.removeprefix("./") for member in tar}
    except (OSError, EOFError, tarfile.TarError) as error:
        msg = f"{path} is no archive of images that can be read: {error}"
        raise PlatformError(msg, hint="make it with 'docker save'") from error
    if not names & {"manifest.json", "index.json"}:
        msg = f"{path} holds no image"
        raise PlatformError(msg, hint="make it with 'docker save', or as an OCI layout")


def _note_sum(path: Path) -> None:
    """Write the checksum of an archive into the list beside it."""
    sums = _sums(path.parent) | {path.name: _sha256(path)}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    (path.parent / SUMS).write_text("".join(lines), encoding="utf-8")


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
    return {name.lstrip("*"): digest for digest, name in pairs}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
