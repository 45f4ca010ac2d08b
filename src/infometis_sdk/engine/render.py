"""Render: a composed stack becomes the exact set of Kubernetes objects that it wants.

A pure function: the same stack gives the same objects, in the same order, byte for byte.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.border.render_border import RenderedBorder, render_border
from infometis_sdk.engine.boundary.externals import external_credentials, external_objects
from infometis_sdk.engine.boundary.neighbours import neighbours_of
from infometis_sdk.engine.boundary.pods import Pods
from infometis_sdk.engine.boundary.policies import boundary_policies
from infometis_sdk.engine.capacity.autoscalers import autoscaler_drafts
from infometis_sdk.engine.capacity.limits import limit_range
from infometis_sdk.engine.capacity.quotas import quotas_of
from infometis_sdk.engine.core.digest import canonical_json, stack_digest
from infometis_sdk.engine.core.influence import changed_parameters, check_influence
from infometis_sdk.engine.inputs.patches import apply_patches
from infometis_sdk.engine.inputs.registry import apply_registry
from infometis_sdk.engine.inputs.values import normal
from infometis_sdk.engine.objects import podspec
from infometis_sdk.engine.objects.loose import mapping
from infometis_sdk.engine.objects.marks import CHECKSUM, EXPIRES
from infometis_sdk.engine.objects.normalise import normalise
from infometis_sdk.engine.objects.order import SINGLETONS, apply_rank, early
from infometis_sdk.engine.objects.scope import Scopes
from infometis_sdk.engine.objects.stamp import Stamp, foreign_marks
from infometis_sdk.engine.templates.context import credential_keys, secret_name
from infometis_sdk.engine.templates.render_service import (
    Draft,
    key_of,
    keyed_objects,
    render_service,
)
from infometis_sdk.errors import RenderError
from infometis_sdk.model.external import EXTERNAL
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
    from collections.abc import Iterable, Mapping, Sequence

    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.service import Credential, Service

__all__ = ("reference_values", "render")


def render(stack: ComposedStack, *, api_server: Sequence[str] = ()) -> ManifestSet:
    """Render all services of a stack, and what the stack as a whole needs.

    Args:
        stack: what :func:`infometis_sdk.engine.compose.compose` returned.
        api_server: ``ADDRESS:PORT`` of the Kubernetes API, for the policies of services that need
            it; what the environment says comes first.

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
    scalers, faults = autoscaler_drafts(stack, drafts)
    border = render_border(stack)
    faults += border.faults
    boundary = _boundary_drafts(stack, drafts, border, api_server)
    drafts += [*_stack_drafts(stack, drafts), *scalers, *boundary, *border.drafts]
    faults += _stamp(stack, drafts, border.credentials)
    if faults:
        raise RenderError(faults)
    return _manifest_set(stack, drafts, border.credentials)


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
    brought = next((draft.object for draft in drafts if key_of(draft) == home), None)
    if brought is not None:
        # A bundle of raw manifests brings the namespace that it was put into.
        brought["metadata"]["labels"] = {**mapping(brought["metadata"].get("labels")), **labels}
    else:
        metadata: dict[str, Any] = {"name": stack.namespace, "labels": labels}
        if stack.environment.preview.expires:
            metadata["annotations"] = {EXPIRES: stack.environment.preview.expires}
        objects.append({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    made = [Draft(object=normalise(obj), service="", origin=origin) for obj in objects]
    return [*made, *_capacity_drafts(stack.environment)]


def _capacity_drafts(environment: Environment) -> list[Draft]:
    """Make what bounds the namespace as a whole: quotas and limits are the border's."""
    policies = environment.policies
    objects = {
        **{f"policies.{path}": obj for path, obj in quotas_of(policies).items()},
        "policies.limits": limit_range(policies.limits),
    }
    return [
        Draft(
            object=normalise(obj),
            service="",
            origin=environment.sources.get(path, environment.origin),
            zone="border",
        )
        for path, obj in objects.items()
        if obj is not None
    ]


def _boundary_drafts(
    stack: ComposedStack, drafts: Iterable[Draft], border: RenderedBorder, api_server: Sequence[str]
) -> list[Draft]:
    """Make the trust boundary: names for systems outside, and policies for all that may pass."""
    environment = stack.environment
    services = {composed.name: composed.service for composed in stack.services}
    pods = Pods(((d.service, d.object) for d in drafts), stack.namespace, services)
    neighbours = neighbours_of(stack, border, api_server)
    return [
        Draft(
            object=normalise(obj),
            service="",
            origin=environment.sources.get(section, environment.origin),
            zone="border",
        )
        for section, objects in (
            (EXTERNAL, external_objects(environment)),
            ("policies.network", boundary_policies(pods, services, environment, neighbours)),
        )
        for obj in objects
    ]


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
        {key_of(draft): draft.origin for draft in drafts},
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


def _stamp(
    stack: ComposedStack, drafts: list[Draft], published: Sequence[BoundCredential]
) -> list[Fault]:
    """Stamp every object in place; what two services both want is a fault."""
    secrets = {secret_name(c.name, name) for c in stack.services for name in c.service.credentials}
    secrets |= {bound.secret for bound in external_credentials(stack.environment)}
    secrets |= {bound.secret for bound in published}
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


def _manifest_set(
    stack: ComposedStack, drafts: Sequence[Draft], published: Sequence[BoundCredential]
) -> ManifestSet:
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
                zone=draft.zone or ("core" if draft.service else "platform"),
                service=draft.service,
                origin=draft.origin,
                singleton=draft.object["kind"] in SINGLETONS,
                reads=draft.reads,
            )
            for draft in sorted(drafts, key=rank)
        ),
        credentials=(
            *(
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
            *external_credentials(stack.environment),
            *published,
        ),
        order=order,
        needs={composed.name: tuple(composed.service.needs) for composed in stack.services},
        digests=digest.services,
        digest=digest.digest,
        verified=digest.verified and _pinned(drafts),
        services={composed.name: composed for composed in stack.services},
    )
