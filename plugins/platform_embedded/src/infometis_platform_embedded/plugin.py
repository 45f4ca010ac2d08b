"""What pluggy finds: light, so that nothing heavy is imported until the platform is used."""

from collections.abc import Iterable, Mapping
from typing import Any

from infometis_platform_embedded.settings import Embedded
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.platform import Platform, PlatformContext, PlatformSpec


def _make(settings: Embedded, context: PlatformContext) -> Platform:
    from infometis_platform_embedded.platform import EmbeddedPlatform

    return EmbeddedPlatform(settings, context)


def _defaults(_settings: Embedded) -> Mapping[str, Any]:
    return {"storage_class": "standard"}


@hookimpl
def infometis_platforms() -> Iterable[PlatformSpec]:
    """Register the platform ``embedded``."""
    summary = "genuine Kubernetes on loopback with simulated nodes; no root, no containers"
    spec = PlatformSpec(
        name="embedded", summary=summary, settings=Embedded, factory=_make, defaults=_defaults
    )
    return (spec,)
