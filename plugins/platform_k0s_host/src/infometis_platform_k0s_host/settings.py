"""What a user may set on the platform ``k0s-host``."""

from __future__ import annotations

from attrs import frozen

__all__ = ("K0sHost",)


@frozen(kw_only=True)
class K0sHost:
    """Settings of the platform ``k0s-host``."""
