"""The guard of the whole suite against secrets in outputs does find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import leaks

from infometis_sdk.engine.writing import credentials

if TYPE_CHECKING:
    from pathlib import Path


def test_a_generated_secret_is_found_wherever_it_shows(tmp_path: Path) -> None:
    """In captured text and in files; what is not generated is nobody's secret."""
    made = credentials._random(24)
    key = credentials.key_manifest("demo-dev", "demo")["data"]["hmac"]
    (tmp_path / "records.jsonl").write_text(f'{{"reason":"{made}"}}\n')
    left = list(leaks.texts_below({"tmp_path": tmp_path}))
    (tmp_path / "records.jsonl").unlink()  # or this very test would fail
    assert leaks.found_in(left) == [str(tmp_path / "records.jsonl")]
    assert leaks.found_in([("stdout", f"x{key}y"), ("log", "nothing")]) == ["stdout"]
