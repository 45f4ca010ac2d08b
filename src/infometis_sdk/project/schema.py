"""JSON Schemas of all file formats, made from the model, so that editors complete and check.

The shipped copies stand in ``infometis_sdk/schemas/``; a test makes them again and compares.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import attrs

from infometis_sdk._adapters.project_files import write_over
from infometis_sdk._serde import dumps_json, unstructure
from infometis_sdk.model.border import (
    ACME_CHALLENGES,
    AUTH_TYPES,
    CERTIFICATE_SOURCES,
    PUBLISHED_BY,
    TLS_MODES,
    TLS_VERSIONS,
    Acme,
    Auth,
    Border,
    BorderTls,
    CertIssuer,
    RouteSettings,
)
from infometis_sdk.model.capacity import QUOTA_SCOPES, QuotaPolicy
from infometis_sdk.model.environment import (
    ENCRYPTION_DEMANDS,
    FOREIGN_ACTIONS,
    IMAGE_POLICIES,
    MODES,
    NETWORK_MODES,
    POD_SECURITY_LEVELS,
    DriftPolicy,
    Environment,
    IsolationPolicy,
    Policies,
)
from infometis_sdk.model.external import EXTERNAL_PROTOCOLS, External
from infometis_sdk.model.parameter import MUTABILITIES, SCOPES, SHRINKS, TYPES, Influence, Parameter
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import (
    CREDENTIAL_TYPES,
    DERIVED_FORMS,
    DOWNGRADES,
    PATH_STYLES,
    PROTOCOLS,
    ROTATIONS,
    SCALING_DIRECTIONS,
    Credential,
    Endpoint,
    Scaling,
    Service,
    Upgrade,
)
from infometis_sdk.project import environments, loader, lock, services

if TYPE_CHECKING:
    from infometis_sdk.ports.border import BorderSpec
    from infometis_sdk.ports.platform import PlatformSpec

__all__ = ("schemas", "write_schemas")

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NO_KEY = frozenset({"origin"})
"""Fields of values that no file may give."""
_WORDS: Mapping[tuple[type, str], Sequence[str]] = {
    (Acme, "challenge"): ACME_CHALLENGES,
    (Auth, "type"): AUTH_TYPES,
    (Border, "published_by"): PUBLISHED_BY,
    (BorderTls, "minimum"): TLS_VERSIONS,
    (BorderTls, "source"): CERTIFICATE_SOURCES,
    (CertIssuer, "kind"): ("Issuer", "ClusterIssuer"),
    (Credential, "derived"): DERIVED_FORMS,
    (Credential, "rotation"): ROTATIONS,
    (Credential, "type"): CREDENTIAL_TYPES,
    (DriftPolicy, "foreign"): FOREIGN_ACTIONS,
    (Endpoint, "path_style"): PATH_STYLES,
    (Endpoint, "protocol"): PROTOCOLS,
    (Environment, "mode"): MODES,
    (External, "protocol"): EXTERNAL_PROTOCOLS,
    (IsolationPolicy, "mode"): ("", *NETWORK_MODES),
    (Parameter, "mutability"): MUTABILITIES,
    (Parameter, "scope"): SCOPES,
    (Parameter, "shrink"): SHRINKS,
    (Parameter, "type"): TYPES,
    (Policies, "encryption"): ("", *ENCRYPTION_DEMANDS),
    (Policies, "images"): IMAGE_POLICIES,
    (Policies, "pod_security"): ("", *POD_SECURITY_LEVELS),
    (RouteSettings, "tls"): TLS_MODES,
    (QuotaPolicy, "scopes"): QUOTA_SCOPES,
    (Scaling, "directions"): SCALING_DIRECTIONS,
    (Upgrade, "downgrade"): DOWNGRADES,
}
_SIMPLE: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    Path: {"type": "string"},
    SecretRef: {
        "type": "string",
        "pattern": "^((env|file|secret|exec):.+|generated(:.*)?)$",
        "description": "Where a secret is to be had: env:NAME, file:PATH, secret:NAME/KEY, "
        "exec:COMMAND or generated.",
    },
    Influence: {
        "type": "string",
        "description": "A place that the parameter may change, such as 'StatefulSet/kafka "
        "spec.replicas', or '+ PodDisruptionBudget/kafka' for an object that comes and goes.",
    },
}


def schemas(
    platforms: Mapping[str, PlatformSpec] | None = None,
    borders: Mapping[str, BorderSpec] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each file format by its short name.

    Args:
        platforms: platforms by name, whose settings are then checked in environments too;
            the shipped copies know none, since they do not depend on what is installed.
        borders: the same for border adapters.

    Returns:
        ``service``, ``project``, ``environment``, ``local`` and ``lock``.

    Example:
        >>> schemas()["service"]["properties"]["format"]
        {'const': 'infometis.io/service/v1'}

    """
    made = {
        "service": _document(Service, services.FORMAT, services.DESCRIPTOR_KEYS),
        "project": _document(loader.ProjectFile, loader.FORMAT, loader.PROJECT_KEYS),
        "environment": _document(Environment, environments.FORMAT, environments.ENVIRONMENT_KEYS),
        "local": _local(),
        "lock": _document(lock.LockFile, lock.FORMAT, ("services", "images")),
    }
    sections = made["environment"]["properties"]
    sections["platform"] = _plugin_section(sections["platform"], platforms or {})
    _add_adapters(made["environment"]["$defs"], borders or {})
    # "kafka:" alone is as good as "kafka: {}"
    entries = made["project"]["properties"]["services"]
    entries["additionalProperties"] = {"anyOf": [entries["additionalProperties"], {"type": "null"}]}
    return made


def write_schemas(directory: str | Path) -> tuple[str, ...]:
    """Write ``NAME.json`` for each format, and return the names of the files."""
    texts = {
        f"{name}.json": dumps_json(schema, indent=2) + "\n" for name, schema in schemas().items()
    }
    write_over(Path(directory), texts)
    return tuple(texts)


def _document(cls: type, file_format: str, keys: Sequence[str]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    body = _object(cls, definitions, keys)
    required = body.pop("required", [])
    short = file_format.split("/")[1]
    return {
        "$schema": _DRAFT,
        "$id": f"urn:infometis:{short}:v1",
        "title": f"InfoMetis {short}",
        **body,
        "properties": {"format": {"const": file_format}, **body["properties"]},
        "required": ["format", *required],
        "$defs": dict(sorted(definitions.items())),
    }


def _local() -> dict[str, Any]:
    values = {
        "type": "object",
        "description": "'{service: {parameter: value}}'.",
        "additionalProperties": {"type": "object"},
    }
    return {
        "$schema": _DRAFT,
        "$id": "urn:infometis:local:v1",
        "title": "InfoMetis local values",
        "description": "Values of this machine alone, above those of the environment; untracked.",
        "type": "object",
        "additionalProperties": False,
        "properties": {"format": {"const": environments.FORMAT}, "values": values},
        "required": ["values"],
    }


def _plugin_section(
    general: Mapping[str, Any], platforms: Mapping[str, PlatformSpec]
) -> dict[str, Any]:
    """Describe a section whose other keys are the settings of the plugin that ``type`` names."""
    section: dict[str, Any] = {
        "description": general.get("description", "How the outside reaches the environment."),
        "type": "object",
        "properties": {"type": {"type": "string", "description": "Name of the plugin."}},
        "required": ["type"],
    }
    if platforms:
        section["properties"]["type"]["examples"] = sorted(platforms)
        section["allOf"] = [
            {
                "if": {"properties": {"type": {"const": name}}},
                "then": _settings(spec),
            }
            for name, spec in sorted(platforms.items())
        ]
    return section


def _add_adapters(definitions: dict[str, Any], borders: Mapping[str, BorderSpec]) -> None:
    """Let the border's section hold one of the adapter's own, under the adapter's name."""
    border = definitions["Border"]
    del border["properties"]["settings"]
    border["required"] = ["type"]
    if not borders:
        # Whose name the section has depends on what is installed.
        border["additionalProperties"] = {"type": "object"}
    for name, spec in sorted(borders.items()):
        border["properties"][name] = _object(spec.settings, definitions, ())


def _settings(spec: PlatformSpec) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    body = _object(spec.settings, definitions, ())
    body["properties"] = {"type": {"const": spec.name}, **body["properties"]}
    return {**body, "$defs": definitions} if definitions else body


def _object(cls: type, definitions: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    attrs.resolve_types(cls)
    summary, texts = _docs(cls)
    properties: dict[str, Any] = {}
    required = []
    for attribute in attrs.fields(cls):
        name = attribute.alias
        if (keys and name not in keys) or name in _NO_KEY or not attribute.init:
            continue
        described = dict(_type(attribute.type, definitions))
        words = _WORDS.get((cls, name))
        if words:
            described = _with_words(described, words)
        if text := texts.get(name):
            described["description"] = text
        if attribute.default is attrs.NOTHING:
            required.append(name)
        elif not isinstance(attribute.default, attrs.Factory):  # type: ignore[arg-type]
            default = unstructure(attribute.default)
            if default not in (None, (), [], "", {}) and not isinstance(default, dict):
                described["default"] = default
        properties[name] = described
    made: dict[str, Any] = {
        "type": "object",
        "description": summary,
        "additionalProperties": False,
        "properties": properties,
    }
    return {**made, "required": required} if required else made


def _with_words(described: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    if described.get("type") == "array":
        return {**described, "items": {"enum": list(words)}}
    return {"enum": list(words)}


def _type(kind: Any, definitions: dict[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401 - any type
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin: Any = get_origin(kind)
    if origin in (Union, UnionType):
        return {"anyOf": [_type(member, definitions) for member in get_args(kind)]}
    base = kind if origin is None else origin
    if isinstance(base, type) and attrs.has(base):
        if base.__name__ not in definitions:
            definitions[base.__name__] = {}  # a class may hold itself
            definitions[base.__name__] = _object(base, definitions, ())
        return {"$ref": f"#/$defs/{base.__name__}"}
    if isinstance(base, type) and issubclass(base, Mapping):
        arguments = get_args(kind)
        below = _type(arguments[1], definitions) if arguments else {}
        return {"type": "object", "additionalProperties": below or True}
    if isinstance(base, type) and issubclass(base, Sequence):
        arguments = get_args(kind)
        below = _type(arguments[0], definitions) if arguments else {}
        return {"type": "array", "items": below or True}
    return {}


def _docs(cls: type) -> tuple[str, dict[str, str]]:
    """Take the summary and the Attributes section out of a docstring."""
    text = inspect.cleandoc(cls.__doc__ or "")
    before, _, rest = text.partition("\nAttributes:\n")
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in rest.splitlines():
        head = re.fullmatch(r"    (\w+(?:, \w+)*): (.*)", line)
        if head:
            names = head[1].split(", ")
            texts.update(dict.fromkeys(names, head[2]))
        elif line.startswith("     ") and names:
            texts.update({name: f"{texts[name]} {line.strip()}" for name in names})
        elif line.strip():
            break
    return _prose(before), {name: _prose(value) for name, value in texts.items()}


def _prose(text: str) -> str:
    """Undo the marks of reStructuredText, and end with a full stop."""
    plain = re.sub(r":\w+:`~?([^`]+)`", r"\1", text).replace("``None``", "null").replace("``", "'")
    flat = " ".join(plain.split())
    flat = flat[:1].upper() + flat[1:]
    return flat if not flat or flat.endswith(".") else f"{flat}."
