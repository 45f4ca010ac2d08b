"""Compose a data-processing stack once and run it identically everywhere.

Names are loaded when they are first used (PEP 562), so that importing the package is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk import _lazy

if TYPE_CHECKING:
    from infometis_sdk._adapters.existing import Existing
    from infometis_sdk._adapters.kubernetes_api import open_cluster
    from infometis_sdk.engine.equivalence import prove_equivalent
    from infometis_sdk.model import (
        Bundle,
        CancelToken,
        Environment,
        Event,
        Measure,
        Plan,
        Probe,
        Project,
        Release,
        Run,
        SecretRef,
        Service,
    )
    from infometis_sdk.workspace import Stack, Workspace

    __version__: str

__all__ = (
    "Bundle",
    "CancelToken",
    "Environment",
    "Event",
    "Existing",
    "Measure",
    "Plan",
    "Probe",
    "Project",
    "Release",
    "Run",
    "SecretRef",
    "Service",
    "Stack",
    "Workspace",
    "open_cluster",
    "prove_equivalent",
)

_HOMES = {
    "Existing": "_adapters.existing",
    "Stack": "workspace",
    "Workspace": "workspace",
    "open_cluster": "_adapters.kubernetes_api",
    "prove_equivalent": "engine.equivalence",
}


if not TYPE_CHECKING:
    _find = _lazy.lazy(__name__, {name: _HOMES.get(name, "model") for name in __all__})

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415 - only when asked for

            return version("infometis-sdk")
        return _find(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
