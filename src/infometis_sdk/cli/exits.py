"""The way out that waits for nothing."""

from __future__ import annotations

import os
import sys

from infometis_sdk.errors import CancelledError

__all__ = ("at_once",)

_SHOW_CURSOR = "\x1b[?25h"


def at_once() -> None:
    """End the process without waiting for any thread, and leave the terminal usable."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), f"{_SHOW_CURSOR}\n".encode())
    os.write(sys.stderr.fileno(), b"exited at once; run the same command again to go on\n")
    os._exit(CancelledError.exit_code)
