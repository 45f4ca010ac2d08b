"""A platform in under 50 lines: a cluster lent by a kubeconfig that somebody handed over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from infometis_sdk.errors import PlatformError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports import Access, Platform, PlatformContext, PlatformSpec, PlatformStatus

if TYPE_CHECKING:
    from infometis_sdk.model import Run


@frozen(kw_only=True)
class Borrowed:
    """Settings: the kubeconfig that was handed over."""

    kubeconfig: str


class BorrowedPlatform(Platform):
    """Keeps a private copy for as long as the loan lasts; gives back by forgetting it."""

    def __init__(self, settings: Borrowed, context: PlatformContext) -> None:
        self._given = Path(settings.kubeconfig).expanduser()
        self._copy = context.state_dir / "kubeconfig"

    def ensure(self, run: Run) -> Access:
        """Copy what was handed over."""
        if not self._given.exists():
            msg = f"the kubeconfig {self._given} was not handed over"
            raise PlatformError(msg, hint="ask its owner")
        run.check("borrowing a cluster")
        self._copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._copy.touch(mode=0o600)
        self._copy.write_bytes(self._given.read_bytes())
        return self.connect()

    def status(self) -> PlatformStatus:
        """Say whether anything is on loan."""
        return PlatformStatus(phase="ready" if self._copy.exists() else "absent")

    def connect(self) -> Access:
        """Return the way in."""
        if not self._copy.exists():
            msg = "no cluster is borrowed"
            raise PlatformError(msg, hint="infometis up")
        return Access(kubeconfig=self._copy)

    def destroy(self, run: Run) -> None:
        """Give it back; the cluster itself is not ours."""
        del run
        self._copy.unlink(missing_ok=True)


@hookimpl
def infometis_platforms() -> tuple[PlatformSpec, ...]:
    """Register ``borrowed``."""
    summary = "a cluster that somebody lent"
    return (
        PlatformSpec(name="borrowed", summary=summary, settings=Borrowed, factory=BorrowedPlatform),
    )
