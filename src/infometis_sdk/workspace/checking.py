"""Validation of rendered objects: ours, the user's own functions, and the API server's dry-run."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from infometis_sdk._serde import nearest
from infometis_sdk.engine.objects.marks import manager_of
from infometis_sdk.engine.planning.coming import lacking, rests_on
from infometis_sdk.engine.planning.examine import replaceable
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.validate import validate as validate_offline
from infometis_sdk.errors import ClusterError, InvalidError, ProjectError, UnknownKindError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Cluster, Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import Manifest, ManifestSet

__all__ = ("known_services", "server_faults", "validate")


def known_services(manifests: ManifestSet, services: Sequence[str]) -> None:
    """Refuse names of services that the project does not have.

    Raises:
        ProjectError: every unknown name, with the nearest known one.

    """
    faults = [
        Fault(
            message=f"there is no service {name!r}",
            legal=", ".join(manifests.order),
            nearest=nearest(name, manifests.order),
        )
        for name in services
        if name not in manifests.services
    ]
    if faults:
        raise ProjectError(faults)


def validate(manifests: ManifestSet, root: Path | None) -> tuple[Fault, ...]:
    """Run the checks that no schema makes, and the environment's own functions."""
    found = list(validate_offline(manifests))
    for name in manifests.environment.policies.validate:
        found += _custom(name, manifests, root)
    return tuple(found)


def _custom(name: str, manifests: ManifestSet, root: Path | None) -> list[Fault]:
    origin = manifests.environment.origin
    module_name, _, function_name = name.partition(":")
    path = str(root) if root else ""
    if path and path not in sys.path:
        sys.path.insert(0, path)
    try:
        function = getattr(importlib.import_module(module_name), function_name)
        results: Iterable[object] = function(manifests) or ()
        out = []
        for result in results:
            if isinstance(result, Fault):
                out.append(result)
            else:
                out.append(Fault(message=str(result), origin=origin, path=name))
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything
        text = f"the validation function {name} failed: {type(error).__name__}: {error}"
        return [Fault(message=text, origin=origin, path="policies.validate")]
    finally:
        if path and sys.path and sys.path[0] == path:
            sys.path.pop(0)
    return out


def server_faults(cluster: Cluster, manifests: ManifestSet, run: Run) -> tuple[Fault, ...]:
    """Ask the API server, by a strict dry-run, what it thinks of every object.

    Objects whose namespace or kind does not exist yet, or which name another one that does not,
    cannot be asked about; a warning says so.
    """
    names = {m.ref.name for m in manifests.manifests}
    spaces: dict[str, bool] = {}
    for name in {m.ref.namespace for m in manifests.manifests if m.ref.namespace}:
        ref = ObjectRef(api_version="v1", kind="Namespace", name=name)
        try:
            spaces[name] = cluster.get(ref, run) is not None
        except ClusterError:
            spaces[name] = True  # a guest may not look at namespaces; the dry-run will tell

    def ask(manifest: Manifest) -> Fault | None:
        ref = manifest.ref
        if ref.namespace and not spaces[ref.namespace]:
            return _unasked(manifest, f"namespace {ref.namespace} does not exist yet")
        try:
            cluster.write(
                Write(
                    verb="apply",
                    ref=ref,
                    body=manifest.object,
                    manager=manager_of(manifests.stack_id),
                    force=True,
                    dry_run=True,
                ),
                run,
            )
        except UnknownKindError:
            return _unasked(manifest, "its kind is not served yet")
        except ClusterError as error:
            if error.status == 0:
                raise
            if lacking(error) and rests_on(manifest.object, names):
                return _unasked(manifest, "what it names does not exist yet")
            if isinstance(error, InvalidError) and replaceable(ref, error):
                return None  # a plan makes it anew, and says so
            return Fault(
                message=f"the API server refuses {ref}: {' '.join(error.message.split())}",
                origin=manifest.origin,
            )
        return None

    found = parallel(ask, manifests.manifests, run, "asking the API server")
    faults = [fault for fault in found if fault is not None]
    unasked = [fault for fault in faults if fault.level == "warning"]
    refused = [fault for fault in faults if fault.level == "error"]
    if unasked:
        many = "s" if len(unasked) > 1 else ""
        text = f"{len(unasked)} object{many} of stack {manifests.stack_id} could not be asked about"
        refused.append(Fault(message=f"{text}: {unasked[0].message}", level="warning"))
    return tuple(refused)


def _unasked(manifest: Manifest, why: str) -> Fault:
    return Fault(message=why, origin=Origin(file=manifest.origin.file), level="warning")
