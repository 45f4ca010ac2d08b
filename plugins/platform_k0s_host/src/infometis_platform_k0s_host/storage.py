"""The provisioner of volumes that k0s comes without: local-path-provisioner, as an add-on.

A volume is a folder below k0s' data directory on the node where its first pod runs.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_platform_k0s_host.settings import K0sHost

__all__ = ("storage",)


def storage(settings: K0sHost) -> tuple[Mapping[str, Any], ...]:
    """Return the objects of the provisioner; none where the settings want none."""
    if not settings.storage_class:
        return ()
    import yaml

    text = resources.files(__package__).joinpath("data/storage.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load_all(text.replace("@data_dir@", settings.data_dir)))
