"""Whether a target fits: its class of platform against the source's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = (
    "PlatformClass",
    "class_faults",
    "known_class",
)


@frozen(kw_only=True)
class PlatformClass:
    """What kind of cluster it is; empty where that cannot be told.

    Attributes:
        kubernetes: minor version, such as ``1.34``.
        cni: network plugin, such as ``calico``.
        storage: provisioner of the default storage class.
        encryption: whether traffic between nodes is encrypted, as the platform says:
            ``declared`` or ``absent``.
        capabilities: everything that the platform says of itself.

    """

    kubernetes: str = ""
    cni: str = ""
    storage: str = ""
    encryption: str = ""
    capabilities: Mapping[str, str] = field(factory=dict)


_COMPARED = ("kubernetes", "cni", "storage", "encryption")


def class_faults(
    source: PlatformClass, target: PlatformClass, allow: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare two classes of platform.

    Returns:
        Faults, and notes: what could not be told, and what was allowed by name.

    """
    faults, notes = [], []
    for name in _COMPARED:
        a, b = getattr(source, name), getattr(target, name)
        if not a or not b:
            notes.append(f"{name} could not be compared: {a or 'unknown'} and {b or 'unknown'}")
        elif a != b:
            text = f"{name} differs: {a} in the source, {b} in the target"
            if name in allow:
                notes.append(f"{text}; allowed by name")
            else:
                faults.append(f"{text}; where that is meant, allow {name!r} by name")
    missing = sorted(
        name
        for name, state in source.capabilities.items()
        if state != "absent" and target.capabilities.get(name) == "absent" and name not in _COMPARED
    )
    if missing:
        notes.append(f"the target lacks what the source has: {', '.join(missing)}")
    return tuple(faults), tuple(notes)


def known_class(found: PlatformClass) -> dict[str, str]:
    """Return what is known of a class, for a record."""
    return {n: v for n, v in attrs.asdict(found).items() if v and n != "capabilities"}
