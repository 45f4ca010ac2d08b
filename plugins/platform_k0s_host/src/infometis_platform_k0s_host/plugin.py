"""What pluggy finds: light, so that nothing heavy is imported until the platform is used."""

from collections.abc import Iterable

from infometis_platform_k0s_host.settings import K0sHost
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.platform import Platform, PlatformContext, PlatformSpec


def _make(settings: K0sHost, context: PlatformContext) -> Platform:
    from infometis_platform_k0s_host.platform import K0sHostPlatform

    return K0sHostPlatform(settings, context)


@hookimpl
def infometis_platforms() -> Iterable[PlatformSpec]:
    """Register the platform ``k0s-host``."""
    summary = "k0s on machines reached by SSH, or on this one"
    return (PlatformSpec(name="k0s-host", summary=summary, settings=K0sHost, factory=_make),)
