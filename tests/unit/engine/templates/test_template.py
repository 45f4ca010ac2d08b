"""Templates of Kubernetes objects: what they print, and what they may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st

from infometis_sdk._yaml import load_all
from infometis_sdk.engine.templates.template import MAX_OUTPUT, render_template
from infometis_sdk.errors import RenderError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.testing.strategies import json_values

ORIGIN = Origin(layer="base", file="kafka/templates/a.yaml.j2")
CONTEXT: dict[str, Any] = {
    "name": "kafka",
    "params": {"replicas": 3, "heap": "1Gi", "items": [1], "absent": None},
    "images": {"main": "example/kafka:1"},
}


def text(template: str, **more: Any) -> str:
    """Render with the context of these tests."""
    return render_template(template, {**CONTEXT, **more}, origin=ORIGIN)


def faults(template: str, **more: Any) -> list[Fault]:
    """Render what must fail."""
    with pytest.raises(RenderError) as caught:
        text(template, **more)
    assert all(f.origin.file == ORIGIN.file for f in caught.value.faults)
    return list(caught.value.faults)


@given(json_values())
def test_any_value_comes_through_yaml_unharmed(value: Any) -> None:
    """Whatever a value holds, YAML reads it back and nothing else: no key can be added."""
    documents, found = load_all(text("a: {{ value }}\nb: 1\n", value=value))
    assert not found
    read = documents[0].data
    assert list(read) == ["a", "b"]
    assert json.dumps(read["a"], sort_keys=True) == json.dumps(as_read(value), sort_keys=True)


def as_read(value: Any) -> Any:
    """Turn whole floats into integers, as the Kubernetes tools do when they read YAML."""
    if isinstance(value, dict):
        return {key: as_read(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_read(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


@given(st.text())
def test_text_comes_through_every_yaml_reader(value: str) -> None:
    """The plain reader of PyYAML agrees: nothing depends on our own reader."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    assert yaml.safe_load(text("a: {{ value }}", value=value)) == {"a": value}


@pytest.mark.parametrize(
    "value", ["a\nspec:\n  hostNetwork: true", "yes", "1.10", "1e3", "x: y", "# no", "", "\x85\x00"]
)
def test_known_injections(value: str) -> None:
    """The classic ways to break out of a value stay text."""
    assert yaml.safe_load(text("a: {{ value }}", value=value)) == {"a": value}


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("name: {{ name }}-headless", '{{ name ~ "-headless" }}'),
        ("name: my-{{ name }}", '{{ "my-" ~ name }}'),
        ('name: "{{ name }}"', "{{ name }}"),
        ("name: 'a {{ name }} b'", '{{ "a " ~ name ~ " b" }}'),
        (
            "url: http://{{ name }}:{{ params.replicas }}/x",
            '{{ "http://" ~ name ~ ":" ~ params.replicas ~ "/x" }}',
        ),
        ("- {{ name | upper }}.local", '{{ (name | upper) ~ ".local" }}'),
        ("a: {b: {{ name }}x}", '{{ name ~ "x" }}'),
        ("a: [{{ name }}-0, {{ name }}]", '{{ name ~ "-0" }}'),
        ("{{ name }}-key: 1", '{{ name ~ "-key" }}'),
        ("a: {{ name }} b", '{{ name ~ " b" }}'),
    ],
)
def test_glued_text_shows_the_right_form(line: str, right: str) -> None:
    """An expression that is only part of a value is refused, with the form that is right."""
    found = faults(f"kind: A\n{line}\n")
    assert [(f.origin.line, f.legal) for f in found] == [(2, right)]


@pytest.mark.parametrize(
    "line",
    [
        "name: {{ name }}",
        "name: {{ name }} # why",
        "- {{ name }}",
        "- - {{ name }}",
        "- a: {{ name }}",
        "{{ name }}: 1",
        "{{ name }}: {{ name }}",
        "a: [{{ name }}, {{ name }}]",
        "a: {b: {{ name }}, {{ name }}: 1}",
        "a: {b: {{ name }}}",
        '"x": {{ name }}',
        "a: !!str {{ name }}",
        "# about {{ name }}",
        "{% if name %}a: {{ name }}{% endif %}",
        "a: [{% for i in [1, 2] %}{{ i }}, {% endfor %}]",
        "{{ params }}",
        "a: x # {{ name }}-not-glued",
        "a: {{ 1 if name else 2 }}",
        "a: |\n  text\nb: {{ name }}",
    ],
)
def test_whole_values_are_let_through(line: str) -> None:
    """Everywhere that YAML takes a value, an expression may be printed."""
    documents, found = load_all(text(f"{line}\n"))
    assert not found
    assert len(documents) <= 1


def test_expression_in_a_block_of_text() -> None:
    """In a block of text the quotes of JSON would become part of it."""
    found = faults("a: |\n  x\n  {{ name }}\nb: {{ name }}\n")
    assert [f.origin.line for f in found] == [3]


def test_expression_after_a_value() -> None:
    """Two values for one key are refused."""
    assert [f.origin.line for f in faults("a: {% if name %}{{ name }}{% endif %}{{ name }}\n")] == [
        1
    ]


def test_all_names_at_once() -> None:
    """Every unknown name and parameter is reported, with line and nearest known name."""
    found = faults(
        "a: {{ nam }}\nb: {{ params.replica }}\nc: {{ params['heep'] }}\nd: {{ images.mian }}\n"
    )
    assert sorted((f.origin.line, f.nearest) for f in found) == [
        (1, "name"),
        (2, "replicas"),
        (3, "heap"),
        (4, "main"),
    ]


@pytest.mark.parametrize("name", ["environment", "namespace", "stack_id", "cluster", "platform"])
def test_no_template_sees_the_environment(name: str) -> None:
    """Asking for the environment is refused, and the reason is given."""
    found = faults(f"a: {{{{ {name} }}}}\n")
    assert "cannot see the environment" in found[0].message
    assert found[0].origin.line == 1


def test_tested_names_may_be_absent() -> None:
    """What is tested with ``is defined`` or has a default need not be there."""
    template = "a: {{ params.x | default(1) }}\n"
    template += "{% if params.y is defined %}\nb: {{ params.y }}\n{% endif %}\n"
    assert yaml.safe_load(text(template)) == {"a": 1}


def test_parameters_may_be_called_anything() -> None:
    """A parameter called like a method of a mapping is the parameter."""
    assert yaml.safe_load(text("a: {{ params.items }}\n")) == {"a": [1]}


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1 // 0", "zero"),
        ("params.replicas.nothing", "no attribute"),
        ("''.__class__.__mro__", "unsafe"),
        ("params.update({})", "unsafe"),
        ("name | random", "no filter"),
        ("name | mebibytes", "not a quantity"),
        ("'a' * 100000000", "too large"),
        ("9 ** 99999", "too large"),
        ("'%999999999d' % 1", "join text with ~"),
        ("'x'.ljust(999999999)", "unsafe"),
        ("range(99999999)", "range"),
        ("name.join([name, name])", "unsafe"),
        ("name + 1", "can only concatenate"),
        ("name(", "expected"),
        ("params.items.append(1)", "unsafe"),
        ("[1, range]", "cannot print"),
    ],
)
def test_what_goes_wrong_has_a_line(expression: str, words: str) -> None:
    """Whatever a template does wrong is a fault with its line; the sandbox holds."""
    found = faults(f"kind: A\n\na: {{{{ {expression} }}}}\n")
    assert [f.origin.line for f in found] == [3]
    assert words in found[0].message


def test_values_cannot_be_changed() -> None:
    """What one template does to its values, no other template sees."""
    with pytest.raises(RenderError):
        text("{% set x = params.pop('heap') %}\n")
    assert text("{{ params.heap }}\n") == '"1Gi"\n'


@pytest.mark.parametrize(
    "statement",
    [
        "{% macro a() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% set a %}b{% endset %}",
        "{% filter upper %}a{% endfilter %}",
    ],
)
def test_statements_that_would_encode_twice(statement: str) -> None:
    """A template stands alone, and prints each value once."""
    assert "not allowed" in faults(f"\n{statement}\n")[0].message


@pytest.mark.parametrize(
    "growth",
    ["x ~ x", "x + x", "[x, x] | join", "x | replace('k', x)"],
)
def test_values_are_bounded(growth: str) -> None:
    """A value that doubles again and again is stopped before it fills the memory."""
    template = "{% set x = name %}\n" + f"{{% set x = {growth} %}}\n" * 24 + "a: {{ x }}\n"
    (fault,) = faults(template)
    assert "too large" in fault.message
    assert 2 <= fault.origin.line <= 25


def test_filters_work_as_usual() -> None:
    """Bounded filters do what Jinja's own do."""
    template = 'a: {{ [1, "b"] | join("-") }}\nb: {{ "aab" | replace("a", "c", 1) }}\n'
    template += (
        'c: {{ [{"n": 1}, {"n": 2}] | join(",", attribute="n") }}\nd: {{ range(2) | list }}\n'
    )
    assert yaml.safe_load(text(template)) == {"a": "1-b", "b": "cab", "c": "1,2", "d": [0, 1]}


def test_output_is_bounded() -> None:
    """A template that prints too much is stopped."""
    template = "{% for i in range(10000) %}\n- {{ name * 1000 }}\n{% endfor %}\n"
    assert f"{MAX_OUTPUT // 2**20} MiB" in faults(template)[0].message


def test_rendering_repeats_exactly() -> None:
    """The same template and values give the same text; a render leaves nothing behind."""
    template = "a: {{ params }}\nb: {{ {'z': 1, 'a': 2} }}\n"
    first = text(template)
    text(template, params={"other": 1})
    assert text(template) == first


def test_lines_of_kinds() -> None:
    """Each object carries the line of its kind in the template, whatever loops do to lines."""
    template = "{% for i in range(2) %}\n---\nkind: A\nx: {{ i }}\n{% endfor %}\n---\nkind: B\n"
    assert [line for line in text(template).splitlines() if line.startswith("kind")] == [
        "kind: A #@3",
        "kind: A #@3",
        "kind: B #@7",
    ]


def test_line_ends_and_characters_are_normal() -> None:
    """CRLF and decomposed characters give the same text as LF and composed ones."""
    assert text("a: e\u0301\r\nb: 1\r\n") == text("a: \u00e9\nb: 1\n")
