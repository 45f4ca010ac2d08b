"""The platform ``kind``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.errors import PlatformError
from infometis_sdk.ports.platform import Access, Platform, PlatformContext, PlatformStatus

if TYPE_CHECKING:
    from infometis_platform_kind.settings import Kind
    from infometis_sdk.model.run import Run

__all__ = ("KindPlatform",)


class KindPlatform(Platform):
    """Makes, reaches and removes one cluster; see :class:`Platform`."""

    def __init__(self, settings: Kind, context: PlatformContext) -> None:
        self._settings = settings
        self._context = context

    def ensure(self, run: Run) -> Access:
        """Make the cluster, or start what is down; see :meth:`Platform.ensure`."""
        run.check("making the cluster")
        msg = "the platform kind cannot make a cluster yet"
        raise PlatformError(msg)

    def status(self) -> PlatformStatus:
        """Say how the cluster is; see :meth:`Platform.status`."""
        return PlatformStatus(phase="absent", detail="no cluster was made")

    def connect(self) -> Access:
        """Return the access to the cluster; see :meth:`Platform.connect`."""
        msg = f"there is no kind cluster {self._context.cluster!r}"
        raise PlatformError(msg, hint="make it with `infometis up`")

    def destroy(self, run: Run) -> None:
        """Remove the cluster and every trace of it; see :meth:`Platform.destroy`."""
