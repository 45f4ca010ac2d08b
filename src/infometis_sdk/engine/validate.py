"""Validate: the offline checks that no schema makes, on the objects as they will be applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from infometis_sdk.engine.validation.capacity import check_capacity
from infometis_sdk.engine.validation.findings import Findings
from infometis_sdk.engine.validation.images import check_images
from infometis_sdk.engine.validation.links import check_links
from infometis_sdk.engine.validation.objects import check_object
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.stack import ManifestSet

__all__ = ("Check", "validate")

Check = Callable[[ManifestSet], Iterable[Fault]]
"""A validation function of a user: looks at the objects and yields faults."""


def validate(manifests: ManifestSet, checks: Iterable[Check] = ()) -> tuple[Fault, ...]:
    """Look for what the API server would refuse, and for what it would take but cannot work.

    Args:
        manifests: what render returned.
        checks: validation functions of the environment's policies, already imported.

    Returns:
        Errors (``level`` is ``error``) and warnings, in the order of the objects.

    Example:
        >>> from infometis_sdk.engine.compose import compose
        >>> from infometis_sdk.engine.render import render
        >>> from infometis_sdk.model import Environment, Project, Service
        >>> bad = Service(name="bad", manifests=[
        ...     {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Bad_Name"}}])
        >>> stack = compose(Project(name="demo", services={"bad": bad}), Environment("dev"))
        >>> [fault.path for fault in validate(render(stack))]
        ['ConfigMap/Bad_Name metadata.name']

    """
    out = Findings(_raw(manifests))
    for manifest in manifests.manifests:
        check_object(manifest, out)
    check_links(manifests, out)
    check_images(manifests, out)
    check_capacity(manifests, out)
    for check in checks:
        out.faults += _call(check, manifests)
    return tuple(out.faults)


def _raw(manifests: ManifestSet) -> frozenset[tuple[str, str, str]]:
    """Return service, kind and name of every object that was taken in as it was."""
    return frozenset(
        (name, str(obj.get("kind")), str((obj.get("metadata") or {}).get("name")))
        for name, composed in manifests.services.items()
        for manifest in composed.service.manifests
        for obj in (manifest.get("items") or (manifest,))
    )


def _call(check: Check, manifests: ManifestSet) -> list[Fault]:
    """Call a user's function; what goes wrong in it is a fault that names it."""
    name = f"{getattr(check, '__module__', '')}:{getattr(check, '__qualname__', check)}"
    origin = Origin(layer="environment", file=manifests.environment.origin.file)
    try:
        found: list[Any] = list(check(manifests))
    except Exception as error:  # noqa: BLE001 - it is not our code
        message = f"the validation function {name} failed: {type(error).__name__}: {error}"
        return [Fault(message=message, origin=origin, path="policies.validate")]
    wrong = [item for item in found if not isinstance(item, Fault)]
    if wrong:
        message = f"the validation function {name} yields what is no Fault"
        return [
            Fault(
                message=message, origin=origin, path="policies.validate", found=repr(wrong[0])[:80]
            ),
            *(item for item in found if isinstance(item, Fault)),
        ]
    return found
