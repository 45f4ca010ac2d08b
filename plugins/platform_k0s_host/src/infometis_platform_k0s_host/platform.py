"""The platform ``k0s-host``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.errors import PlatformError
from infometis_sdk.ports.platform import Access, Platform, PlatformContext, PlatformStatus

if TYPE_CHECKING:
    from infometis_platform_k0s_host.settings import K0sHost
    from infometis_sdk.model.run import Run

__all__ = ("K0sHostPlatform",)


class K0sHostPlatform(Platform):
    """Makes, reaches and removes one cluster; see :class:`Platform`."""

    def __init__(self, settings: K0sHost, context: PlatformContext) -> None:
        self._settings = settings
        self._context = context

    def ensure(self, run: Run) -> Access:
        """Make the cluster, or start what is down; see :meth:`Platform.ensure`."""
        run.check("making the cluster")
        msg = "the platform k0s-host cannot make a cluster yet"
        raise PlatformError(msg)

    def status(self) -> PlatformStatus:
        """Say how the cluster is; see :meth:`Platform.status`."""
        return PlatformStatus(phase="absent", detail="no cluster was made")

    def connect(self) -> Access:
        """Return the access to the cluster; see :meth:`Platform.connect`."""
        msg = f"there is no k0s-host cluster {self._context.cluster!r}"
        raise PlatformError(msg, hint="make it with `infometis up`")

    def destroy(self, run: Run) -> None:
        """Remove the cluster and every trace of it; see :meth:`Platform.destroy`."""
