"""Kits for authors of plugins: base classes whose tests state what a port promises.

Nothing is imported before it is used, so that pytest need not be installed with the SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk import _lazy

if TYPE_CHECKING:
    from infometis_sdk.testing.border_contract import BorderContract
    from infometis_sdk.testing.fault_proxy import Fault, FaultProxy, Seen
    from infometis_sdk.testing.platform_contract import PlatformContract

__all__ = ("BorderContract", "Fault", "FaultProxy", "PlatformContract", "Seen")

_HOMES = {
    "BorderContract": "border_contract",
    "Fault": "fault_proxy",
    "FaultProxy": "fault_proxy",
    "PlatformContract": "platform_contract",
    "Seen": "fault_proxy",
}


if not TYPE_CHECKING:
    __getattr__ = _lazy.lazy(__name__, _HOMES)
