"""Registers the platform ``existing``, as a third party would register one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk._adapters.existing import Existing, ExistingPlatform
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.platform import PlatformSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

SUMMARY = "a cluster that is there already, reached through a kubeconfig or from inside a pod"


@hookimpl
def infometis_platforms() -> Iterable[PlatformSpec]:
    """Register the platform ``existing``."""
    return (
        PlatformSpec(name="existing", summary=SUMMARY, settings=Existing, factory=ExistingPlatform),
    )
