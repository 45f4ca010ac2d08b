"""Registration of the service ``whoami``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model import ServiceSource

if TYPE_CHECKING:
    from collections.abc import Iterable


@hookimpl
def infometis_services() -> Iterable[ServiceSource]:
    """Register ``whoami``; its files are read only where a project names it."""
    return (
        ServiceSource(
            name="whoami",
            summary="a web server that says who it is",
            package="infometis_service_whoami",
        ),
    )
