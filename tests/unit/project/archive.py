"""Small projects for tests, written as one text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, text: str) -> Path:
    """Write the files of a text in which ``=== NAME`` begins each file."""
    for part in textwrap.dedent(text).split("=== ")[1:]:
        name, _, body = part.partition("\n")
        target = root / name.strip()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body, encoding="utf-8")
    return root
