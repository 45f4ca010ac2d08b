"""Environments from ``environments/NAME.yaml`` and ``environments/NAME.local.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from infometis_sdk._adapters.project_files import names_in, read_file
from infometis_sdk._serde import nearest, shown, structure, unknown_key
from infometis_sdk._yaml import Document, load_yaml
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.border import Border
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.project.faults import wrong_format

__all__ = ("ENVIRONMENT_KEYS", "FOLDER", "FORMAT", "load_environment", "load_environments")

FORMAT = "infometis.io/environment/v1"
FOLDER = "environments"
_SUFFIX = ".yaml"
_BORDER_KEYS = tuple(a.name for a in attrs.fields(Border) if a.name not in ("type", "settings"))
_LOCAL = ".local.yaml"
ENVIRONMENT_KEYS = (
    "stack_id",
    "platform",
    "namespace",
    "mode",
    "border",
    "values",
    "patches",
    "policies",
    "credentials",
    "external",
    "protected",
    "preview",
)
"""What an environment's file may say; the name is the file's."""


def load_environments(root: Path) -> tuple[dict[str, Environment], tuple[Fault, ...]]:
    """Read all environments of a project, each with its local file."""
    faults: list[Fault] = []
    environments: dict[str, Environment] = {}
    locals_: list[str] = []
    for file in names_in(root / FOLDER):
        origin = Origin(layer="environment", file=f"{FOLDER}/{file}", line=1)
        if file.endswith(_LOCAL):
            locals_.append(file)
        elif file.endswith(_SUFFIX):
            environments[file.removesuffix(_SUFFIX)] = _environment(root, origin, faults)
        elif file.endswith((".yml", ".json")):
            legal = f"{file.rpartition('.')[0]}{_SUFFIX}"
            faults.append(Fault(message="is not read", origin=origin, legal=legal))
    for file in locals_:
        name = file.removesuffix(_LOCAL)
        origin = Origin(layer="local", file=f"{FOLDER}/{file}", line=1)
        if name in environments:
            environments[name] = _with_local(root, environments[name], origin, faults)
        else:
            message = f"there is no environment {name!r}"
            legal = ", ".join(sorted(environments))
            near = nearest(name, environments)
            faults.append(Fault(message=message, origin=origin, legal=legal, nearest=near))
    return environments, tuple(faults)


def load_environment(path: str | Path) -> Environment:
    """Read one environment's file, wherever it is; its name is that of the file.

    Raises:
        ProjectError: every fault of the file.

    """
    file = Path(path)
    faults: list[Fault] = []
    origin = Origin(layer="environment", file=str(file), line=1)
    environment = _environment(Path(), origin, faults)
    if errors := [fault for fault in faults if fault.level == "error"]:
        raise ProjectError(errors)
    return environment


def _read(root: Path, origin: Origin, faults: list[Fault]) -> Document | None:
    data, fault = read_file(root / origin.file, shown=origin.file, layer=origin.layer)
    if fault is not None:
        faults.append(fault)
    if data is None:
        return None
    document, found = load_yaml(data, file=origin.file, layer=origin.layer)
    faults += found
    if document is None or isinstance(document.data, Mapping):
        return document
    text = shown(document.data)
    faults.append(Fault(message="is no mapping", origin=origin, found=text, legal="a mapping"))
    return None


def _environment(root: Path, origin: Origin, faults: list[Fault]) -> Environment:
    name = Path(origin.file).name.removesuffix(_SUFFIX)
    document = _read(root, origin, faults)
    if document is None:
        if not any(fault.origin.file == origin.file for fault in faults):
            faults.append(Fault(message="is empty", origin=origin, legal=f"format: {FORMAT}"))
        return Environment(name, origin=origin)
    faults += wrong_format(document, FORMAT, origin)
    body = {key: value for key, value in document.data.items() if key != "format"}
    sources = _sources(document, origin)
    body, border = _without_border(body, sources, faults)
    found_platform = _platform_faults(body, sources)
    if found_platform:
        del body["platform"]
        faults += found_platform
    environment, found = structure(
        Environment,
        body,
        keys=ENVIRONMENT_KEYS,
        extra={"name": name},
        file=origin.file,
        layer="environment",
        lines=document.lines,
    )
    faults += found
    if environment is None:
        return Environment(name, origin=origin, sources=sources)
    patches = tuple(
        attrs.evolve(patch, origin=sources.get(f"patches[{index}]", origin))
        for index, patch in enumerate(environment.patches)
    )
    return attrs.evolve(environment, patches=patches, border=border, origin=origin, sources=sources)


def _sources(document: Document, origin: Origin) -> dict[str, Origin]:
    """Name the line of every path; values also by their layer, as ``explain`` asks for them."""
    sources = {}
    for path, line in document.lines.items():
        here = attrs.evolve(origin, line=line)
        sources[path] = here
        if path.startswith("values."):
            sources[f"{origin.layer}.{path.removeprefix('values.')}"] = here
    return sources


def _without_border(
    body: dict[str, Any], sources: Mapping[str, Origin], faults: list[Fault]
) -> tuple[dict[str, Any], Border]:
    """Take the border out: it may hold a section of the adapter's own, under the adapter's name."""
    section = body.get("border")
    rest = {key: value for key, value in body.items() if key != "border"}
    if section is None:
        return rest, Border()
    fault = _type_fault("border", section, sources, "a mapping with type, such as {type: none}")
    if fault is not None:
        faults.append(fault)
        return rest, Border()
    own = section.get(section["type"], {})
    if not isinstance(own, Mapping):
        where = f"border.{section['type']}"
        faults.append(
            Fault(
                message="has the wrong type",
                origin=sources[where],
                path=where,
                found=shown(own),
                legal="a mapping of the adapter's own settings",
            )
        )
        own = {}
    border, found = structure(
        Border,
        {key: value for key, value in section.items() if key != section["type"]},
        keys=(*_BORDER_KEYS, "type"),
        path="border",
        file=sources["border"].file,
        layer=sources["border"].layer,
        lines={path: origin.line for path, origin in sources.items()},
    )
    faults += found
    return rest, attrs.evolve(border or Border(type=section["type"]), settings=own)


def _platform_faults(body: Mapping[str, Any], sources: Mapping[str, Origin]) -> tuple[Fault, ...]:
    if "platform" not in body:
        return ()
    legal = "a mapping with type, such as {type: embedded}"
    fault = _type_fault("platform", body["platform"], sources, legal)
    return () if fault is None else (fault,)


def _type_fault(path: str, section: Any, sources: Mapping[str, Origin], legal: str) -> Fault | None:  # noqa: ANN401
    if not isinstance(section, Mapping):
        return Fault(
            message="has the wrong type",
            origin=sources[path],
            path=path,
            found=shown(section),
            legal=legal,
        )
    if "type" not in section:
        near = nearest("type", [str(key) for key in section])
        found = f"{near!r}" if near else ""
        message = "'type' is missing"
        return Fault(message=message, origin=sources[path], path=path, found=found, legal=legal)
    if not isinstance(section["type"], str):
        where = f"{path}.type"
        found = shown(section["type"])
        message = "has the wrong type"
        return Fault(message=message, origin=sources[where], path=where, found=found, legal="text")
    return None


def _with_local(
    root: Path, environment: Environment, origin: Origin, faults: list[Fault]
) -> Environment:
    document = _read(root, origin, faults)
    if document is None:
        return environment
    sources = {f"local.{path}": o for path, o in _sources(document, origin).items()}
    if environment.protected:
        message = f"the environment {environment.name!r} is protected and takes no local values"
        faults.append(Fault(message=message, origin=origin, legal="no such file"))
        return environment
    for key in document.data:
        if key not in ("values", "format"):
            misfit = unknown_key(key, ("values",))
            faults.append(
                Fault(
                    message=misfit.message,
                    origin=attrs.evolve(origin, line=document.lines.get(key, 1)),
                    path=key,
                    legal="values alone",
                    nearest=misfit.near,
                )
            )
    values, found = structure(
        Mapping[str, Mapping[str, Any]],  # type: ignore[type-abstract]
        document.data.get("values") or {},
        path="values",
        file=origin.file,
        layer="local",
        lines=document.lines,
    )
    faults += found
    return attrs.evolve(environment, local=values or {}, sources={**environment.sources, **sources})
