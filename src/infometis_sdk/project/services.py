"""Services from directories and packages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files as package_files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from infometis_sdk._adapters.project_files import DESCRIPTOR, Files, read_service_files
from infometis_sdk._serde import shown as text_of, structure
from infometis_sdk._yaml import Document, load_all, load_yaml
from infometis_sdk.engine.inputs.descriptor import faults_of
from infometis_sdk.errors import PluginLoadError, ProjectError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.service import Service, ServiceSource
from infometis_sdk.project.faults import ordered, without_consequences, wrong_format

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = (
    "DESCRIPTOR_KEYS",
    "FORMAT",
    "LoadedService",
    "load_package_service",
    "load_service",
    "package_directory",
    "service_from_files",
)

FORMAT = "infometis.io/service/v1"
DESCRIPTOR_KEYS = (
    "name",
    "version",
    "summary",
    "images",
    "parameters",
    "needs",
    "uses",
    "endpoints",
    "credentials",
    "checks",
    "metrics",
    "scaling",
    "upgrade",
    "kubernetes_api",
    "renamed_from",
)
"""What a descriptor may say of a Service; the rest of its fields come from the other files."""

_CONFIG_MAP_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_TEMPLATE = ".yaml.j2"
_MANIFEST = (".yaml", ".yml", ".json")


@frozen(kw_only=True)
class LoadedService:
    """A service as far as it could be read.

    Attributes:
        service: ``None`` where the descriptor is no descriptor at all.
        faults: errors and warnings.
        broken: ``(section, name)`` of parameters, endpoints and credentials that could not be
            read, so that nobody who names them is blamed for it.

    """

    service: Service | None
    faults: tuple[Fault, ...] = ()
    broken: frozenset[tuple[str, str]] = frozenset()


def load_service(path: str | Path) -> Service:
    """Read a service directory.

    Args:
        path: the directory that holds ``service.yaml``.

    Returns:
        The service, checked by itself; what it needs and uses is checked in a project.

    Raises:
        ProjectError: every fault of every file.

    Example:
        .. code-block:: python

            kafka = load_service("services/kafka")

    """
    directory = Path(path)
    loaded = service_from_files(read_service_files(directory, shown=str(directory)), str(directory))
    return _whole(loaded)


def load_package_service(source: ServiceSource) -> Service:
    """Read a service that a package ships.

    Raises:
        PluginLoadError: the package cannot be imported.
        ProjectError: every fault of every file.

    """
    place = source.package.replace(".", "/")
    files = read_service_files(package_directory(source), shown=place)
    return _whole(service_from_files(files, place))


def package_directory(source: ServiceSource) -> Traversable:
    """Return the directory of the package that holds a service.

    Raises:
        PluginLoadError: the package cannot be imported.

    """
    try:
        return package_files(source.package)
    except Exception as error:  # importing runs somebody else's code
        msg = f"service {source.name!r}: package {source.package!r} cannot be imported: {error}"
        hint = "install the package, or mend the plugin that registers the service"
        raise PluginLoadError(msg, plugin=source.name, hint=hint) from error


def service_from_files(files: Files, place: str) -> LoadedService:
    """Make a service of the files of its directory; pure.

    Args:
        files: what :func:`read_service_files` returned.
        place: the directory's name in messages.

    """
    faults = list(files.faults)
    if DESCRIPTOR not in files.content:
        return LoadedService(service=None, faults=tuple(faults))
    origin = Origin(layer="base", file=str(PurePosixPath(place, DESCRIPTOR)), line=1)
    document, found = load_yaml(files.content[DESCRIPTOR], file=origin.file, layer="base")
    faults += found
    if document is None:
        if not found:
            faults.append(Fault(message="is empty", origin=origin, legal="a descriptor"))
        return LoadedService(service=None, faults=tuple(faults))
    service, broken = _descriptor(document, origin, faults)
    if service is None:
        return LoadedService(service=None, faults=tuple(faults))
    manifests = list(_manifests(files, place, faults))
    service = attrs.evolve(
        service,
        origin=origin,
        origins=(where for where, _ in manifests),
        lines=document.lines,
        templates=dict(_texts(files, "templates", place, faults)),
        files=dict(_texts(files, "files", place, faults)),
        manifests=(obj for _, obj in manifests),
    )
    faults += without_consequences(faults, faults_of(service))
    return LoadedService(service=service, faults=tuple(faults), broken=broken)


def _whole(loaded: LoadedService) -> Service:
    errors = [fault for fault in loaded.faults if fault.level == "error"]
    if errors or loaded.service is None:
        raise ProjectError(ordered(errors))
    return loaded.service


def _descriptor(
    document: Document, origin: Origin, faults: list[Fault]
) -> tuple[Service | None, frozenset[tuple[str, str]]]:
    data = document.data
    if not isinstance(data, Mapping):
        faults.append(
            Fault(message="is no descriptor", origin=origin, found=text_of(data), legal="a mapping")
        )
        return None, frozenset()
    faults += wrong_format(document, FORMAT, origin)
    service, found = structure(
        Service,
        {key: value for key, value in data.items() if key != "format"},
        keys=DESCRIPTOR_KEYS,
        file=origin.file,
        layer="base",
        lines=document.lines,
    )
    faults += found
    broken = set()
    for fault in found:
        section, _, rest = fault.path.partition(".")
        if section in ("parameters", "endpoints", "credentials"):
            broken.add((section, rest.partition(".")[0]))
    return service, frozenset(broken)


def _texts(files: Files, folder: str, place: str, faults: list[Fault]) -> Iterator[tuple[str, str]]:
    for path, data in files.content.items():
        name = path.removeprefix(f"{folder}/")
        if name == path:
            continue
        origin = Origin(layer="base", file=str(PurePosixPath(place, path)))
        if folder == "templates" and not name.endswith(_TEMPLATE):
            faults.append(Fault(message="is no template", origin=origin, legal=f"NAME{_TEMPLATE}"))
            continue
        if folder == "files" and not _CONFIG_MAP_KEY.fullmatch(name):
            legal = "letters, digits, '-', '_' and '.', since a ConfigMap holds it"
            faults.append(
                Fault(message="has a name that no ConfigMap takes", origin=origin, legal=legal)
            )
            continue
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            where = attrs.evolve(origin, line=line)
            faults.append(Fault(message="is not UTF-8 text", origin=where, legal="UTF-8 text"))
            continue
        if "\0" in text:
            faults.append(Fault(message="is binary", origin=origin, legal="UTF-8 text"))
            continue
        yield name, text


def _manifests(
    files: Files, place: str, faults: list[Fault]
) -> Iterator[tuple[Origin, Mapping[str, Any]]]:
    met: dict[tuple[str, ...], str] = {}
    for path, data in files.content.items():
        if not path.startswith("manifests/"):
            continue
        file = str(PurePosixPath(place, path))
        if not path.endswith(_MANIFEST):
            origin = Origin(layer="base", file=file)
            faults.append(Fault(message="is no manifest", origin=origin, legal="NAME.yaml"))
            continue
        documents, found = load_all(data, file=file, layer="base", lines=False)
        faults += found
        for document in documents:
            for obj in _objects(document.data):
                origin = Origin(layer="base", file=file, line=document.line)
                if not _is_object(obj, origin, faults):
                    continue
                key = _identity(obj)
                if key in met:
                    message = f"{obj['kind']}/{key[-1]} is here twice, first in {met[key]}"
                    faults.append(Fault(message=message, origin=origin, legal="each object once"))
                    continue
                met[key] = str(origin)
                if obj["kind"] == "Secret" and (obj.get("data") or obj.get("stringData")):
                    message = f"Secret/{key[-1]} holds its values in plain sight"
                    legal = "a credential in service.yaml, or a Secret that somebody else makes"
                    faults.append(
                        Fault(message=message, origin=origin, legal=legal, level="warning")
                    )
                yield origin, obj


def _objects(data: Any) -> Iterator[Any]:  # noqa: ANN401 - whatever a document holds
    items = data.get("items") if isinstance(data, Mapping) else None
    if (
        isinstance(items, list)
        and str(data.get("kind", "")).endswith("List")
        and "metadata" not in data
    ):
        for item in items:
            yield from _objects(item)
    else:
        yield data


def _is_object(obj: Any, origin: Origin, faults: list[Fault]) -> bool:  # noqa: ANN401
    if not isinstance(obj, Mapping):
        faults.append(
            Fault(
                message="is no Kubernetes object",
                origin=origin,
                found=text_of(obj),
                legal="a mapping",
            )
        )
        return False
    meta = obj.get("metadata")
    values = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "metadata.name": meta.get("name") if isinstance(meta, Mapping) else None,
    }
    bad = [path for path, value in values.items() if not isinstance(value, str) or not value]
    faults += [
        Fault(
            message=f"a Kubernetes object without {path}",
            origin=origin,
            path=path,
            found="" if values[path] is None else text_of(values[path]),
            legal="text",
        )
        for path in bad
    ]
    return not bad


def _identity(obj: Mapping[str, Any]) -> tuple[str, ...]:
    group = obj["apiVersion"].rpartition("/")[0]
    return (
        group,
        obj["kind"],
        str(obj["metadata"].get("namespace") or ""),
        obj["metadata"]["name"],
    )
