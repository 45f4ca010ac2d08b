"""The port to a place where Releases and their Bundles are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.model.bundle import Bundle
    from infometis_sdk.model.release import Release, ReleaseList
    from infometis_sdk.model.run import Run

__all__ = ("ReleaseStore",)


class ReleaseStore(ABC):
    """Releases of one stack; everything is checked against its recorded digest on every read."""

    @abstractmethod
    def releases(self, run: Run) -> ReleaseList:
        """Return every Release, oldest first; those that were changed are problems, not items.

        Raises:
            StoreError: the store cannot be read.

        """

    @abstractmethod
    def bundle(self, release: Release, run: Run) -> Bundle:
        """Return the Bundle that a Release deployed.

        Raises:
            StoreError: it is not there.
            TamperedError: it is not what the Release recorded.

        """

    @abstractmethod
    def add(self, release: Release, bundle: Bundle | None, run: Run) -> None:
        """Write a new Release first, then its Bundle, unless that is there already.

        Raises:
            LockedError: there is a Release of that number.
            StoreError: the store is full, or may not be written.

        """

    @abstractmethod
    def save(self, release: Release, run: Run) -> None:
        """Replace what is kept of a Release: its end, or that another one supersedes it.

        Raises:
            StoreError: the store is full, or may not be written.

        """

    @abstractmethod
    def remove(self, numbers: Sequence[int], run: Run) -> None:
        """Remove Releases, and every Bundle that none of the others names.

        Raises:
            StoreError: the store may not be written.

        """
