"""From files to the model: services, environments and whole projects, all faults at once.

Names are loaded when they are first used (PEP 562): reading a project asks no registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk import _lazy

if TYPE_CHECKING:
    from infometis_sdk.project.bundles import load_bundle, project_from_bundle, save_bundle
    from infometis_sdk.project.image_lock import lock_images
    from infometis_sdk.project.loader import load_project
    from infometis_sdk.project.lock import lock_project
    from infometis_sdk.project.services import load_package_service, load_service

__all__ = (
    "load_bundle",
    "load_package_service",
    "load_project",
    "load_service",
    "lock_images",
    "lock_project",
    "project_from_bundle",
    "save_bundle",
)

_HOMES = {
    "load_bundle": "bundles",
    "load_package_service": "services",
    "load_project": "loader",
    "load_service": "services",
    "lock_images": "image_lock",
    "lock_project": "lock",
    "project_from_bundle": "bundles",
    "save_bundle": "bundles",
}


if not TYPE_CHECKING:
    __getattr__ = _lazy.lazy(__name__, _HOMES)


def __dir__() -> list[str]:
    return [*__all__]
