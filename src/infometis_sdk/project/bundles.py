"""Bundles as files, and the project that a Bundle and some environment files make."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from infometis_sdk._adapters.project_files import read_file
from infometis_sdk.engine.core.bundle import project_of
from infometis_sdk.engine.inputs.check_project import project_faults
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.project.environments import load_environment
from infometis_sdk.project.faults import ordered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.model.project import Project
    from infometis_sdk.ports.platform import PlatformSpec

__all__ = ("load_bundle", "project_from_bundle", "save_bundle")


def load_bundle(path: str | Path) -> Bundle:
    """Read a Bundle from a file; every byte of it is checked.

    Raises:
        ProjectError: there is no such file.
        TamperedError: it was changed, cut short, or is no Bundle.

    """
    data, fault = read_file(Path(path), shown=str(path))
    if data is None:
        raise ProjectError([fault] if fault else [])
    return Bundle.from_bytes(data, name=f"bundle {path}")


def save_bundle(bundle: Bundle, path: str | Path) -> None:
    """Write a Bundle in one step; the same Bundle gives the same bytes on any machine.

    It holds no secret, but whoever may change it decides what runs: only its owner may write it.
    """
    file = Path(path)
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(bundle.to_bytes())
    draft.chmod(0o644)
    draft.replace(file)


def project_from_bundle(
    bundle: Bundle,
    *environments: str | Path,
    platforms: Mapping[str, PlatformSpec] | None = None,
) -> Project:
    """Make a project of a Bundle and of environment files, without the tree that made the Bundle.

    Args:
        bundle: brings the services and all values but those of environments.
        environments: files; the name of each is that of its environment.
        platforms: registered platforms by name, whose settings are checked;
            ``None`` asks the installed plugins.

    Raises:
        ProjectError: every fault of the environments.
        RefusedError: this version of the SDK would render the Bundle otherwise than it was meant.

    Example:
        .. code-block:: python

            project = project_from_bundle(load_bundle("demo.bundle"), "environments/uat.yaml")
            Workspace(project)["uat"].up()

    """
    from infometis_sdk._plugins import Plugins

    plugins = Plugins.load()
    if platforms is None:
        platforms = plugins.platforms()
    found = [load_environment(path) for path in environments]
    project = project_of(bundle, {environment.name: environment for environment in found})
    faults = project_faults(project, platforms, plugins.borders())
    errors = [fault for fault in faults if fault.level == "error"]
    if errors:
        raise ProjectError(ordered(errors))
    return attrs.evolve(project, findings=ordered(faults))
