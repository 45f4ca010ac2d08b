"""The custom resource definitions, pinned with the version of Traefik that this plugin installs."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ("CRDS_VERSION", "crds", "kinds")

CRDS_VERSION = "v3.7.13"
"""Release of Traefik whose definitions these are; they are those of every 3.7 from 3.7.11 on."""


@cache
def crds() -> tuple[dict[str, Any], ...]:
    """Return the definitions.

    Example:
        >>> len(crds())
        10

    """
    text = files("infometis_border_traefik.install").joinpath("data/crds.json").read_text("utf-8")
    return tuple(json.loads(text))


def kinds() -> tuple[str, ...]:
    """Return the plural names of all of them: Traefik wants to see every one, used or not."""
    return tuple(sorted(each["spec"]["names"]["plural"] for each in crds()))
