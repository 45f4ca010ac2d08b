"""A cluster becomes the version that the settings name: new containers around old volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from infometis_platform_k0s_docker.backup import backup
from infometis_platform_k0s_docker.images import pin
from infometis_platform_k0s_docker.versions import K0sVersion
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from infometis_platform_k0s_docker.making import Maker
    from infometis_platform_k0s_docker.plan import Plan
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.platform import Access

__all__ = ("upgrade",)


def upgrade(maker: Maker, plan: Plan, run: Run) -> Access:
    """Bring the first node to the new version, then the workers one by one.

    The state of the control plane is kept first, in the folder ``backups`` of the cluster.
    What was begun is gone on with by the next ``ensure`` or ``upgrade``:
    the plan names the new version from before the first container is touched.

    Raises:
        PlatformError: it is a downgrade, or skips a minor version.

    """
    settings = maker.settings
    old, new = K0sVersion.parse(plan.version), K0sVersion.parse(settings.version)
    why = old.refuses(new)
    if why:
        msg = f"version: cluster {plan.cluster!r}: {why}"
        raise PlatformError(msg, hint="set `version` to what comes next, or back")
    maker.check_unchanged(attrs.evolve(plan, version=settings.version))
    if old == new:
        return maker.make(plan, run)
    fresh = attrs.evolve(
        plan, version=settings.version, reference=settings.reference, image="", digest=""
    )
    # pulled before anything is touched: without it there is no way on
    fresh = pin(maker.engine, fresh, maker.digest(fresh), run)
    event = Event(name="upgrade cluster", subject=plan.cluster, detail=f"{old} to {new}")
    run.emit(attrs.evolve(event, state="started"))
    if not maker.is_ready(plan):
        # a backup is made by a running k0s, and a broken cluster is not upgraded
        maker.make(plan, run)
    backup(maker, plan, maker.folder / "backups", run)
    access = maker.make(fresh.write(maker.folder), run)
    run.emit(attrs.evolve(event, state="finished"))
    return access
