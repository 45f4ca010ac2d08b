"""What only Traefik knows of a border; the neutral words stand beside it."""

from __future__ import annotations

from attrs import frozen

__all__ = ("Traefik",)


@frozen(kw_only=True)
class Traefik:
    """Settings of the border ``traefik``, in its own section.

    Attributes:
        image: of Traefik itself, pinned; 3.7.11 or newer.
        replicas: number of Traefik pods.

    """

    image: str = "docker.io/library/traefik:v3.7.15"
    replicas: int = 1
