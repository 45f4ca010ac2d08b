"""``python -m infometis_sdk`` is the command ``infometis``."""

from __future__ import annotations

import sys

from infometis_sdk.cli import main

if __name__ == "__main__":
    sys.exit(main())
