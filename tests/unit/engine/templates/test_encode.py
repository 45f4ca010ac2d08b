"""Values printed into configuration files."""

from __future__ import annotations

import configparser
import json
import string
import subprocess
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import assume, given, strategies as st

from infometis_sdk.engine.templates.configfile import parse_config
from infometis_sdk.engine.templates.template import render_file
from infometis_sdk.errors import RenderError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.testing.strategies import json_values

ORIGIN = Origin(layer="base", file="kafka/files/x")
SAFE_IN_INI = string.ascii_letters + string.digits + " !$%&()*+,-./:<=>?@[\\]^_{|}~"
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
BOGUS = "<?xml version='1.0' encoding='bogus'?>"


def file(name: str, template: str, **context: Any) -> str:
    """Render a file."""
    return render_file(name, template, context, origin=ORIGIN)


def faults(name: str, template: str, **context: Any) -> list[Fault]:
    """Render what must fail."""
    with pytest.raises(RenderError) as caught:
        file(name, template, **context)
    return list(caught.value.faults)


def load_properties(text: str) -> dict[str, str]:
    """Read properties as ``java.util.Properties.load`` is specified to."""
    found = {}
    for line in text.split("\n"):
        out, key, at = "", None, 0
        while at < len(line):
            char = line[at]
            if char == "\\":
                at += 1
                code = line[at]
                if code == "u":
                    out += chr(int(line[at + 1 : at + 5], 16))
                    at += 4
                else:
                    out += {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}.get(code, code)
            elif key is None and char in "=:":
                key, out = out, ""
            else:
                out += char
            at += 1
        if key is not None:
            found[key] = out
    return {pairs(key): pairs(value) for key, value in found.items()}


def pairs(text: str) -> str:
    """Join the halves of characters beyond the first plane, as Java holds them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


@given(TEXT)
def test_properties_values(value: str) -> None:
    """Java reads back the value, whatever it holds; no line can be added."""
    assert load_properties(file("a.properties", "k={{ v }}\nz=1\n", v=value)) == {
        "k": value,
        "z": "1",
    }


@given(TEXT)
def test_properties_keys(key: str) -> None:
    """A printed key is a key, whatever it holds."""
    assume(key != "z")
    assert load_properties(file("a.properties", "{{ k }}=x\nz=1\n", k=key)) == {key: "x", "z": "1"}


def test_properties_within_text() -> None:
    """Text may stand round a value, and what Java does not need is not escaped."""
    assert (
        file("a.properties", "url=http://{{ h }}:{{ p }}/\n", h="kafka", p=9092)
        == "url=http://kafka:9092/\n"
    )


@given(json_values())
def test_json_values(value: Any) -> None:
    """A whole value of JSON is printed as it is."""
    assert json.loads(file("a.json", '{"a": {{ v }}}', v=value)) == {"a": value}


@given(TEXT)
def test_json_strings(value: str) -> None:
    """Inside a string of JSON, a value is part of the string."""
    assert json.loads(file("a.json", '{"a\\"b": "x-{{ v }}"}', v=value)) == {'a"b': f"x-{value}"}


@given(json_values())
def test_yaml_values(value: Any) -> None:
    """YAML files follow the rule of templates."""
    read = yaml.safe_load(file("a.yaml", "a: {{ v }}\n", v=value))
    assert read == {"a": value}


@given(TEXT)
def test_xml(value: str) -> None:
    """XML reads back the value, in text and in attributes; what XML cannot carry is refused."""
    template = '<a b="{{ v }}">{{ v }}</a>'
    if any(ord(c) < 32 and c not in "\t\n\r" for c in value) or any(
        c in "\ufffe\uffff" for c in value
    ):
        assert "XML cannot carry" in faults("a.xml", template, v=value)[0].message
        return
    root = ET.fromstring(file("a.xml", template, v=value))  # noqa: S314 - our own text
    assert (root.text or "", root.attrib["b"]) == (value, value)


@given(TEXT)
def test_env_values(value: str) -> None:
    """A real shell reads back the value, bare, quoted and inside quotes; none of it is run."""
    template = "A={{ v }}\nB=\"x {{ v }}\"\nC='x {{ v }}'\n"
    script = file("a.env", template, v=value) + 'printf \'%s\\000%s\\000%s\' "$A" "$B" "$C"\n'
    ran = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True)
    assert ran.stdout.decode().split("\0") == [value, f"x {value}", f"x {value}"]


def test_env_needs_quotes() -> None:
    """A value that needs quotes, in the middle of bare text, is refused with the right form."""
    assert "KEY=" in faults("a.env", "A=x{{ v }}\n", v="a b")[0].legal


@given(st.text(st.characters(codec="ascii"), max_size=20))
def test_ini(value: str) -> None:
    """INI readers disagree on escapes: what needs none is printed, the rest refused."""
    template = "[s]\nk = {{ v }}\nz = 1\n"
    if set(value) - set(SAFE_IN_INI) or value != value.strip():
        assert [f.origin.line for f in faults("a.ini", template, v=value)] == [2]
        return
    text = file("a.ini", template, v=value)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    assert dict(parser["s"]) == {"k": value, "z": "1"}


@pytest.mark.parametrize("name", ["a.properties", "a.ini", "a.xml", "a.env"])
def test_lists_are_joined_by_the_author(name: str) -> None:
    """A list has no form in such files; the fault shows how to join it."""
    template = "<a>{{ v }}</a>" if name == "a.xml" else "k={{ v }}\n"
    found = faults(name, template, v=["a", "b"])
    assert "join" in found[0].legal
    assert file(name, template.replace("v", 'v | join(",")'), v=["a", "b"]).find("a,b") > 0


def test_unknown_type() -> None:
    """A type we cannot encode for is refused, unless nothing is to be encoded."""
    found = faults("run.sh", "#!/bin/sh\necho {{ v }}\n", v="x")
    assert (found[0].origin.line, "run.sh" in found[0].message) == (2, True)
    assert file("run.sh", "#!/bin/sh\necho $X\n") == "#!/bin/sh\necho $X\n"


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("a.json", '{"a": {{ v }},\n "b": }'),
        ("a.yaml", "a: {{ v }}\nb: [\n"),
        ("a.xml", "<a>{{ v }}\n</b>"),
        ("a.xml", f"{BOGUS}<a>{{{{ v }}}}</a>"),
    ],
)
def test_result_is_of_its_type(name: str, template: str) -> None:
    """A file that its reader could not read is a fault at render."""
    assert "once rendered" in faults(name, template, v=1)[0].message


def test_names_in_files_have_lines() -> None:
    """Unknown names in files are reported as in templates."""
    found = faults("a.properties", "a=1\nb={{ params.x }}\n", params={"y": 1})
    assert [(f.origin.line, f.origin.file) for f in found] == [(2, "kafka/files/x")]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.properties", "a = 1\n! no\nb.c: 2\\\n  3\n", {"a": "1", "b.c": "23"}),
        ("a.ini", "x=0\n[s]\n; no\nk = v\n", {"x": "0", "s.k": "v"}),
        ("a.json", '{"a": {"b": [1]}}', {"a.b[0]": 1}),
        ("a.yml", "a:\n  - name: x\n    v: 1\n", {"a[name=x].name": "x", "a[name=x].v": 1}),
        ("a.xml", '<a b="1"><c>x</c><c/></a>', {"/a": "", "/a@b": "1", "/a/c": "x", "/a/c[2]": ""}),
        ("a.env", "export A=1\n# no\nB=2\n", {"A": "1", "B": "2"}),
        ("a.sh", "x\ny\n", {"line 1": "x", "line 2": "y"}),
        ("a.json", "{", {"line 1": "{"}),
        ("a.xml", "<a>", {"line 1": "<a>"}),
        ("a.xml", f"{BOGUS}<a/>", {"line 1": f"{BOGUS}<a/>"}),
    ],
)
def test_files_are_compared_by_key(name: str, text: str, expected: dict[str, Any]) -> None:
    """Two files can be compared key by key, or by line where their type is unknown."""
    assert parse_config(name, text) == expected
