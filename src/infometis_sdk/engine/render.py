"""Render: a composed stack becomes the exact set of Kubernetes objects that it wants.

A pure function: the same stack gives the same objects, in the same order, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from attrs import define, field

from infometis_sdk._yaml import load_all
from infometis_sdk.engine import podspec
from infometis_sdk.engine.context import Bundle, credential_keys, secret_name
from infometis_sdk.engine.digest import canonical_json, stack_digest
from infometis_sdk.engine.influence import changed_parameters, check_influence
from infometis_sdk.engine.loose import mapping
from infometis_sdk.engine.normalise import normalise
from infometis_sdk.engine.order import SINGLETONS, apply_rank, early
from infometis_sdk.engine.patches import apply_patches
from infometis_sdk.engine.registry import apply_registry
from infometis_sdk.engine.scope import Scopes
from infometis_sdk.engine.stamp import CHECKSUM, Stamp, foreign_marks
from infometis_sdk.engine.template import render_template
from infometis_sdk.engine.values import normal
from infometis_sdk.errors import RenderError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.stack import (
    BoundCredential,
    ComposedService,
    ComposedStack,
    Manifest,
    ManifestSet,
)

if TYPE_CHECKING:
    from infometis_sdk.model.service import Credential, Service

__all__ = ("render", "render_service")

_MARK = re.compile(r" #@(\d+)$")


@define(kw_only=True)
class Draft:
    """One object on its way through the render; private to the engine."""

    object: dict[str, Any]
    service: str
    origin: Origin
    raw: bool = False
    reads: tuple[str, ...] = field(default=())


def render(stack: ComposedStack) -> ManifestSet:
    """Render all services of a stack, and what the stack as a whole needs.

    Args:
        stack: what :func:`infometis_sdk.engine.compose.compose` returned.

    Returns:
        The objects in order of application, stamped, with digests and credentials.

    Raises:
        RenderError: every fault of every template, file, manifest and patch.

    Example:
        >>> from infometis_sdk.engine.compose import compose
        >>> from infometis_sdk.model import Environment, Project, Service
        >>> hello = Service(name="hello", manifests=[
        ...     {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello"}}])
        >>> stack = compose(Project(name="demo", services={"hello": hello}), Environment("dev"))
        >>> [str(manifest.ref) for manifest in render(stack).manifests]
        ['Namespace/demo-dev', 'ConfigMap/hello']

    """
    services = {composed.name: composed.service for composed in stack.services}
    drafts: list[Draft] = []
    faults: list[Fault] = []
    for composed in stack.services:
        made, found = _service_drafts(stack, composed, services)
        drafts += made
        faults += found
    faults += apply_patches((draft.object for draft in drafts), stack.environment.patches)
    if faults:
        raise RenderError(faults)
    apply_registry(
        ((d.object, d.raw) for d in drafts), stack.environment.policies.registry, stack.lock
    )
    drafts += _stack_drafts(stack, drafts)
    faults += _stamp(stack, drafts)
    if faults:
        raise RenderError(faults)
    return _manifest_set(stack, drafts)


def _stack_drafts(stack: ComposedStack, drafts: Iterable[Draft]) -> list[Draft]:
    """Make what belongs to the stack as a whole; in shared mode nothing of that is ours."""
    if stack.environment.mode != "independent":
        return []
    policies = stack.environment.policies
    labels = {}
    if policies.pod_security:
        labels = {
            f"pod-security.kubernetes.io/{what}": policies.pod_security
            for what in ("enforce", "audit", "warn")
        }
    origin = Origin(layer="environment", file=stack.environment.origin.file)
    objects: list[dict[str, Any]] = []
    home = ("Namespace", stack.namespace)
    brought = next((draft.object for draft in drafts if _key(draft) == home), None)
    if brought is not None:
        # A bundle of raw manifests brings the namespace that it was put into.
        brought["metadata"]["labels"] = {**mapping(brought["metadata"].get("labels")), **labels}
    else:
        metadata: dict[str, Any] = {"name": stack.namespace, "labels": labels}
        objects.append({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    if policies.resource_quota:
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "infometis"},
                "spec": {"hard": dict(policies.resource_quota)},
            }
        )
    return [Draft(object=normalise(obj), service="", origin=origin) for obj in objects]


def _service_drafts(
    stack: ComposedStack, composed: ComposedService, services: Mapping[str, Service]
) -> tuple[list[Draft], list[Fault]]:
    """Render one service, and hold it against its reference render."""
    drafts, faults, texts = render_service(stack, composed.service, composed.values, services)
    service = composed.service
    defaults = reference_values(composed)
    changed = changed_parameters(service, composed.values, defaults)
    if not changed or faults:
        return drafts, faults
    reference, found, _ = render_service(stack, service, defaults, services, same_as=texts)
    if found:
        return drafts, [
            attrs.evolve(
                fault,
                message="the reference render, at the defaults of all parameters that are not core,"
                f" fails: {fault.message}",
            )
            for fault in found
        ]
    faults += check_influence(
        service,
        changed,
        keyed_objects(drafts),
        keyed_objects(reference),
        {_key(draft): draft.origin for draft in drafts},
    )
    return drafts, faults


def reference_values(composed: ComposedService) -> dict[str, Any]:
    """Return the values of the reference render: all that are not core at their defaults."""
    return {
        name: composed.values[name]
        if parameter.scope == "core"
        else normal(parameter, parameter.default)
        for name, parameter in composed.service.parameters.items()
    }


def keyed_objects(drafts: Iterable[Draft]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what templates made, by kind and name; raw manifests follow no parameter."""
    return {_key(draft): draft.object for draft in drafts if not draft.raw}


def _key(draft: Draft) -> tuple[str, str]:
    return draft.object["kind"], draft.object["metadata"]["name"]


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
    bundle = Bundle(service, values, services, lock=stack.lock, prefix=prefix)
    drafts: list[Draft] = []
    faults: list[Fault] = []
    texts: dict[str, tuple[str, list[Draft]]] = {}
    for name in sorted(service.templates):
        origin = bundle.origin("templates", name)
        try:
            text = render_template(service.templates[name], bundle.context, origin=origin)
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
        bundle.file(name)
    faults += bundle.faults
    for number, manifest in enumerate(service.manifests, 1):
        origin = service.origin if service.origin.file else Origin(layer="base")
        items = manifest.get("items") if str(manifest.get("kind", "")).endswith("List") else None
        for item in items if isinstance(items, Sequence) else (manifest,):
            path = f"manifests[{number}]"
            if fault := _shape_fault(item, origin, path) or _key_fault(item, origin, path):
                faults.append(fault)
            else:
                drafts.append(
                    Draft(object=normalise(item), service=service.name, origin=origin, raw=True)
                )
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


def _key_fault(item: Mapping[str, Any], origin: Origin, path: str) -> Fault | None:
    """Check the keys of an object built in code; what was read from YAML has text keys only."""
    if bad := _odd_key(item, ""):
        return Fault(
            message="a key that is not text", origin=origin, path=f"{path}.{bad}", legal="text"
        )
    return None


def _odd_key(value: Any, path: str) -> str:  # noqa: ANN401 - JSON
    """Return where a map has a key that is not text, which JSON cannot carry."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{path}.{key}".lstrip(".")
            if found := _odd_key(item, f"{path}.{key}"):
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


def _stamp(stack: ComposedStack, drafts: list[Draft]) -> list[Fault]:
    """Stamp every object in place; what two services both want is a fault."""
    secrets = {secret_name(c.name, name) for c in stack.services for name in c.service.credentials}
    renamed = {
        (draft.object["kind"], draft.object["metadata"]["name"]): name
        for draft in drafts
        if not draft.raw and (name := Stamp.unique_name(draft.object, stack.stack_id))
    }
    stamp = Stamp(
        stack_id=stack.stack_id,
        namespace=stack.namespace,
        project=stack.project,
        scopes=Scopes(draft.object for draft in drafts),
        renamed=renamed,
    )
    faults = []
    for draft in drafts:
        if draft.raw and (marks := foreign_marks(draft.object)):
            faults.append(
                Fault(
                    message="the manifest belongs to another tool's, or another stack's, inventory",
                    origin=draft.origin,
                    path=f"{draft.object['kind']}/{draft.object['metadata']['name']} {marks[0]}",
                    legal="a manifest without it",
                )
            )
        stamp.place(draft.object, raw=draft.raw)
        spec = podspec.pod_spec(draft.object)
        if spec is not None:
            names = {read.name for read in podspec.reads(spec) if read.kind == "Secret"}
            draft.reads = tuple(sorted(names & secrets))
    faults += _double(drafts)
    _checksums(drafts)
    for draft in drafts:
        stamp.mark(draft.object, service=draft.service, raw=draft.raw)
    return faults


def _double(drafts: Iterable[Draft]) -> list[Fault]:
    owners: dict[tuple[str, str, str, str], Draft] = {}
    faults = []
    for draft in drafts:
        ref = ObjectRef.of(draft.object)
        first = owners.setdefault(ref.key, draft)
        if first is draft:
            continue
        if first.service == draft.service:
            message = f"service {draft.service!r} makes {ref} twice"
        else:
            left, right = (
                f"service {d.service!r}" if d.service else "the stack" for d in (first, draft)
            )
            message = f"{left} and {right} both make {ref}"
        faults.append(
            Fault(
                message=message,
                origin=draft.origin,
                path=str(ref),
                found=f"also in {first.origin}",
                legal="one owner for each object",
            )
        )
    return faults


def _checksums(drafts: Iterable[Draft]) -> None:
    """Write on pods a checksum over exactly the ConfigMaps that they read."""
    drafts = list(drafts)
    configs: dict[tuple[str, str], bytes] = {}
    for draft in drafts:
        obj = draft.object
        if obj["kind"] == "ConfigMap":
            held = {key: obj[key] for key in ("data", "binaryData") if key in obj}
            configs[obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = canonical_json(
                held
            )
    for draft in drafts:
        obj = draft.object
        # The pods of a Job can never change; and raw manifests are kept as they are.
        if draft.raw or obj["kind"] in ("Job", "Pod"):
            continue
        spec = podspec.pod_spec(obj)
        metadata = podspec.pod_metadata(obj, make=True)
        if spec is None or metadata is None:
            continue
        namespace = obj["metadata"].get("namespace", "")
        names = sorted({read.name for read in podspec.reads(spec) if read.kind == "ConfigMap"})
        read = [(name, configs[namespace, name]) for name in names if (namespace, name) in configs]
        if read:
            total = hashlib.sha256()
            for name, content in read:
                total.update(f"{name}\0{len(content)}\0".encode() + content)
            annotations = dict(metadata.get("annotations") or {})
            annotations[CHECKSUM] = total.hexdigest()
            metadata["annotations"] = annotations


def _pinned(drafts: Iterable[Draft]) -> bool:
    """Tell whether every image of every pod is named by digest, however it was written."""
    return all(
        "@sha256:" in str(container.get("image"))
        for draft in drafts
        for _, container in podspec.containers(podspec.pod_spec(draft.object) or {})
    )


def _sources(stack: ComposedStack, name: str, credential: Credential) -> Mapping[str, SecretRef]:
    """Return the source of each key; one existing Secret as a whole gives all keys of the type."""
    given = stack.environment.credentials.get(name, {})
    if not isinstance(given, SecretRef):
        return given
    if given.scheme != "secret":
        return {}
    return {
        key: SecretRef(scheme="secret", target=f"{given.target}/{key}")
        for key in credential_keys(credential)
    }


def _manifest_set(stack: ComposedStack, drafts: Sequence[Draft]) -> ManifestSet:
    order = tuple(composed.name for composed in stack.services)
    place = {name: number for number, name in enumerate(("", *order))}

    def rank(draft: Draft) -> tuple[int, int, int, str, str, str]:
        ref = ObjectRef.of(draft.object)
        first = 0 if early(ref) else 1
        kind = apply_rank(ref)
        service = place[draft.service]
        if not first:
            return (first, kind, service, ref.kind, ref.namespace, ref.name)
        return (first, service, kind, ref.kind, ref.namespace, ref.name)

    digest = stack_digest(stack)
    return ManifestSet(
        stack_id=stack.stack_id,
        environment=stack.environment,
        namespace=stack.namespace,
        manifests=tuple(
            Manifest(
                object=draft.object,
                zone="core" if draft.service else "platform",
                service=draft.service,
                origin=draft.origin,
                singleton=draft.object["kind"] in SINGLETONS,
                reads=draft.reads,
            )
            for draft in sorted(drafts, key=rank)
        ),
        credentials=tuple(
            BoundCredential(
                service=composed.name,
                name=name,
                secret=secret_name(composed.name, name),
                credential=credential,
                sources=_sources(stack, f"{composed.name}.{name}", credential),
            )
            for composed in stack.services
            for name, credential in composed.service.credentials.items()
        ),
        order=order,
        needs={composed.name: tuple(composed.service.needs) for composed in stack.services},
        digests=digest.services,
        digest=digest.digest,
        verified=digest.verified and _pinned(drafts),
        services={composed.name: composed for composed in stack.services},
    )
