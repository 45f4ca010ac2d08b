"""Where a stack stands: its newest Release, and whether it was taken down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.writing.inventory import read_inventory
from infometis_sdk.engine.writing.release_store import ClusterReleases
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.release import Release

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Standing", "read_standing")


@frozen(kw_only=True)
class Standing:
    """What may be healed to.

    Attributes:
        release: the newest one; ``None`` where there is none.
        releases: all of them, oldest first.
        problems: what is wrong with their records.
        inventory: whether the stack's inventory is there.
        down: the stack was taken down since.

    """

    release: Release | None = None
    releases: tuple[Release, ...] = ()
    problems: tuple[str, ...] = ()
    inventory: bool = True
    down: bool = False

    @property
    def number(self) -> int:
        """Number of the newest Release; 0 where there is none."""
        return self.release.number if self.release else 0

    @property
    def idle(self) -> str:
        """Why nothing may be healed now; empty where it may.

        Example:
            >>> Standing(release=Release(number=3, status="pending")).idle
            'release 3 is pending'

        """
        if self.down:
            return "the stack was taken down"
        if self.problems:
            return "; ".join(self.problems)
        if self.release is None:
            return "no release is recorded in the cluster"
        if self.release.status != "deployed":
            return f"release {self.number} is {self.release.status}"
        return "" if self.inventory else "the inventory is gone"

    @property
    def expected(self) -> bool:
        """Whether somebody is just at work, or took the stack down: nothing to worry about."""
        return self.down or bool(self.release and self.release.status == "pending")


def read_standing(cluster: Cluster, stack_id: str, namespace: str, run: Run) -> Standing:
    """Read where a stack stands; one LIST and one GET.

    Raises:
        ClusterError: the API server does not answer, or not to us.
        RefusedError: the inventory is not the stack's.

    """
    known = ClusterReleases(cluster, stack_id, namespace).releases(run)
    name = parent_name(stack_id)
    parent = cluster.get(
        ObjectRef(api_version="v1", kind="ConfigMap", namespace=namespace, name=name), run
    )
    inventory = read_inventory(parent, stack_id) if parent else None
    return Standing(
        release=known.items[-1] if known.items else None,
        releases=known.items,
        problems=known.problems,
        inventory=inventory is not None,
        down=inventory is not None and inventory.down,
    )
