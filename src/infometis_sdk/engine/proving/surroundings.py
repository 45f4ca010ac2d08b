"""Where two renders differ by what environments have of their own: names, policies, border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.objects import paths, podspec
from infometis_sdk.engine.objects.inventory_id import stack_applyset_id
from infometis_sdk.engine.objects.marks import PART_OF, STACK
from infometis_sdk.engine.objects.stamp import Stamp
from infometis_sdk.engine.proving.inputs import masked, place, text_of
from infometis_sdk.model.equivalence import RenderedDifference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.environment import Environment, RegistryPolicy
    from infometis_sdk.model.stack import ComposedStack, Manifest, ManifestSet

__all__ = ("own_differences",)


def own_differences(
    a: ComposedStack, b: ComposedStack, renders: tuple[ManifestSet, ManifestSet]
) -> Iterator[RenderedDifference]:
    """Yield what registry policy, identity, border and platform make differ."""
    yield from _registry(a, b, renders)
    yield from _identity(a, b, renders)
    yield from _surroundings(renders)


def _registry(
    a: ComposedStack, b: ComposedStack, renders: tuple[ManifestSet, ManifestSet]
) -> Iterator[RenderedDifference]:
    """Yield the images that only a registry prefix makes differ, and the pull secrets."""
    policies = [side.environment.policies.registry for side in (a, b)]
    if policies[0] == policies[1]:
        return
    set_by = [_source(side.environment, "policies.registry") for side in (a, b)]
    tables = [{_shared(m, made): m for m in made.manifests} for made in renders]
    for key, manifest in tables[0].items():
        other = tables[1].get(key)
        specs = [podspec.pod_spec(m.object) if m else None for m in (manifest, other)]
        if specs[0] is None or specs[1] is None:
            continue
        pulled = [_pulled(spec, policy) for spec, policy in zip(specs, policies, strict=True)]
        for path in (path for path in pulled[0] if path in pulled[1]):
            (core, old), (same, new) = pulled[0][path], pulled[1][path]
            if core == same and old != new:
                yield RenderedDifference(
                    service=manifest.service,
                    object="/".join(key[:2]),
                    path=path,
                    a=old,
                    b=new,
                    cause="registry",
                    set_a=set_by[0],
                    set_b=set_by[1],
                )


def _pulled(spec: Mapping[str, Any] | None, policy: RegistryPolicy) -> dict[str, tuple[str, str]]:
    """Return, by path, what the core says of a pull and what the policy made of it."""
    prefix = f"{policy.prefix.rstrip('/')}/"
    found = {}
    for field, container in podspec.containers(spec or {}):
        image = str(container.get("image", ""))
        path = f"{field}[name={container.get('name')}].image"
        found[path] = (image.removeprefix(prefix) if policy.prefix else image, image)
    secrets = [item.get("name") for item in (spec or {}).get("imagePullSecrets") or ()]
    core = [name for name in secrets if name not in policy.pull_secrets]
    found["imagePullSecrets"] = (text_of(core), text_of(secrets))
    return found


def _identity(
    a: ComposedStack, b: ComposedStack, renders: tuple[ManifestSet, ManifestSet]
) -> Iterator[RenderedDifference]:
    """Yield what every environment has of its own, once for all objects."""
    marks = [
        {
            "metadata.namespace": side.namespace,
            f"metadata.labels[{STACK}]": side.stack_id,
            "metadata.labels[app.kubernetes.io/instance]": side.stack_id,
            "metadata.labels[app.kubernetes.io/part-of]": side.project,
            f"metadata.labels[{PART_OF}]": stack_applyset_id(side.stack_id, side.namespace),
        }
        for side in (a, b)
    ]
    words = {
        "metadata.namespace": "namespace",
        "metadata.labels[app.kubernetes.io/part-of]": "name",
    }
    for path, value in marks[0].items():
        if value != marks[1][path]:
            word = words.get(path, "stack_id")
            yield RenderedDifference(
                service="",
                path=path,
                a=value,
                b=marks[1][path],
                cause="identity",
                set_a=_source(a.environment, word),
                set_b=_source(b.environment, word),
            )
    if a.stack_id == b.stack_id:
        return
    for manifest in renders[0].manifests:
        if not manifest.ref.namespace and manifest.ref.name.endswith(f"-{a.stack_id}"):
            bare = manifest.ref.name.removesuffix(f"-{a.stack_id}")
            yield RenderedDifference(
                service=manifest.service,
                object=f"{manifest.ref.kind}/{bare}",
                path="metadata.name",
                a=manifest.ref.name,
                b=f"{bare}-{b.stack_id}",
                cause="identity",
                set_a=_source(a.environment, "stack_id"),
                set_b=_source(b.environment, "stack_id"),
            )


def _source(environment: Environment, word: str) -> str:
    for name in (word, f"environment.{word}"):
        if name in environment.sources:
            return place(environment.sources[name])
    return place(environment.origin)


_POLICIES = {
    "EndpointSlice": "external",
    "LimitRange": "policies.limits",
    "Namespace": "policies.pod_security",
    "NetworkPolicy": "policies.network",
    "Service": "external",
}
"""What of an environment makes the objects that belong to the stack as a whole."""


def _word(manifest: Manifest) -> str:
    """Return what of an environment makes an object, as its file names it."""
    kind, name = manifest.ref.kind, manifest.ref.name
    if kind == "HorizontalPodAutoscaler":
        return f"policies.scaling.{manifest.service}"
    if kind == "ResourceQuota" and name != "infometis":
        return f"policies.scoped_quotas.{name.removeprefix('infometis-')}"
    if kind == "ResourceQuota":
        return "policies.resource_quota"
    return _POLICIES.get(kind, manifest.zone)


def _surroundings(renders: tuple[ManifestSet, ManifestSet]) -> Iterator[RenderedDifference]:
    """Yield what border and platform make differ, in objects that no service makes."""
    tables = [{_shared(m, made): m for m in made.manifests if m.zone != "core"} for made in renders]
    for key in {**tables[0], **tables[1]}:
        left, right = tables[0].get(key), tables[1].get(key)
        some = left or right
        assert some is not None  # noqa: S101 - a key of one of both
        word = _word(some)
        origins = [_source(made.environment, word) for made in renders]
        base = RenderedDifference(
            service=some.service,
            object="/".join(key[:2]),
            cause=some.zone,
            set_a=origins[0],
            set_b=origins[1],
        )
        if left is None or right is None:
            yield attrs.evolve(base, a="present" if left else "", b="present" if right else "")
            continue
        bare = [_unstamped(m, made) for m, made in zip((left, right), renders, strict=True)]
        for path, (old, new) in paths.differences(*bare).items():
            yield attrs.evolve(
                base, path=path, a=masked(key[:2], path, old), b=masked(key[:2], path, new)
            )


def _shared(manifest: Manifest, made: ManifestSet) -> tuple[str, str, str]:
    """Return what an object is called on both sides."""
    ref = manifest.ref
    space = "" if ref.namespace == made.namespace else ref.namespace
    if ref.kind == "Namespace" and ref.name == made.namespace:
        return ref.kind, "(home)", space
    if Stamp.unique_name({"kind": ref.kind, "metadata": {"name": ""}}, made.stack_id):
        return ref.kind, ref.name.removesuffix(f"-{made.stack_id}"), space
    return ref.kind, ref.name, space


def _unstamped(manifest: Manifest, made: ManifestSet) -> dict[str, Any]:
    """Return an object without what the stamp wrote on it."""
    meta = manifest.object["metadata"]
    labels = {
        k: v
        for k, v in (meta.get("labels") or {}).items()
        if v not in (made.stack_id, stack_applyset_id(made.stack_id, made.namespace))
    }
    notes = {
        k: v
        for k, v in (meta.get("annotations") or {}).items()
        if not k.startswith("infometis.io/")
    }
    kept = {"labels": labels, "annotations": notes}
    return {**{k: v for k, v in manifest.object.items() if k != "metadata"}, "metadata": kept}
