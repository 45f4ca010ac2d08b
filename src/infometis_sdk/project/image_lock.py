"""Tags to digests: which images a project names, and what a registry says they are now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from infometis_sdk._adapters.registry import Registries, ResolvedImage
from infometis_sdk._serde import nearest
from infometis_sdk.engine.core.digest import raw_images
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.errors import ProjectError, RegistryError
from infometis_sdk.model.fault import Fault
from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table
from infometis_sdk.project.lock import read_lock, store_lock

if TYPE_CHECKING:
    from collections.abc import Collection

    from infometis_sdk.model.project import Project
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.service import Service

__all__ = ("ImageLock", "LockedImage", "image_names", "lock_images")


@frozen(kw_only=True)
class LockedImage:
    """One image in the lock.

    Attributes:
        image: as the project names it.
        digest: ``sha256:…``.
        before: what the lock said, where it says another digest now; empty for a new one.
        state: ``kept``, ``new`` or ``moved``.
        platforms: such as ``linux/amd64``; empty where it was kept, or is for one platform only.

    """

    image: str
    digest: str
    before: str = ""
    state: str = "kept"
    platforms: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True, repr=False)
class ImageLock(Report):
    """The images in the lock; a moved one means that somebody pushed over a tag."""

    images: tuple[LockedImage, ...] = field(default=(), converter=tuple[LockedImage, ...])

    def headline(self) -> str:
        """Count them by what became of them."""
        states = [one.state for one in self.images]
        parts = [f"{states.count(s)} {s}" for s in ("new", "moved", "kept") if s in states]
        return f"{len(states)} images locked" + (f": {', '.join(parts)}" if parts else "")

    def table(self) -> Table:
        """Show one row for each image."""
        return Table(
            title=self.headline(),
            columns=("IMAGE", "DIGEST", "STATE", "PLATFORMS", "BEFORE"),
            rows=tuple(
                (one.image, one.digest, one.state, ", ".join(one.platforms), one.before)
                for one in self.images
            ),
        )


def image_names(service: Service) -> tuple[str, ...]:
    """Return the images of a service that carry no digest of their own, as the lock calls them.

    Example:
        >>> from infometis_sdk.model import Service
        >>> image_names(Service.web("hello", image="demo/hello:1.0", port=8080))
        ('demo/hello:1.0',)

    """
    named = {f"{i.repository}:{i.tag}" for i in service.images.values() if not i.digest}
    raw = {image for image in raw_images(service) if "@" not in image}
    return tuple(sorted(named | raw))


def lock_images(
    project: Project,
    registries: Registries,
    run: Run,
    *,
    update: Collection[str] = (),
    mirror: str = "",
) -> ImageLock:
    """Ask the registries for the digests of a project's images, and write them into its lock.

    What is locked already stays as it is unless it is to be updated;
    what nobody names any more goes.

    Args:
        project: loaded from a directory.
        registries: whom to ask.
        run: deadline and cancel token.
        update: services whose images are asked for again; ``"*"`` for all.
        mirror: put before every image to ask there instead, such as ``registry.corp.example/hub``.

    Returns:
        Every image that is locked now.

    Raises:
        RegistryError: some could not be resolved; all of them, and nothing was written.
        ProjectError: the project has no directory, or its lock cannot be read.

    """
    root = project.root or Path()
    lock, faults = read_lock(root)
    if faults:
        raise ProjectError(faults)
    unknown = [
        Fault(
            message=f"there is no service {name!r}",
            legal=", ".join(sorted(project.services)),
            nearest=nearest(name, project.services),
        )
        for name in update
        if name != "*" and name not in project.services
    ]
    if unknown:
        raise ProjectError(unknown)
    wanted: dict[str, bool] = {}
    for service in project.services.values():
        again = service.name in update or "*" in update
        for image in image_names(service):
            wanted[image] = wanted.get(image, False) or again
    asked = [image for image, again in wanted.items() if again or image not in lock.images]
    prefix = f"{mirror.rstrip('/')}/" if mirror else ""

    def ask(image: str) -> ResolvedImage | RegistryError:
        try:
            return registries.resolve(f"{prefix}{image}", run)
        except RegistryError as error:
            return error

    found = dict(zip(asked, parallel(ask, asked, run, "asking registries"), strict=True))
    failed = {image: one for image, one in found.items() if isinstance(one, RegistryError)}
    if failed:
        lines = "\n".join(f"  {image}: {error.message}" for image, error in failed.items())
        image, first = next(iter(failed.items()))
        msg = f"{len(failed)} of {len(asked)} images could not be resolved:\n{lines}"
        raise RegistryError(msg, image=image, hint=first.hint)
    images = tuple(
        _locked(image, found.get(image), lock.images.get(image, "")) for image in sorted(wanted)
    )
    store_lock(root, attrs.evolve(lock, images={one.image: one.digest for one in images}))
    return ImageLock(images=images)


def _locked(image: str, found: ResolvedImage | RegistryError | None, before: str) -> LockedImage:
    if not isinstance(found, ResolvedImage):
        return LockedImage(image=image, digest=before)
    state = "new" if not before else "kept" if before == found.digest else "moved"
    return LockedImage(
        image=image,
        digest=found.digest,
        before=before if state == "moved" else "",
        state=state,
        platforms=found.platforms,
    )
