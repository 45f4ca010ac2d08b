"""Writes a project that a test shows as one text, and tells all its faults."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from infometis_sdk.errors import ProjectError
from infometis_sdk.project import load_project

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.model.fault import Fault

Faults = Callable[[str], list[str]]


def write(root: Path, text: str) -> None:
    """Write the files of a text in which ``=== NAME`` begins each file."""
    for part in textwrap.dedent(text).split("=== ")[1:]:
        name, _, body = part.partition("\n")
        target = root / name.strip()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body, encoding="utf-8")


def line(fault: Fault) -> str:
    """Write a fault as ``FILE:LINE PATH | MESSAGE | NEAREST``."""
    near = f" | {fault.nearest}" if fault.nearest else ""
    return f"{fault.origin} {fault.path} | {fault.message}{near}"


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """Return a function from a project to all its faults."""

    def load(text: str) -> list[str]:
        write(tmp_path, text)
        with pytest.raises(ProjectError) as caught:
            load_project(tmp_path, sources={}, platforms={})
        return [line(fault) for fault in caught.value.faults]

    return load
