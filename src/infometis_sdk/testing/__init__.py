"""Kits for authors of plugins: base classes whose tests state what a port promises.

Nothing is imported before it is used, so that pytest need not be installed with the SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infometis_sdk.testing.border_contract import BorderContract
    from infometis_sdk.testing.fault_proxy import Fault, FaultProxy, Seen
    from infometis_sdk.testing.platform_contract import PlatformContract

__all__ = ("BorderContract", "Fault", "FaultProxy", "PlatformContract", "Seen")

_HOMES = {
    "BorderContract": "infometis_sdk.testing.border_contract",
    "Fault": "infometis_sdk.testing.fault_proxy",
    "FaultProxy": "infometis_sdk.testing.fault_proxy",
    "PlatformContract": "infometis_sdk.testing.platform_contract",
    "Seen": "infometis_sdk.testing.fault_proxy",
}


if not TYPE_CHECKING:  # to a type checker every name would be there

    def __getattr__(name: str) -> Any:  # noqa: ANN401
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
