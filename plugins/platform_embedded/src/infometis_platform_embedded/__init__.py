"""A genuine Kubernetes control plane on loopback, with simulated nodes.

Nothing is imported before it is used:
the supervisor, which runs on the standard library alone, lives in this package too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infometis_platform_embedded.settings import Embedded

__all__ = ("Embedded",)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name == "Embedded":
        from infometis_platform_embedded.settings import Embedded

        return Embedded
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
