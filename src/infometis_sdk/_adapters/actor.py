"""Who acts, as far as this machine can tell."""

from __future__ import annotations

import getpass
import socket

__all__ = ("actor",)


def actor() -> str:
    """Return ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
