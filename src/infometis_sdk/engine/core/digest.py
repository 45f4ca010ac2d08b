"""The core digest: equal digests mean the same function from parameters to Kubernetes objects.

It is a digest of inputs: descriptor, templates, files, core parameter values, images and the
version of the render format. Values of scale, platform and border parameters are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from infometis_sdk.engine.inputs.values import normal, plain
from infometis_sdk.engine.objects import podspec
from infometis_sdk.engine.templates.context import locked
from infometis_sdk.engine.templates.template import normal_text
from infometis_sdk.model.bundle import RENDER_FORMAT as FORMAT
from infometis_sdk.model.canonical import canonical_json, sha256_of
from infometis_sdk.model.fault import Origin

if TYPE_CHECKING:
    from infometis_sdk.model.project import Lock
    from infometis_sdk.model.service import Service
    from infometis_sdk.model.stack import ComposedService, ComposedStack

__all__ = (
    "FORMAT",
    "CoreDigest",
    "canonical_json",
    "core_inputs",
    "raw_images",
    "service_digest",
    "stack_digest",
)


@frozen(kw_only=True)
class CoreDigest:
    """Digest of a stack's core.

    Attributes:
        digest: over the sorted list of the services' digests.
        services: digest of each service.
        verified: every image is pinned by digest; else equal digests may still mean other images.

    """

    digest: str
    services: Mapping[str, str]
    verified: bool


def service_digest(composed: ComposedService, lock: Lock) -> str:
    """Return the core digest of one service, ``sha256:…``."""
    return sha256_of(canonical_json(core_inputs(composed, lock)))


def stack_digest(stack: ComposedStack) -> CoreDigest:
    """Return the core digest of a stack and of each of its services."""
    services = {c.name: service_digest(c, stack.lock) for c in stack.services}
    listed = canonical_json([FORMAT, sorted(services.items())])
    return CoreDigest(
        digest=sha256_of(listed),
        services=services,
        verified=all(_pinned(c.service, stack.lock) for c in stack.services),
    )


def _pinned(service: Service, lock: Lock) -> bool:
    return all(locked(image, lock).digest for image in service.images.values()) and all(
        "@sha256:" in image or image in lock.images for image in raw_images(service)
    )


def raw_images(service: Service) -> Iterator[str]:
    """Yield the images that raw manifests name, as they name them."""
    for manifest in service.manifests:
        for obj in manifest.get("items") or (manifest,):
            for _, container in podspec.containers(podspec.pod_spec(obj) or {}):
                yield str(container.get("image"))


def _bare(service: Service) -> Service:
    """Take out what is no input of rendering, and what has a place of its own among the inputs."""
    return attrs.evolve(
        service,
        files={},
        images={},
        lines={},
        manifests=(),
        origin=Origin(),
        origins=(),
        parameters={},
        templates={},
    )


def core_inputs(composed: ComposedService, lock: Lock) -> dict[str, Any]:
    """Return what the core digest of a service is over; a Bundle holds exactly this."""
    service = composed.service
    return {
        "format": FORMAT,
        "descriptor": _data(_bare(service)),
        # All of a parameter is core but its value, unless it is a core one; the defaults too,
        # since they are the reference that influence is measured from.
        "parameters": {
            name: _data(attrs.evolve(parameter, default=normal(parameter, parameter.default)))
            for name, parameter in service.parameters.items()
        },
        "values": {
            name: _data(composed.values.get(name))
            for name, parameter in service.parameters.items()
            if parameter.scope == "core"
        },
        "images": {
            name: {
                "repository": image.repository,
                "tag": image.tag,
                "digest": locked(image, lock).digest,
            }
            for name, image in service.images.items()
        },
        "raw_images": {
            image: lock.images[image] for image in raw_images(service) if image in lock.images
        },
        "templates": {name: normal_text(text) for name, text in service.templates.items()},
        "files": {name: normal_text(text) for name, text in service.files.items()},
        "manifests": sorted(_text(manifest) for manifest in service.manifests),
    }


def _text(manifest: Mapping[str, Any]) -> str:
    """Return ``canonical_json(_data(manifest))``, which copies only what is not plain yet."""
    try:
        text = canonical_json(manifest).decode()
    except TypeError:  # it holds a value that json does not know
        text = ""
    plain_text = text and text.isascii() and "\\r" not in text
    return text if plain_text else canonical_json(_data(manifest)).decode()


def _data(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Turn values of the model into plain data, with text in NFC."""
    if isinstance(value, str):
        return value if value.isascii() and "\r" not in value else normal_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_data(item) for item in value]
    if isinstance(value, Mapping):
        return {_data(str(key)): _data(item) for key, item in value.items()}
    if attrs.has(type(value)):
        return {
            a.name: _data(getattr(value, a.name))
            for a in attrs.fields(type(value))
            if getattr(value, a.name) != _default(a)
        }
    return plain(value)


def _default(field: attrs.Attribute[Any]) -> Any:  # noqa: ANN401 - any default
    """Return the default of a field.

    Fields at their defaults are left out, so that a field that a later version of the SDK adds
    moves no digest of a service that does not use it.
    """
    factory = getattr(field.default, "factory", None)  # of an attrs.Factory
    return factory() if callable(factory) else field.default
