"""Check templates and configuration files without rendering them: syntax, names, whole values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.templates.encode import kind_of
from infometis_sdk.engine.templates.template import source_faults
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.model.service import Service

__all__ = ("template_faults",)

_MARKS = ("{{", "{%", "{#")


def template_faults(service: Service) -> tuple[Fault, ...]:
    """Return the faults that the sources show.

    A template that asks for the environment, for a parameter that the descriptor does not have,
    or that glues text to an expression, is at fault whatever the values are.

    Example:
        >>> from infometis_sdk.model import Service
        >>> bad = Service(name="a", templates={"a.yaml.j2": "x: {{ environment }}"})
        >>> template_faults(bad)[0].origin.line
        1

    """
    names: dict[str, Any] = {
        "name": service.name,
        "version": service.version,
        "params": dict.fromkeys(service.parameters),
        "images": dict.fromkeys(service.images),
        "selector": {},
        "dns": None,
        "endpoint": None,
        "secret": None,
        "fail": None,
    }
    faults: list[Fault] = []
    for name, text in service.templates.items():
        where = _origin(service, "templates", name)
        faults += source_faults(text, {**names, "config": None}, origin=where, marked=False)
    for name, text in service.files.items():
        if any(mark in text for mark in _MARKS):
            faults += _file_faults(name, text, names, _origin(service, "files", name))
    return tuple(faults)


def _file_faults(
    name: str, text: str, names: Mapping[str, Any], origin: Origin
) -> tuple[Fault, ...]:
    kind = kind_of(name)
    if kind is None:
        return ()  # render says how such a file is to be written
    return source_faults(text, names, origin=origin, marked=kind != "yaml")


def _origin(service: Service, folder: str, name: str) -> Origin:
    root = service.origin.file.rpartition("/")[0] or service.name
    return Origin(layer="base", file=f"{root}/{folder}/{name}")
