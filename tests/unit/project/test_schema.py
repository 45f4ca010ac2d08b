from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from attrs import frozen
from jsonschema import Draft202012Validator

from infometis_sdk._yaml import load_yaml
from infometis_sdk.ports.platform import PlatformSpec
from infometis_sdk.project import environments, loader, services
from infometis_sdk.project.schema import schemas, write_schemas
from infometis_sdk.scaffold import project_texts

NAMES = ("environment", "local", "lock", "project", "service")


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_schemas_are_those_of_the_model(name: str) -> None:
    """Whoever changes the model runs ``infometis schema --write`` again."""
    shipped = files("infometis_sdk").joinpath("schemas", f"{name}.json").read_text()
    assert json.loads(shipped) == schemas()[name]


def test_every_format_has_its_schema() -> None:
    """One schema a format, and each says the format it is for."""
    made = schemas()
    assert tuple(sorted(made)) == NAMES
    for name in ("service", "project", "environment", "lock"):
        assert made[name]["properties"]["format"] == {"const": f"infometis.io/{name}/v1"}
        assert "format" in made[name]["required"]


def objects(schema: Any) -> list[dict[str, Any]]:
    """Return every schema with properties inside a schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]
    if not isinstance(schema, dict):
        return []
    below = [found for item in schema.values() for found in objects(item)]
    return [schema, *below] if isinstance(schema.get("properties"), dict) else below


@pytest.mark.parametrize("name", NAMES)
def test_unknown_keys_are_wrong_for_editors_too(name: str) -> None:
    """Every object is closed, except sections whose keys are the settings of a plugin.

    A border's own words are closed; a section beside them is some adapter's.
    """
    schema = schemas()[name]
    open_sections = [
        schema["properties"].get("platform"),
        schema.get("$defs", {}).pop("Border", None),
    ]
    for found in objects(schema):
        assert found in open_sections or found["additionalProperties"] is False


def test_a_misspelt_word_of_a_border_is_wrong_for_editors_too() -> None:
    """Only mappings pass as the section of an adapter that is not installed."""
    check = Draft202012Validator(schemas()["environment"])
    head = {"format": environments.FORMAT}
    assert check.is_valid({**head, "border": {"type": "mine", "domain": "x.org", "mine": {"a": 1}}})
    assert not check.is_valid({**head, "border": {"type": "mine", "domein": "x.org"}})
    assert not check.is_valid({**head, "border": {"domain": "x.org"}})


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_described(name: str) -> None:
    """An editor shows a sentence on hover; it comes from the model's docstrings."""
    silent = [
        key
        for found in objects(schemas()[name])
        for key, value in found["properties"].items()
        if "description" not in value and "$ref" not in value and "const" not in value
    ]
    assert silent == []


def test_the_schemas_know_the_keys_of_the_loaders() -> None:
    """What the loader takes and what the schema takes are the same keys."""
    made = schemas()
    for name, keys in (
        ("service", services.DESCRIPTOR_KEYS),
        ("project", loader.PROJECT_KEYS),
        ("environment", environments.ENVIRONMENT_KEYS),
    ):
        assert set(made[name]["properties"]) == {"format", *keys}


@frozen(kw_only=True)
class Mine:
    """Settings.

    Attributes:
        nodes: how many.

    """

    nodes: int = 1


def test_settings_of_platforms_are_checked_in_editors() -> None:
    """With the installed platforms given, their settings are part of the schema."""
    spec = PlatformSpec(name="mine", summary="", settings=Mine, factory=lambda _s, _c: None)  # type: ignore[arg-type, return-value]
    section = schemas({"mine": spec})["environment"]["properties"]["platform"]
    (branch,) = section["allOf"]
    assert branch["then"]["properties"]["nodes"] == {
        "type": "integer",
        "default": 1,
        "description": "How many.",
    }
    assert branch["then"]["additionalProperties"] is False


def test_schemas_are_written(tmp_path: Any) -> None:
    """Written files are the shipped ones."""
    assert set(write_schemas(tmp_path)) == {f"{name}.json" for name in NAMES}
    shipped = files("infometis_sdk").joinpath("schemas", "lock.json").read_text()
    assert (tmp_path / "lock.json").read_text() == shipped


def complaints(name: str, text: str) -> list[str]:
    """Return what an editor would underline: path and message."""
    document, faults = load_yaml(text)
    assert faults == ()
    assert document is not None
    validator = Draft202012Validator(schemas()[name])
    return sorted(
        f"{error.json_path}: {error.message}" for error in validator.iter_errors(document.data)
    )


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_schemas(name: str) -> None:
    """Each keeps the rules of its own draft."""
    Draft202012Validator.check_schema(schemas()[name])


@pytest.mark.parametrize("service", ["elasticsearch", "grafana", "kafka", "nifi"])
def test_descriptors_of_the_catalogue_fit(service: str) -> None:
    """What the SDK ships is what its own schema describes."""
    text = files("infometis_sdk").joinpath("catalogue", service, "service.yaml").read_text()
    assert complaints("service", text) == []


def test_files_of_a_new_project_fit() -> None:
    """What init writes is what editors accept."""
    texts = project_texts("demo", "demo-abcdef")
    assert complaints("project", texts["infometis.yaml"]) == []
    assert complaints("environment", texts["environments/dev.yaml"]) == []
    assert complaints("environment", texts["environments/prod.yaml"]) == []
    assert complaints("local", "values: {kafka: {replicas: 3}}") == []
    assert (
        complaints("project", "format: infometis.io/project/v1\nname: a\nservices:\n  a:\n") == []
    )


def test_editors_underline_what_loading_refuses() -> None:
    """A misspelt key, a wrong word, a wrong type and a secret in plain sight."""
    text = """
format: infometis.io/environment/v1
mode: sharde
protected: "yes"
vals: {}
patches: [{kind: Deployment, path: spec.replicas}]
credentials:
  grafana.admin: {password: hunter2}
  kafka.admin: secret:existing
"""
    assert sorted(line.partition(":")[0] for line in complaints("environment", text)) == [
        "$",
        "$.credentials['grafana.admin']",
        "$.mode",
        "$.patches[0]",
        "$.protected",
    ]
