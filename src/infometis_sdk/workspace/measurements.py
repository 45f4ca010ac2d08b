"""What probes measured before: one file of JSON lines a stack, on this machine."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ("FORMAT", "KEPT", "Measurements")

FORMAT = "infometis.io/measurement/v1"

KEPT = 100
"""Runs of a measure that are kept; older ones say little of what runs now."""


class Measurements:
    """The history of one stack's measures; a line that cannot be read is passed over.

    Args:
        state_dir: the workspace's.
        stack_id: whose history it is.

    """

    def __init__(self, state_dir: Path, stack_id: str) -> None:
        self._path = state_dir / "measurements" / f"{stack_id}.jsonl"

    def medians(self, probe: str, units: Mapping[str, str]) -> dict[str, list[float]]:
        """Return the medians of the earlier runs of a probe, by measure, oldest first.

        Args:
            probe: its name.
            units: measure to unit; what was measured in another unit does not count.

        """
        found: dict[str, list[float]] = {}
        for line in self._lines():
            name = line.get("measure", "")
            if line.get("probe") != probe or not isinstance(name, str):
                continue
            if units.get(name) != line.get("unit"):
                continue
            median = line.get("median")
            if isinstance(median, (int, float)) and math.isfinite(median):
                found.setdefault(name, []).append(float(median))
        return {name: medians[-KEPT:] for name, medians in found.items()}

    def add(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Append one line a measure; older runs go once there are twice as many as are kept."""
        new = [{"format": FORMAT, **line} for line in lines]
        if not new:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in new)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as stream:
            # One write, so that the lines of two processes never mix.
            stream.write(text.encode())
        self._shorten()

    def _lines(self) -> list[dict[str, Any]]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            try:
                data = json.loads(line)
            except ValueError:
                continue
            if isinstance(data, dict) and data.get("format") == FORMAT:
                found.append(data)
        return found

    def _shorten(self) -> None:
        lines = self._lines()
        counts: dict[tuple[Any, Any], int] = {}
        kept: list[dict[str, Any]] = []
        for line in reversed(lines):
            key = (line.get("probe"), line.get("measure"))
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= KEPT:
                kept.append(line)
        if max(counts.values(), default=0) <= 2 * KEPT:
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(line, sort_keys=True) + "\n" for line in reversed(kept))
        draft.replace(self._path)
