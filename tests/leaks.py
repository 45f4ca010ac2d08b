"""No generated secret may show up in what any test of the whole suite prints, logs or leaves.

Every password and key that the engine makes in this process is remembered, and searched for in the
captured output and log of each test, and in the text files that it leaves: audit, promotions, pins.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.writing import credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ("found_in", "listen", "texts_below")

_FILES = ("*.jsonl", "*.json")
_LARGEST = 4 * 1024 * 1024
_SHORTEST = 12
"""What is shorter is no password but the example of a property, and found anywhere."""
_made: set[str] = set()


def listen() -> None:
    """Remember from now on what is generated."""
    random, key_manifest = credentials._random, credentials.key_manifest

    def remembered(length: int) -> str:
        value = random(length)
        if length >= _SHORTEST:
            _made.update((value, base64.b64encode(value.encode()).decode()))
        return value

    def remembered_key(stack_id: str, namespace: str) -> dict[str, Any]:
        made = key_manifest(stack_id, namespace)
        _made.update(made["data"].values())
        return made

    credentials._random = remembered
    credentials.key_manifest = remembered_key


def texts_below(funcargs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and text of the files that a test left in its own directory."""
    root: Path | None = funcargs.get("tmp_path")
    if root is None or not root.is_dir():
        return
    for pattern in _FILES:
        for path in root.rglob(pattern):
            if path.is_file() and path.stat().st_size <= _LARGEST:
                yield str(path), path.read_text(encoding="utf-8", errors="replace")


def found_in(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Return where a generated secret is; never the secret itself."""
    made = tuple(_made)
    return [where for where, text in texts if text and any(value in text for value in made)]
