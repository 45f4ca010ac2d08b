"""k0s in a container of the local Docker, for development."""

from infometis_platform_k0s_docker.settings import K0sDocker

__all__ = ("K0sDocker",)
