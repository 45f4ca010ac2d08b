"""What pluggy finds: light, so that nothing heavy is imported until the platform is used."""

from collections.abc import Iterable

from infometis_platform_k0s_docker.settings import K0sDocker
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.platform import Platform, PlatformContext, PlatformSpec


def _make(settings: K0sDocker, context: PlatformContext) -> Platform:
    from infometis_platform_k0s_docker.platform import K0sDockerPlatform

    return K0sDockerPlatform(settings, context)


@hookimpl
def infometis_platforms() -> Iterable[PlatformSpec]:
    """Register the platform ``k0s-docker``."""
    summary = "k0s in a container of the local Docker, for development"
    return (PlatformSpec(name="k0s-docker", summary=summary, settings=K0sDocker, factory=_make),)
