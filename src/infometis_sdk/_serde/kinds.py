"""Kinds of types, and what each takes in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from infometis_sdk._serde.misfit import shown
from infometis_sdk.model.parameter import Influence
from infometis_sdk.model.secret import Secret, SecretRef

__all__ = ("base", "in_words", "is_attrs", "is_enum", "is_mapping", "is_sequence", "is_union")

_WORDS: dict[Any, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    Path: "text",
    SecretRef: "a secret reference such as env:NAME",
    Influence: "text such as 'StatefulSet/NAME spec.replicas'",
}


def base(kind: Any) -> Any:  # noqa: ANN401
    """Return the class behind ``Mapping[str, int]`` and the like."""
    origin: Any = get_origin(kind)
    return kind if origin is None else origin


def is_attrs(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and attrs.has(kind) and kind not in (SecretRef, Secret, Influence)


def is_sequence(origin: Any) -> bool:  # noqa: ANN401
    return isinstance(origin, type) and origin is not str and issubclass(origin, Sequence)


def is_mapping(origin: Any) -> bool:  # noqa: ANN401
    return isinstance(origin, type) and issubclass(origin, Mapping)


def is_union(kind: Any) -> bool:  # noqa: ANN401
    return base(kind) in (Union, UnionType)


def is_enum(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and issubclass(kind, Enum)


def in_words(kind: Any) -> str:  # noqa: ANN401
    """Say in words what a type takes."""
    if kind in _WORDS:
        return _WORDS[kind]
    if is_union(kind):
        return " or ".join(dict.fromkeys(in_words(member) for member in get_args(kind)))
    if get_origin(kind) is Literal:
        return ", ".join(shown(value) for value in get_args(kind))
    if is_enum(kind):
        return ", ".join(shown(member.value) for member in kind)
    word = "any value"
    if is_sequence(base(kind)):
        word = "a list"
    elif is_mapping(base(kind)) or attrs.has(base(kind)):
        word = "a mapping"
    return word
