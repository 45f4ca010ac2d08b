from __future__ import annotations

import ast
import re
from urllib.parse import quote_plus

import pytest
from hypothesis import given, strategies as st

from infometis_border_traefik.routing import rules

LITERAL = re.compile(r'`([^`]*)`|"((?:[^"\\]|\\.)*)"')
CALL = re.compile(r"\w+\(\0(?:, \0)?\)")


def read_back(rule: str) -> tuple[str, list[str]]:
    """Take the Go string literals out of a rule: what remains, and the texts in order."""
    texts: list[str] = []

    def take(match: re.Match[str]) -> str:
        raw, escaped = match.group(1), match.group(2)
        # The escapes that are written mean the same in Go and in Python.
        texts.append(raw if raw is not None else ast.literal_eval(f'"{escaped}"'))
        return "\0"

    return LITERAL.sub(take, rule), texts


def as_go_sees_it(text: str) -> str:
    """Return a text without what no Go string can hold."""
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


@given(st.text())
def test_no_text_breaks_out_of_its_quotes(text: str) -> None:
    """Whatever a host or a path holds, the rule stays one call with that one text."""
    for make in (rules.host, rules.method):
        shape, texts = read_back(make(text))
        assert CALL.fullmatch(shape)
        assert [as_go_sees_it(text)] == texts


@given(st.text(min_size=1), st.text(), st.lists(st.text(), max_size=3))
def test_rules_of_any_texts_keep_their_shape(host: str, path: str, methods: list[str]) -> None:
    """Conditions of a route hold together whatever they are about."""
    rule = rules.all_of(
        rules.host(host), rules.under(f"/{path}"), rules.operation([f"/{path}"], methods)
    )
    shape, _ = read_back(rule)
    bare = CALL.sub("x", shape)
    one = r"(?:!\(x(?: \|\| x)+\)|x)"
    several = rf"(?:\({one}(?: \|\| {one})+\)|{one})"
    assert re.fullmatch(rf"{several}(?: && {several})*", bare), rule


@given(st.text(alphabet="ab.-_~", min_size=1), st.text(alphabet="ab.-_~/;", max_size=8))
def test_a_sensitive_path_is_recognised_however_a_client_spells_it(word: str, rest: str) -> None:
    """Parameters after a semicolon do not hide a path; other words that begin alike are others."""
    shape, texts = read_back(rules.operation([f"/{word}"], []))
    assert shape == "PathRegexp(\0)"
    expression = re.compile(texts[0])
    assert expression.search(f"/{word};x/{rest}")
    assert expression.search(f"/{word}/{rest}")
    assert expression.search(f"/{word}")
    assert expression.search(f"/;x/{word}/{rest}")
    assert expression.search(f"/c/..;/{word}")
    other = f"/{word}c{rest}"
    assert bool(expression.search(other)) == bool(re.search("/[.][.]?;", other))
    assert not expression.search(f"/c/{word}")


def test_a_path_is_not_a_prefix_of_words() -> None:
    """``/nifi`` does not take ``/nifi-registry``."""
    assert rules.under("/nifi") == "(Path(`/nifi`) || PathPrefix(`/nifi/`))"
    assert rules.under("/") == "PathPrefix(`/`)"


def test_longer_paths_win_and_sensitive_operations_stand_above_their_route() -> None:
    """The order depends on paths alone, not on how long a rule happens to be."""
    order = [
        rules.priority("/a/b"),
        rules.priority("/a", guarded=True),
        rules.priority("/a"),
        rules.priority("/", guarded=True),
        rules.priority("/"),
    ]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(order)


def shown(*certificates: tuple[str, tuple[str, ...]]) -> str:
    """Return the header that Traefik makes of a chain of certificates: common name, other names."""
    fields = []
    for common, others in certificates:
        parts = [f'Subject="CN={common}"'] if common else []
        parts += [f'SAN="{",".join(others)}"'] if others else []
        fields.append(";".join(parts))
    return quote_plus(",".join(fields), safe="")


@pytest.mark.parametrize(
    ("chain", "passes"),
    [
        ([("alice", ())], True),
        ([("alice", ("x.example",))], True),
        ([("alice", ()), ("authority", ())], True),
        ([("", ("alice",))], True),
        ([("mallory", ("bob.example", "alice"))], True),
        ([("mallory", ())], False),
        ([("mallory", ()), ("alice", ())], False),
        ([("", ()), ("alice", ())], False),
        ([("", ("mallory",)), ("alice", ("alice",))], False),
        ([("alice2", ())], False),
        ([("xalice", ())], False),
        ([("mallory", ("alice.example",))], False),
        ([("mallory", ("x@y,alice",))], False),
        ([("mallory", ("https://x/,alice",))], False),
    ],
)
def test_only_the_clients_own_certificate_counts(
    chain: list[tuple[str, tuple[str, ...]]], *, passes: bool
) -> None:
    """A second certificate in the chain, or a name inside another, lets nobody pass."""
    header = shown(*chain)
    found = any(re.search(form, header) for form in rules.client_name("alice"))
    assert passes == found


def test_a_star_stands_for_one_part_of_a_path() -> None:
    """Any index, and nothing that has no index in front."""
    (found,) = re.findall(r"PathRegexp\(`(.*?)`\)", rules.operation(["/*/_bulk"], ["POST"]))
    for path, wanted in (
        ("/logs/_bulk", True),
        ("/logs/_bulk/x", True),
        ("/logs;a=b/_bulk", True),
        ("/_bulk", False),
        ("/a/b/_bulk", False),
        ("/logs/_bulky", False),
    ):
        assert bool(re.search(found, path)) is wanted, path
