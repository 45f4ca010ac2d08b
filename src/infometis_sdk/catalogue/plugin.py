"""Registers the catalogue through the hook that third parties use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model.service import ServiceSource

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVICES = {
    "elasticsearch": "search and analytics engine",
    "grafana": "dashboards",
    "kafka": "event streaming, without ZooKeeper",
    "nifi": "data flows",
}


@hookimpl
def infometis_services() -> Iterable[ServiceSource]:
    """Register the services of the catalogue."""
    return tuple(
        ServiceSource(name=name, summary=summary, package=f"infometis_sdk.catalogue.{name}")
        for name, summary in SERVICES.items()
    )
