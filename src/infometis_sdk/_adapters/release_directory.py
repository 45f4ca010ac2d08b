"""Releases and Bundles in a directory: evidence outside of the cluster, and a second source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_sdk.errors import LockedError, StoreError, TamperedError
from infometis_sdk.machine.files import private_folder, write_private
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.release import Release, ReleaseList
from infometis_sdk.ports.release_store import ReleaseStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.model.run import Run

__all__ = ("ReleaseDirectory",)


class ReleaseDirectory(ReleaseStore):
    """The Releases of one stack in ``FOLDER/STACK/``.

    ``releases/NUMBER`` is a line with the digest, then the Release as canonical JSON;
    ``bundles/DIGEST`` is the Bundle's file.
    Every file is written in one step, for the owner alone.

    Args:
        folder: of all stacks; made when something is first written.
        stack_id: which stack.

    """

    def __init__(self, folder: str | Path, stack_id: str) -> None:
        self._folder = Path(folder) / stack_id
        self._stack = stack_id

    def releases(self, run: Run) -> ReleaseList:
        """Return every Release; see the port."""
        found, problems = [], []
        for path in self._numbered():
            run.check("reading releases")
            try:
                found.append(self._read(path))
            except TamperedError as error:
                problems.append(f"{error.message}; restore {path}, or delete it")
        return ReleaseList(
            stack_id=self._stack,
            items=sorted(found, key=lambda release: release.number),
            problems=problems,
        )

    def _numbered(self) -> list[Path]:
        try:
            return sorted(p for p in (self._folder / "releases").iterdir() if p.name.isdecimal())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unreadable(error) from error

    def _read(self, path: Path) -> Release:
        name = f"release {path.name} of stack {self._stack} in {self._folder}"
        try:
            line, _, data = path.read_bytes().partition(b"\n")
        except OSError as error:
            raise self._unreadable(error) from error
        release = Release.from_bytes(data, line.decode("ascii", "replace"), name=name)
        if str(release.number) != path.name or release.stack_id != self._stack:
            found = f"release {release.number} of {release.stack_id}"
            raise TamperedError(name, expected=f"release {path.name}", found=found)
        return release

    def bundle(self, release: Release, run: Run) -> Bundle:
        """Return the Bundle of a Release; see the port."""
        del run
        if not release.bundle_digest:
            msg = f"release {release.number} of stack {self._stack} keeps no bundle"
            raise StoreError(msg, hint="use the file that `infometis bundle build` wrote")
        path = self._bundle(release.bundle_digest)
        name = f"the bundle of release {release.number} of stack {self._stack}"
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            msg = f"{name} is not in {self._folder}"
            raise StoreError(
                msg, hint="use the file that `infometis bundle build` wrote"
            ) from error
        except OSError as error:
            raise self._unreadable(error) from error
        bundle = Bundle.from_bytes(data, name=name)
        if (bundle.digest, bundle.id) != (release.bundle_digest, release.bundle):
            raise TamperedError(name, expected=release.bundle_digest, found=bundle.digest)
        return bundle

    def add(self, release: Release, bundle: Bundle | None, run: Run) -> None:
        """Write a new Release and its Bundle; see the port."""
        del run
        if bundle is not None:
            self._write(self._bundle(bundle.digest), bundle.to_bytes())
        self._write(self._path(release.number), _file(release), fresh=True)

    def save(self, release: Release, run: Run) -> None:
        """Replace what is kept of a Release; see the port."""
        del run
        self._write(self._path(release.number), _file(release))

    def remove(self, numbers: Sequence[int], run: Run) -> None:
        """Remove Releases, and what no other one needs; see the port."""
        try:
            for number in numbers:
                self._path(number).unlink(missing_ok=True)
            stays = self.releases(run)
            if stays.problems:
                return  # what cannot be read may name anything
            needed = {self._bundle(release.bundle_digest).name for release in stays.items}
            for path in (self._folder / "bundles").glob("sha256-*"):
                if path.name not in needed:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _path(self, number: int) -> Path:
        return self._folder / "releases" / str(number)

    def _bundle(self, digest: str) -> Path:
        return self._folder / "bundles" / digest.replace(":", "-")

    def _write(self, path: Path, data: bytes, *, fresh: bool = False) -> None:
        """Write in one step; where it must be fresh, a file that is there already refuses."""
        draft = path.with_name(f".{path.name}.new")
        try:
            private_folder(path.parent)
            if not fresh:
                write_private(path, data)
                return
            write_private(draft, data)
            try:
                os.link(draft, path)
            finally:
                draft.unlink()
        except FileExistsError as error:
            msg = f"release {path.name} of stack {self._stack} is in {self._folder} already"
            raise LockedError(msg, holder="unknown", hint="run the same command again") from error
        except OSError as error:
            raise self._unwritable(error) from error

    def _unreadable(self, error: OSError) -> StoreError:
        why = (error.strerror or str(error)).lower()
        return StoreError(
            f"the releases in {self._folder} cannot be read: {why}",
            hint="give us the right to read the directory",
        )

    def _unwritable(self, error: OSError) -> StoreError:
        why = (error.strerror or str(error)).lower()
        return StoreError(
            f"the releases in {self._folder} cannot be written: {why}",
            hint="make room, or give us the right to write the directory",
        )


def _file(release: Release) -> bytes:
    return release.digest.encode() + b"\n" + release.to_bytes()
