"""Images of this machine on the nodes, without a registry.

``kind load`` imports all platforms of an image (``ctr images import --all-platforms``).
Where the engine keeps images in containerd's store, and that is Docker's default since 29,
a saved image names layers of other platforms that are not in the archive, and the import ends with
"content digest … not found" (kind issues 3795 and 3845).
So we save one platform where the engine can, and import without that flag.
"""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infometis_platform_kind.troubles import explained
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_platform_kind.engine import Engine, Node

__all__ = ("load_images",)

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SNAPSHOTTERS = (
    ("plugins", "io.containerd.cri.v1.images", "snapshotter"),
    ("plugins", "io.containerd.grpc.v1.cri", "containerd", "snapshotter"),
)


def load_images(
    engine: Engine, nodes: Sequence[Node], images: Sequence[str | Path], run: Run
) -> None:
    """Put images on all nodes; see :meth:`LoadImages.load_images`."""
    architecture = _architecture(engine, nodes[0], run)
    names = [image for image in images if isinstance(image, str)]
    _check_present(engine, names, architecture, run)
    with tempfile.TemporaryDirectory(prefix="infometis-images-") as folder:
        for image in images:
            run.check(f"loading {image}")
            subject = str(image)
            run.emit(Event(name="load image", subject=subject, state="started"))
            archive = image if isinstance(image, Path) else Path(folder) / "image.tar"
            if isinstance(image, str):
                _save(engine, image, archive, architecture, run)
            elif not archive.is_file():
                msg = f"the image archive {archive} is not there"
                raise PlatformError(msg, hint="make it with 'docker save -o FILE IMAGE'")
            for node in nodes:
                _import(engine, node, archive, subject, run)
            run.emit(Event(name="load image", subject=subject, state="finished"))


def _architecture(engine: Engine, node: Node, run: Run) -> str:
    said = engine.printed(node.name, run, "uname", "-m").strip()
    return _ARCHITECTURES.get(said, said)


def _check_present(engine: Engine, names: Sequence[str], architecture: str, run: Run) -> None:
    """Name all images that are not here, or for another machine, before the first is loaded."""
    missing, foreign = [], []
    for name in names:
        try:
            found = json.loads(engine.ask(run, "image", "inspect", name).stdout)[0]
        except PlatformError as error:
            if not re.search("no such image", error.message, re.IGNORECASE):
                raise
            missing.append(name)
            continue
        if architecture and found.get("Architecture") not in (architecture, "", None):
            foreign.append(f"{name} ({found['Architecture']})")
    if missing:
        msg = f"not in the image store of {engine.program}: {', '.join(missing)}"
        raise PlatformError(msg, hint=f"{engine.program} pull, or build, them first")
    if foreign:
        msg = f"not for {architecture}, which the nodes are: {', '.join(foreign)}"
        raise PlatformError(msg, hint=f"{engine.program} pull --platform linux/{architecture}")


def _save(engine: Engine, image: str, archive: Path, architecture: str, run: Run) -> None:
    archive.unlink(missing_ok=True)
    platform = ("--platform", f"linux/{architecture}") if architecture else ()
    try:
        engine.ask(run, "save", *platform, "--output", str(archive), image)
    except PlatformError as error:
        # Engines before Docker 28 know no such flag, and keep one platform of an image anyway.
        if not re.search(r"unknown flag|requires API version|not supported", error.message):
            raise
        engine.ask(run, "save", "--output", str(archive), image)


def _import(engine: Engine, node: Node, archive: Path, image: str, run: Run) -> None:
    snapshotter = _snapshotter(engine, node, run)
    done = engine.inside(
        node.name,
        run,
        *("ctr", "--namespace=k8s.io", "images", "import", "--digests"),
        *(f"--snapshotter={snapshotter}", "-"),
        stdin=archive,
    )
    if not done.ok:
        msg = f"{image} cannot be loaded into {node.name}"
        raise explained(msg, done.tail(), engine.program)


def _snapshotter(engine: Engine, node: Node, run: Run) -> str:
    """Ask containerd in the node how it keeps layers; kind's default where it does not say."""
    try:
        config = tomllib.loads(engine.printed(node.name, run, "containerd", "config", "dump"))
    except tomllib.TOMLDecodeError:
        config = {}
    for path in _SNAPSHOTTERS:
        found: Any = config
        for key in path:
            found = found.get(key, {}) if isinstance(found, dict) else {}
        if isinstance(found, str) and found:
            return found
    return "overlayfs"
