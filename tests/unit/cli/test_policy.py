"""``policy explain`` on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.running import Runner


@pytest.mark.parametrize(
    "words", [("nifi", "kafka"), ("nifi -> kafka",), ("nifi", "->", "kafka"), ("nifi->kafka",)]
)
def test_two_names_with_an_arrow_or_without(
    run: Runner, project: Path, words: tuple[str, ...]
) -> None:
    """However the shell lets people write it, the same is asked."""
    del project
    told = json.loads(run("policy", "explain", *words, "--port", "9092", "--output", "json").out)
    assert [
        (row["source"], row["target"], row["port"], row["allowed"]) for row in told["rows"]
    ] == [("nifi", "kafka", 9092, True)]


def test_the_answer_is_a_table_with_the_rule_that_decides(run: Runner, project: Path) -> None:
    """Who may not talk is answered too: a question is no failure."""
    del project
    done = run("policy", "explain", "kafka", "elasticsearch")
    assert done.code == 0
    assert done.out.startswith("kafka may not talk to elasticsearch\n")
    assert "NetworkPolicy/boundary-kafka" in done.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("kafka", "-"), "the shell took the > of -> for a file"),
        (("kafka",), "name two"),
        (("kafka", "nifi", "--prot", "9"), "name two"),
        (("kafka", "nfii"), "did you mean 'nifi'?"),
    ],
)
def test_what_names_no_two(
    run: Runner, project: Path, words: tuple[str, ...], expected: str
) -> None:
    """An arrow that the shell has eaten, and misspelt names, are bad input that says the cure."""
    del project
    done = run("policy", "explain", *words)
    assert done.code == 2
    assert expected in done.err
