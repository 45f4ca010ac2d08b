from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from infometis_sdk._yaml import child, dump_all, dump_yaml, load_all, load_yaml

# Read off `kubectl annotate --local -o json`, version 1.37.1.
KUBECTL = {
    "yes": True,
    "no": False,
    "on": True,
    "off": False,
    "y": True,
    "N": False,
    "true": True,
    "TRUE": True,
    "null": None,
    "~": None,
    "0644": 420,
    "0o644": 420,
    "0x1F": 31,
    "0b11": 3,
    "1_000": 1000,
    "1e3": 1000,
    "5_0e1_": 500,
    "0O7": 7,
    "_1": "_1",
    "1.5": 1.5,
    ".5": 0.5,
    "+1": 1,
    "-0": 0,
    "089": 89,
    "1.0": 1,
    "1.234e56": 1.234e56,
    "12:30:45": "12:30:45",
    "2001-01-01": "2001-01-01",
    "2001-01-01T00:00:00Z": "2001-01-01T00:00:00Z",
    "=": "=",
    "0o9": "0o9",
    "1,000": "1,000",
}
PROJECT = {
    "yes": "yes",
    "no": "no",
    "on": "on",
    "y": "y",
    "true": True,
    "False": False,
    "~": None,
    "12": 12,
    "-3": -3,
    "1.5": 1.5,
    "1e3": 1000.0,
    "0644": "0644",
    "0o644": 420,
    "1_000": "1_000",
    "12:30:45": "12:30:45",
    "2001-01-01": "2001-01-01",
}


def of(text: str, **options: Any) -> Any:
    """Read one document that has no fault."""
    document, faults = load_yaml(text, **options)
    assert faults == ()
    assert document is not None
    return document.data


@pytest.mark.parametrize(("text", "value"), KUBECTL.items())
def test_manifests_are_read_as_kubectl_reads_them(text: str, value: object) -> None:
    """A plain scalar of a manifest has the value and the type that kubectl gives it."""
    found = of(f"v: {text}", dialect="kubernetes")["v"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("text", "value"), PROJECT.items())
def test_project_files_are_yaml_1_2(text: str, value: object) -> None:
    """In our own files only what YAML 1.2 calls a number or boolean is one."""
    found = of(f"v: {text}")["v"]
    assert (found, type(found)) == (value, type(value))


def test_quoted_scalars_are_text() -> None:
    """Quotes make text of anything, in both dialects."""
    text = "a: '1'\nb: \"yes\"\nc: !!str 3\nd: |\n  0644\n"
    for dialect in ("project", "kubernetes"):
        assert of(text, dialect=dialect) == {"a": "1", "b": "yes", "c": "3", "d": "0644\n"}


def test_lines_of_all_paths() -> None:
    """Every key and every item has its line, by its dotted path."""
    document, _ = load_yaml("a:\n  b:\n  - c: 1\n  - d\n\ne: {f: 2}\n")
    assert document is not None
    assert dict(document.lines) == {
        "a": 1,
        "a.b": 2,
        "a.b[0]": 3,
        "a.b[0].c": 3,
        "a.b[1]": 4,
        "e": 6,
        "e.f": 6,
    }
    assert child(child("a", 0), "b") == "a[0].b"


def test_duplicate_keys_all_at_once() -> None:
    """Every duplicate of a document is a fault with both lines; the first value stays."""
    document, faults = load_yaml("a: 1\nb: {c: 1, c: 2}\na: 3\n", file="x.yaml")
    assert document is not None
    assert document.data == {"a": 1, "b": {"c": 1}}
    assert [(str(f.origin), f.path, f.message) for f in faults] == [
        ("x.yaml:2", "b.c", "the key 'c' is here twice, in one line"),
        ("x.yaml:3", "a", "the key 'a' is here twice, at lines 1 and 3"),
    ]


def test_several_documents() -> None:
    """Documents are read one by one, with their first lines; empty ones are dropped."""
    documents, faults = load_all("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n")
    assert faults == ()
    assert [(d.data, d.line) for d in documents] == [({"a": 1}, 2), ({"b": 2}, 7)]
    _, faults = load_yaml("a: 1\n---\nb: 2\n")
    assert [f.message for f in faults] == ["more than one document in a file that holds one"]


def test_merge_keys_and_aliases() -> None:
    """Anchors, aliases and merge keys work as in kubectl: what is written beside them wins."""
    text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nlist: [*b]\n"
    assert of(text) == {
        "base": {"x": 1, "y": 2},
        "use": {"y": 3, "x": 1},
        "list": [{"x": 1, "y": 2}],
    }


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (b"a: 1\nb: \xff\xfe\n", 2, "not UTF-8 text"),
        ("a: 1\nb: \x07\n", 2, r"holds the control character '\x07'"),
        ("a:\n\tb: 1\n", 2, "a tab indents this line"),
        ("a: 1\nb: &x [*x]\n", 2, "an alias holds itself"),
        (
            "a: !!python/object:os.system x\n",
            1,
            "the tag !!python/object:os.system does not fit here",
        ),
        ("a: !!set {x}\n", 1, "the tag !!set is not known"),
        ("a: !<plain> [x]\n", 1, "the tag plain is not known"),
        ("1: x\n", 1, "the key '1' is not text"),
        ("? [a]\n: 1\n", 1, "the key 'a collection' is not text"),
        ("a: .inf\n", 1, "infinity and NaN are no values"),
        ("a: 1e999\n", 1, "infinity and NaN are no values"),
        ("a: " + "[" * 200_000, 1, "nested too deeply"),
        ("\n".join(" " * n + "a:" for n in range(3000)), 101, "nested too deeply"),
    ],
)
def test_what_is_refused(text: str | bytes, line: int, message: str) -> None:
    """What cannot be read, or should not be, is a fault with its line and never an exception."""
    _, faults = load_yaml(text)
    assert (message, line) in [(f.message, f.origin.line) for f in faults]


def test_scalars_of_an_alias_count() -> None:
    """Text in a mapping that an alias repeats adds to what aliases make."""
    wide = "{" + ", ".join(f"k{n}: x" for n in range(1001)) + "}"
    _, faults = load_all(f"a: &a {wide}\nb: [{', '.join(['*a'] * 100)}]\n")
    assert [f.message for f in faults] == ["aliases make more than 100000 values of this file"]


def test_alias_bomb_is_refused_before_it_grows() -> None:
    """Seven levels of ten aliases would be ten million values."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8)
    )
    documents, faults = load_all(bomb)
    assert documents == ()
    assert [f.message for f in faults] == ["aliases make more than 100000 values of this file"]


def test_one_alias_costs_a_large_file_nothing() -> None:
    """The cap counts what aliases add, not what a file holds."""
    text = "a: &a 1\nb: *a\nc:\n" + "- x\n" * 120_000
    assert len(of(text)["c"]) == 120_000


@pytest.mark.parametrize(
    "text",
    ["1e3", "1234e56", "0o755", "0755", "y", "Yes", "off", "1_000", "12:30:45", "2001-01-01", "~",
     "", "null", "=", "<<", " x", "x ", "- a", "a: b", "#", ".5", "+1", ".inf", "0b1", "@", "%"],
)  # fmt: skip
def test_text_stays_text_for_every_reader(text: str) -> None:
    """What we write as text is text again for us, for kubectl's rules and for YAML 1.1."""
    import yaml

    written = dump_yaml({"v": text})
    assert of(written) == of(written, dialect="kubernetes") == {"v": text}
    assert yaml.safe_load(written) == {"v": text}


def test_what_is_written_is_pleasant() -> None:
    """Keys keep their order, long text its lines, and nothing gets anchors."""
    same = {"x": 1}
    assert dump_yaml({"b": same, "a": [same], "t": "one\ntwo\n"}) == (
        "b:\n  x: 1\na:\n- x: 1\nt: |\n  one\n  two\n"
    )
    assert dump_all([{"a": 1}, {"b": ("x",)}]) == "---\na: 1\n---\nb:\n- x\n"


TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from([*KUBECTL, *PROJECT]),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXT, below, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(JSON)
def test_round_trip_of_any_json(value: object) -> None:
    """What is written comes back as it was, in both dialects."""
    text = dump_yaml({"v": value})
    assert of(text) == {"v": value}
    # kubectl makes an integer of 1.0, which equals it
    assert of(text, dialect="kubernetes") == {"v": value}
    assert json.dumps(of(text), sort_keys=True) == json.dumps({"v": value}, sort_keys=True)
