"""From files to the model: services, environments and whole projects, all faults at once."""

from infometis_sdk.project.bundles import load_bundle, project_from_bundle, save_bundle
from infometis_sdk.project.loader import load_project
from infometis_sdk.project.lock import lock_project
from infometis_sdk.project.services import load_package_service, load_service

__all__ = (
    "load_bundle",
    "load_package_service",
    "load_project",
    "load_service",
    "lock_project",
    "project_from_bundle",
    "save_bundle",
)
