"""What a user may set on the platform ``kind``."""

from __future__ import annotations

from attrs import frozen

__all__ = ("Kind",)


@frozen(kw_only=True)
class Kind:
    """Settings of the platform ``kind``."""
