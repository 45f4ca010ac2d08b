"""The border of a stack: who renders it, and whether what it publishes answers as promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.border.scene import Publisher
from infometis_sdk.errors import ProjectError
from infometis_sdk.ports.platform import HostPorts

if TYPE_CHECKING:
    from infometis_sdk.workspace.stack import Stack

__all__ = ("publisher_of",)


def publisher_of(stack: Stack) -> Publisher | None:
    """Return who renders the border of a stack; ``None`` where it has none.

    Raises:
        UnknownPluginError, PluginLoadError: nobody offers the adapter, or it is broken.
        ProjectError: its settings are wrong.

    """
    border = stack.environment.border
    if border.type == "none":
        return None
    try:
        spec, settings = stack.workspace.plugins.border(border)
    except ProjectError as error:
        sources, own = stack.environment.sources, stack.environment.origin
        faults = [attrs.evolve(f, origin=sources.get(f.path, own)) for f in error.faults]
        raise ProjectError(faults) from None
    platform = stack.platform
    return Publisher(
        name=spec.name,
        adapter=spec.factory(),
        settings=settings,
        capabilities=platform.capabilities,
        host_ports=platform.host_ports() if isinstance(platform, HostPorts) else {},
    )
