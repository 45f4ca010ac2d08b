"""kind, Kubernetes in Docker, for WSL and where it is in use already."""

from infometis_platform_kind.settings import Kind

__all__ = ("Kind",)
