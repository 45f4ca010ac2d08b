"""The provisioner of volumes that k0s comes without: local-path-provisioner, as an add-on.

A volume is a folder on the node where its first pod runs; it cannot grow, and does not move.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_platform_k0s_docker.settings import K0sDocker

__all__ = ("IMAGES", "storage")

# The provisioner, and what its helper pods run.
IMAGES = ("docker.io/rancher/local-path-provisioner:v0.0.36", "docker.io/library/busybox:1.37.0")


def storage(settings: K0sDocker) -> tuple[Mapping[str, Any], ...]:
    """Return the objects of the provisioner; its images come from the mirror, if one is set."""
    text = resources.files(__package__).joinpath("data/storage.yaml").read_text(encoding="utf-8")
    for image in IMAGES:
        if settings.mirror:
            text = text.replace(image, f"{settings.mirror}/{image.partition('/')[2]}")
    return tuple(yaml.safe_load_all(text))
