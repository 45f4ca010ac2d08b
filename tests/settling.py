"""Waiting for what a platform says of its cluster: a loaded machine is slow, not wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from infometis_sdk.ports.platform import Platform, PlatformStatus

__all__ = ("settled",)

_PATIENCE = 240.0


def settled(platform: Platform, *phases: str) -> PlatformStatus:
    """Return the status as soon as it is in one of these phases.

    ``status`` promises an answer in under a second, and what did not answer in time counts as down.
    """
    run = Run.within(_PATIENCE)
    while (status := platform.status()).phase not in phases:
        run.sleep(0.2, f"waiting for the phase {' or '.join(phases)}; it is {status}")
    return status
