"""What a user may set on the platform ``k0s-docker``."""

from __future__ import annotations

from attrs import frozen

__all__ = ("K0sDocker",)


@frozen(kw_only=True)
class K0sDocker:
    """Settings of the platform ``k0s-docker``."""
