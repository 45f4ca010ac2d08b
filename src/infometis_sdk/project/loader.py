"""Projects: ``infometis.yaml``, ``environments/*.yaml``, ``services/*/`` and ``infometis.lock``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk._adapters.project_files import names_in, read_file, read_service_files
from infometis_sdk._serde import nearest, shown, structure
from infometis_sdk._yaml import Document, load_yaml
from infometis_sdk.engine.inputs.check_project import project_faults
from infometis_sdk.engine.inputs.rename import renamed
from infometis_sdk.errors import PluginLoadError, ProjectError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.pipeline import Pipeline
from infometis_sdk.model.project import Project
from infometis_sdk.model.service import Service, ServiceSource
from infometis_sdk.project.environments import load_environments
from infometis_sdk.project.faults import ordered, without_consequences, wrong_format
from infometis_sdk.project.lock import LockFile, pinned_files, read_lock
from infometis_sdk.project.services import LoadedService, package_directory, service_from_files

if TYPE_CHECKING:
    from infometis_sdk.ports.border import BorderSpec
    from infometis_sdk.ports.platform import PlatformSpec

__all__ = (
    "FILE",
    "FORMAT",
    "PROJECT_KEYS",
    "ProjectFile",
    "ServiceEntry",
    "load_project",
    "registered_names",
)

FILE = "infometis.yaml"
FORMAT = "infometis.io/project/v1"
PROJECT_KEYS = ("name", "id", "services", "values", "modes", "pipelines", "probes")
_FOLDER = "services"


@frozen(kw_only=True)
class ServiceEntry:
    """Where a service of a project comes from.

    With neither, it is the directory ``services/NAME/`` where there is one,
    else the registered service of that name.

    Attributes:
        path: directory that holds ``service.yaml``, relative to the project.
        source: name under which the catalogue or a plugin registers the service.

    """

    path: str = ""
    source: str = ""


@frozen(kw_only=True)
class ProjectFile:
    """What ``infometis.yaml`` holds.

    Attributes:
        name: DNS label.
        id: written once by ``infometis init``; unique, never changed, not the name.
        services: name to where it comes from; ``{}`` for the usual place.
        values: ``{service: {parameter: value}}`` for all environments; may set core parameters.
        modes: values per mode; never core parameters.
        pipelines: the order in which environments get a Bundle, and what must hold before each.
        probes: ``module:name`` of the probes that ``compare`` runs.

    """

    name: str
    id: str = ""
    services: Mapping[str, ServiceEntry] = field(factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    modes: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(factory=dict)
    pipelines: Mapping[str, Pipeline] = field(factory=dict)
    probes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class _Found:
    """All services of a project as far as they could be read.

    Attributes:
        services: those that could.
        broken: names of those that could not.
        parts: ``(service, section, name)`` of parts that could not be read.

    """

    services: Mapping[str, Service]
    broken: frozenset[str]
    parts: frozenset[tuple[str, str, str]]
    faults: tuple[Fault, ...]


def load_project(
    path: str | Path = ".",
    sources: Mapping[str, ServiceSource] | None = None,
    platforms: Mapping[str, PlatformSpec] | None = None,
    borders: Mapping[str, BorderSpec] | None = None,
) -> Project:
    """Read a project directory.

    Args:
        path: the directory that holds ``infometis.yaml``, or that file.
        sources: registered services by name; ``None`` asks the installed plugins.
        platforms: registered platforms by name, whose settings are checked;
            ``None`` asks the installed plugins.
        borders: the same for registered border adapters.

    Returns:
        The project, checked as a whole; its warnings are in ``findings``.

    Raises:
        ProjectError: every fault of every file, with file, line, path, what was found, what is
            legal and the nearest known name.

    Example:
        .. code-block:: python

            project = load_project("demo")

    """
    root = Path(path)
    if root.name == FILE:
        root = root.parent
    if sources is None or platforms is None or borders is None:
        from infometis_sdk._plugins import Plugins

        plugins = Plugins.load()
        sources = plugins.services() if sources is None else sources
        platforms = plugins.platforms() if platforms is None else platforms
        borders = plugins.borders() if borders is None else borders
    faults: list[Fault] = []
    document = _project_document(root, faults)
    file = _project_file(document, faults)
    lock, found_faults = read_lock(root)
    faults += found_faults
    found = _services(root, file, document, lock, sources)
    environments, found_faults = load_environments(root)
    faults += [*found.faults, *found_faults]
    project = Project(
        name=file.name,
        id=file.id,
        services=found.services,
        environments=environments,
        values=file.values,
        modes=file.modes,
        pipelines=file.pipelines,
        probes=file.probes,
        lock=lock.lock,
        root=root,
        sources=_sources(document),
    )
    checked = project_faults(project, platforms, borders, ignore=found.broken, parts=found.parts)
    faults += without_consequences(faults, checked)
    errors = [fault for fault in faults if fault.level == "error"]
    if errors:
        raise ProjectError(ordered(errors))
    return attrs.evolve(project, findings=ordered(faults))


def registered_names(root: Path) -> tuple[str, ...]:
    """Return the registered services that the project in ``root`` names.

    Raises:
        ProjectError: ``infometis.yaml`` cannot be read.

    """
    faults: list[Fault] = []
    file = _project_file(_project_document(root, faults), faults)
    if faults:
        raise ProjectError(ordered(faults))
    return tuple(
        entry.source or name
        for name, entry in file.services.items()
        if not _directory(root, name, entry)
    )


def _project_document(root: Path, faults: list[Fault]) -> Document:
    origin = Origin(layer="project", file=FILE, line=1)
    data, fault = read_file(root / FILE, shown=FILE, layer="project")
    if fault is not None or data is None:
        legal = "a project directory; infometis init makes one"
        missing = fault or Fault(message="there is no such file", origin=origin)
        message = f"{missing.message} (looked in {root.absolute()})"
        raise ProjectError((attrs.evolve(missing, message=message, legal=legal),))
    document, found = load_yaml(data, file=FILE, layer="project")
    faults += found
    if document is not None and isinstance(document.data, Mapping):
        faults += wrong_format(document, FORMAT, origin)
        return document
    if not found:
        text = shown(document.data) if document else "nothing"
        faults.append(Fault(message="is no project", origin=origin, found=text, legal="a mapping"))
    raise ProjectError(ordered([*faults, *_beside(root)]))


def _beside(root: Path) -> list[Fault]:
    """Return what is wrong with the other files where ``infometis.yaml`` cannot be read."""
    faults = [*read_lock(root)[1], *load_environments(root)[1]]
    for directory in _service_directories(root):
        files = read_service_files(root / directory, shown=directory)
        faults += service_from_files(files, directory).faults
    return [fault for fault in faults if fault.level == "error"]


def _project_file(document: Document, faults: list[Fault]) -> ProjectFile:
    body = {key: value for key, value in document.data.items() if key != "format"}
    if isinstance(body.get("services"), Mapping):
        # "kafka:" alone is as good as "kafka: {}"
        body["services"] = {k: {} if v is None else v for k, v in body["services"].items()}
    file, found = structure(
        ProjectFile,
        body,
        keys=PROJECT_KEYS,
        file=FILE,
        layer="project",
        lines=document.lines,
    )
    faults += found
    return file or ProjectFile(name="")


def _sources(document: Document) -> dict[str, Origin]:
    sources = {}
    for path, line in document.lines.items():
        origin = Origin(layer="project", file=FILE, line=line)
        sources[path] = origin
        if path.startswith("values."):
            sources[f"project.{path.removeprefix('values.')}"] = origin
        elif path.startswith("modes."):
            sources[f"mode.{path.removeprefix('modes.')}"] = attrs.evolve(origin, layer="mode")
    return sources


# --- services -------------------------------------------------------------------------------------


def _services(
    root: Path,
    file: ProjectFile,
    document: Document,
    lock: LockFile,
    sources: Mapping[str, ServiceSource],
) -> _Found:
    services: dict[str, Service] = {}
    faults: list[Fault] = []
    broken: set[str] = set()
    parts: set[tuple[str, str, str]] = set()
    for name, entry in file.services.items():
        path = f"services.{name}"
        origin = Origin(layer="project", file=FILE, line=document.lines.get(path, 0))
        loaded = _service(root, name, entry, origin=origin, lock=lock, sources=sources)
        faults += loaded.faults
        parts |= {(name, section, part) for section, part in loaded.broken}
        if loaded.service is None:
            broken.add(name)
            continue
        service = loaded.service
        if service.name != name and not _directory(root, name, entry):
            service = renamed(service, name)
        elif service.name != name:
            faults.append(
                Fault(
                    message=f"calls itself {service.name!r}, but the project calls it {name!r}",
                    origin=attrs.evolve(service.origin, line=service.lines.get("name", 1)),
                    path="name",
                    found=shown(service.name),
                    legal=shown(name),
                )
            )
            service = attrs.evolve(service, name=name)
        services[name] = service
    faults += _unnamed(root, file)
    return _Found(
        services=services, broken=frozenset(broken), parts=frozenset(parts), faults=tuple(faults)
    )


def _service(
    root: Path,
    name: str,
    entry: ServiceEntry,
    *,
    origin: Origin,
    lock: LockFile,
    sources: Mapping[str, ServiceSource],
) -> LoadedService:
    path = f"services.{name}"
    if entry.path and entry.source:
        message = "has a path and a source"
        fault = Fault(message=message, origin=origin, path=path, legal="one of them")
        return LoadedService(service=None, faults=(fault,))
    directory = _directory(root, name, entry)
    if directory:
        place = str(PurePosixPath(directory))
        if not (root / directory).is_dir():
            near = nearest(directory, _service_directories(root))
            message = f"there is no directory {place!r}"
            fault = Fault(message=message, origin=origin, path=path, nearest=near)
            return LoadedService(service=None, faults=(fault,))
        return service_from_files(read_service_files(root / directory, shown=place), place)
    source = entry.source or name
    if source in lock.services:
        pin = lock.services[source]
        files, place = pinned_files(root, source, pin)
        return (
            service_from_files(files, place)
            if files.content
            else LoadedService(service=None, faults=files.faults)
        )
    if source not in sources:
        known = (*sources, *(PurePosixPath(d).name for d in _service_directories(root)))
        message = f"there is no service {source!r}: no directory, and no plugin offers it"
        fault = Fault(
            message=message,
            origin=origin,
            path=path,
            legal=", ".join(sorted(known)),
            nearest=nearest(source, known),
        )
        return LoadedService(service=None, faults=(fault,))
    place = sources[source].package.replace(".", "/")
    try:
        files = read_service_files(package_directory(sources[source]), shown=place)
    except PluginLoadError as error:
        fault = Fault(message=error.message, origin=origin, path=path, legal=error.hint)
        return LoadedService(service=None, faults=(fault,))
    loaded = service_from_files(files, place)
    loose = Fault(
        message=f"the service {source!r} is not pinned, so an upgrade may change it",
        origin=origin,
        path=path,
        legal="pin it with infometis lock",
        level="warning",
    )
    return attrs.evolve(loaded, faults=(*loaded.faults, loose))


def _directory(root: Path, name: str, entry: ServiceEntry) -> str:
    """Return the directory of a service of the project's own; empty for a registered one."""
    if entry.path or entry.source:
        return entry.path
    own = f"{_FOLDER}/{name}"
    return own if (root / own).is_dir() else ""


def _service_directories(root: Path) -> tuple[str, ...]:
    return tuple(
        f"{_FOLDER}/{name}" for name in names_in(root / _FOLDER) if (root / _FOLDER / name).is_dir()
    )


def _unnamed(root: Path, file: ProjectFile) -> list[Fault]:
    used = {f"{_FOLDER}/{name}" for name, entry in file.services.items() if not entry.source}
    used |= {str(PurePosixPath(entry.path)) for entry in file.services.values() if entry.path}
    return [
        Fault(
            message=f"no service of the project is in {directory!r}, so it is not read",
            origin=Origin(layer="project", file=FILE),
            path="services",
            nearest=nearest(PurePosixPath(directory).name, file.services),
            level="warning",
        )
        for directory in _service_directories(root)
        if directory not in used
    ]
