"""What the environment's policy lets a guard correct."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from infometis_sdk.engine.objects.paths import matches

if TYPE_CHECKING:
    from infometis_sdk.model.environment import DriftPolicy
    from infometis_sdk.model.report import DriftItem

__all__ = ("correctable", "excepted", "healable")


def correctable(item: DriftItem, policy: DriftPolicy) -> bool:
    """Whether a guard corrects this by itself.

    Args:
        item: what is not as desired.
        policy: ``policies.drift`` of the environment.

    Example:
        >>> from infometis_sdk.model.environment import DriftPolicy
        >>> from infometis_sdk.model.reference import ObjectRef
        >>> from infometis_sdk.model.report import DriftItem
        >>> ref = ObjectRef(api_version="v1", kind="ConfigMap", name="app")
        >>> item = DriftItem(ref=ref, state="drift", path="data.level")
        >>> correctable(item, DriftPolicy()), correctable(item, DriftPolicy(action="heal"))
        (False, True)

    """
    if policy.action == "report":
        return False
    return healable(item, policy)


def healable(item: DriftItem, policy: DriftPolicy) -> bool:
    """Whether a heal that somebody asked for corrects this; exceptions hold for them too."""
    if item.state == "foreign":
        if policy.foreign != "remove":
            return False
    elif item.state != "drift":
        return False
    return not excepted(item, policy)


def excepted(item: DriftItem, policy: DriftPolicy) -> bool:
    """Whether ``policies.drift.exceptions`` names this.

    An entry is a service, an object ``Kind/name``, or one field of it, ``Kind/name:path``;
    ``*`` stands for anything in each.
    """
    for entry in policy.exceptions:
        what, _, path = entry.partition(":")
        if "/" not in what:
            if item.service and fnmatchcase(item.service, what):
                return True
            continue
        if fnmatchcase(str(item.ref), what) and (not path or _path_like(item.path, path)):
            return True
    return False


def _path_like(path: str, pattern: str) -> bool:
    try:
        return matches(pattern, path)
    except ValueError:
        return False  # not a path, so it excepts nothing
