"""Render one service: its templates become objects, its raw manifests are taken in.

Nothing here knows the environment; names and namespaces are stamped afterwards.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import attrs
from attrs import define, field

from infometis_sdk._yaml import load_all
from infometis_sdk.engine.objects.normalise import KeyNotTextError, normalise
from infometis_sdk.engine.objects.stamp import foreign_marks
from infometis_sdk.engine.templates.context import ServiceContext
from infometis_sdk.engine.templates.template import render_template
from infometis_sdk.errors import RenderError
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from infometis_sdk.model.service import Service
    from infometis_sdk.model.stack import ComposedStack

__all__ = ("Draft", "key_of", "keyed_objects", "render_service")

_MARK = re.compile(r" #@(\d+)$")


@define(kw_only=True)
class Draft:
    """One object on its way through the render; private to the engine.

    ``zone`` is empty for what follows from the owner: a service's is core, the stack's platform.
    """

    object: dict[str, Any]
    service: str
    origin: Origin
    raw: bool = False
    zone: str = ""
    reads: tuple[str, ...] = field(default=())


def key_of(draft: Draft) -> tuple[str, str]:
    """Return kind and name, by which templates and patches know an object."""
    return draft.object["kind"], draft.object["metadata"]["name"]


def keyed_objects(drafts: Iterable[Draft]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what templates made, by kind and name; raw manifests follow no parameter."""
    return {key_of(draft): draft.object for draft in drafts if not draft.raw}


def render_service(
    stack: ComposedStack,
    service: Service,
    values: Mapping[str, Any],
    services: Mapping[str, Service],
    *,
    same_as: Mapping[str, tuple[str, list[Draft]]] | None = None,
) -> tuple[list[Draft], list[Fault], dict[str, tuple[str, list[Draft]]]]:
    """Render one service's templates and take in its raw manifests; nothing is stamped yet.

    Args:
        stack: for the lock and the registry prefix; nothing else of it reaches a template.
        service: what is rendered.
        values: of its parameters.
        services: all services of the stack, whose endpoints and credentials may be asked for.
        same_as: result of another render; a template that prints the same text is not read again.

    Returns:
        Objects, faults, and each template's text with its objects.

    """
    prefix = stack.environment.policies.registry.prefix
    scope = ServiceContext(service, values, services, lock=stack.lock, prefix=prefix)
    drafts: list[Draft] = []
    faults: list[Fault] = []
    texts: dict[str, tuple[str, list[Draft]]] = {}
    for name in sorted(service.templates):
        origin = scope.origin("templates", name)
        try:
            text = render_template(service.templates[name], scope.context, origin=origin)
        except RenderError as error:
            faults += error.faults
            continue
        if same_as is not None and name in same_as and same_as[name][0] == text:
            made = same_as[name][1]
        else:
            made, found = _objects(text, service, origin)
            faults += found
        texts[name] = (text, made)
        drafts += made
    for name in sorted(service.files):
        scope.file(name)
    faults += scope.faults
    unknown = service.origin if service.origin.file else Origin(layer="base")
    places = chain(service.origins, repeat(unknown))
    for number, (manifest, origin) in enumerate(zip(service.manifests, places, strict=False), 1):
        items = manifest.get("items") if str(manifest.get("kind", "")).endswith("List") else None
        for item in items if isinstance(items, Sequence) else (manifest,):
            path = f"manifests[{number}]"
            if fault := _shape_fault(item, origin, path):
                faults.append(fault)
                continue
            try:
                obj = normalise(item)
            except KeyNotTextError:
                faults.append(_key_fault(item, origin, path))
                continue
            drafts.append(Draft(object=obj, service=service.name, origin=origin, raw=True))
    return drafts, faults, texts


def _objects(text: str, service: Service, origin: Origin) -> tuple[list[Draft], list[Fault]]:
    """Read the objects that one template printed."""
    documents, broken = load_all(text, file=origin.file, layer="base", lines=False)
    lines = text.split("\n")
    marks = _Marks.of(lines)
    faults = [
        attrs.evolve(
            fault,
            origin=attrs.evolve(origin, line=marks.line(fault.origin.line, fault.origin.line)),
            found=_MARK.sub("", fault.found or _row(lines, fault.origin.line)),
        )
        for fault in broken
    ]
    if faults:
        return [], faults
    drafts: list[Draft] = []
    ends = [*(document.line - 1 for document in documents[1:]), len(lines)]
    for document, end in zip(documents, ends, strict=False):
        here = attrs.evolve(origin, line=marks.line(document.line, end))
        items = [document.data]
        if isinstance(document.data, dict) and document.data.get("kind") == "List":
            items = list(document.data.get("items") or ())
        for item in items:
            if fault := _shape_fault(item, here, ""):
                faults.append(fault)
                continue
            obj = normalise(item)
            faults += _stamp_faults(obj, here)
            drafts.append(Draft(object=obj, service=service.name, origin=here))
    return drafts, faults


def _row(lines: Sequence[str], number: int) -> str:
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


@define
class _Marks:
    """The lines of ``kind:`` in a rendered text, each with its line in the template."""

    rendered: list[int]
    template: list[int]

    @classmethod
    def of(cls, lines: Sequence[str]) -> _Marks:
        found = [
            (number, int(match[1]))
            for number, line in enumerate(lines, 1)
            if line.startswith("kind:") and (match := _MARK.search(line))
        ]
        return cls([pair[0] for pair in found], [pair[1] for pair in found])

    def line(self, start: int, end: int) -> int:
        """Return the template's line of the first mark in a range, or of the last one before it."""
        at = bisect_left(self.rendered, start)
        if at < len(self.rendered) and self.rendered[at] <= end:
            return self.template[at]
        return self.template[at - 1] if at else 0


def _shape_fault(item: Any, origin: Origin, path: str) -> Fault | None:  # noqa: ANN401 - JSON
    if not isinstance(item, Mapping):
        return Fault(
            message="not a Kubernetes object",
            origin=origin,
            path=path,
            found=repr(item)[:60],
            legal="a map with apiVersion, kind and metadata.name",
        )
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    for key, value in (
        ("apiVersion", item.get("apiVersion")),
        ("kind", item.get("kind")),
        ("metadata.name", name),
    ):
        if not isinstance(value, str) or not value:
            what = item.get("kind") or "object"
            return Fault(
                message=f"a {what} without {key}",
                origin=origin,
                path=path,
                found="" if value is None else repr(value),
                legal="text",
            )
    return None


def _key_fault(item: Mapping[str, Any], origin: Origin, path: str) -> Fault:
    """Say where an object built in code has such a key; what was read from YAML has none."""
    where = f"{path}.{_odd_key(item, '')}"
    return Fault(message="a key that is not text", origin=origin, path=where, legal="text")


def _odd_key(value: Any, path: str) -> str:  # noqa: ANN401 - JSON
    """Return where a map has a key that is not text, which JSON cannot carry."""
    if isinstance(value, (str, int, float)):
        return ""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{path}.{key}".lstrip(".")
            if not isinstance(item, str) and (found := _odd_key(item, f"{path}.{key}")):
                return found
    elif isinstance(value, list):
        for item in value:
            if found := _odd_key(item, path):
                return found
    return ""


def _stamp_faults(obj: Mapping[str, Any], origin: Origin) -> list[Fault]:
    """Name what a template writes although it is the engine's to write."""
    where = f"{obj['kind']}/{obj['metadata']['name']}"
    faults = []
    if "namespace" in obj["metadata"]:
        faults.append(
            Fault(
                message="a template sets no namespace; it is stamped afterwards",
                origin=origin,
                path=f"{where} metadata.namespace",
                found=repr(obj["metadata"]["namespace"]),
                legal="no namespace",
            )
        )
    faults += [
        Fault(
            message="this key is the engine's to write",
            origin=origin,
            path=f"{where} {mark}",
            legal="a key of your own",
        )
        for mark in foreign_marks(obj)
    ]
    return faults
