"""What pluggy finds: light, so that nothing heavy is imported until the platform is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infometis_platform_embedded.settings import Embedded
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.platform import Platform, PlatformContext, PlatformSpec

SUMMARY = "genuine Kubernetes on loopback with simulated nodes; no root, no containers"


def _make(settings: Embedded, context: PlatformContext) -> Platform:
    from infometis_platform_embedded.platform import EmbeddedPlatform

    return EmbeddedPlatform(settings, context)


def _defaults(settings: Embedded) -> Mapping[str, Any]:
    del settings
    return {"storage_class": "standard"}


@hookimpl
def infometis_platforms() -> Iterable[PlatformSpec]:
    """Register the platform ``embedded``."""
    return (PlatformSpec(name="embedded", summary=SUMMARY, settings=Embedded, factory=_make, defaults=_defaults),)  # fmt: skip
