"""What this machine remembers of a stack: which platform and which cluster it lives on.

It is kept outside the project, since it is true for one user and one machine only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs
from attrs import frozen

from infometis_sdk.errors import InfometisError

__all__ = ("Pin", "Pins", "cache_home", "state_home")


def state_home() -> Path:
    """Return where state is kept: ``INFOMETIS_STATE_DIR``, else below ``XDG_STATE_HOME``."""
    given = os.environ.get("INFOMETIS_STATE_DIR")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "infometis"


def cache_home() -> Path:
    """Return where downloads are kept: ``INFOMETIS_CACHE_DIR``, else below ``XDG_CACHE_HOME``."""
    given = os.environ.get("INFOMETIS_CACHE_DIR")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infometis"


@frozen(kw_only=True)
class Pin:
    """What is remembered of one stack.

    Attributes:
        platform: name of the platform chosen for it.
        cluster: name of the cluster.
        cluster_uid: UID of the cluster of the first apply; empty before it.
        chosen_by: ``auto`` or ``asked`` where the platform is not the one that the environment
            names; empty otherwise.
    """

    platform: str = ""
    cluster: str = ""
    cluster_uid: str = ""
    chosen_by: str = ""


class Pins:
    """The pins of all stacks of a user, one small file each, mode 0600."""

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir / "stacks"

    def read(self, stack_id: str) -> Pin:
        """Return what is remembered; an empty pin where nothing is.

        Raises:
            InfometisError: the file cannot be read.

        """
        path = self._path(stack_id)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return Pin(**{f.name: str(data.get(f.name, "")) for f in attrs.fields(Pin)})
        except FileNotFoundError:
            return Pin()
        except (OSError, ValueError, AttributeError) as error:
            msg = f"what is remembered of stack {stack_id} cannot be read: {path}: {error}"
            raise InfometisError(
                msg, hint="remove the file if you know which cluster the stack lives on"
            ) from error

    def write(self, stack_id: str, pin: Pin) -> None:
        """Remember, atomically."""
        path = self._path(stack_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(attrs.asdict(pin), stream)
        draft.replace(path)

    def forget(self, stack_id: str) -> None:
        """Forget; nothing happens where nothing is remembered."""
        self._path(stack_id).unlink(missing_ok=True)

    def _path(self, stack_id: str) -> Path:
        return self._dir / f"{stack_id}.json"
