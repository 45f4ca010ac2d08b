"""What pluggy finds: light, so that nothing heavy is imported until the platform is used."""

from collections.abc import Iterable, Mapping
from typing import Any

from infometis_platform_kind.settings import Kind
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.platform import Platform, PlatformContext, PlatformSpec


def _make(settings: Kind, context: PlatformContext) -> Platform:
    from infometis_platform_kind.platform import KindPlatform

    return KindPlatform(settings, context)


def _defaults(_settings: Kind) -> Mapping[str, Any]:
    return {"storage_class": "standard"}


@hookimpl
def infometis_platforms() -> Iterable[PlatformSpec]:
    """Register the platform ``kind``."""
    summary = "kind, Kubernetes in Docker, for WSL and where it is in use already"
    spec = PlatformSpec(
        name="kind", summary=summary, settings=Kind, factory=_make, defaults=_defaults
    )
    return (spec,)
