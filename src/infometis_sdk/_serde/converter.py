"""The one strict converter: a hook for each kind of type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args

import attrs
from cattrs import Converter
from cattrs.errors import IterableValidationError, IterableValidationNote

from infometis_sdk._serde.kinds import (
    base,
    in_words,
    is_attrs,
    is_enum,
    is_mapping,
    is_sequence,
    is_union,
)
from infometis_sdk._serde.misfit import MisfitError, nearest, shown
from infometis_sdk.model.parameter import Influence
from infometis_sdk.model.secret import Secret, SecretRef

__all__ = ("converter",)

Hook = Callable[[Any, Any], Any]


@cache
def converter() -> Converter:
    made = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in (str, int, float, bool):
        made.register_structure_hook(kind, _strict)
    made.register_structure_hook(NoneType, _strict)
    made.register_structure_hook(Path, lambda value, _: Path(_strict(value, str)))
    made.register_structure_hook(SecretRef, _secret_ref)
    made.register_structure_hook(Secret, _no_secret)
    made.register_structure_hook(Influence, _influence)
    made.register_unstructure_hook(SecretRef, str)
    made.register_unstructure_hook(Secret, lambda _: "***")
    made.register_unstructure_hook(Influence, str)
    made.register_unstructure_hook(Path, str)
    made.register_structure_hook_factory(is_attrs, lambda cls: _class_hook(made, cls))
    made.register_structure_hook_factory(
        lambda kind: is_sequence(base(kind)), lambda k: _sequence_hook(made, k)
    )
    made.register_structure_hook_factory(
        lambda kind: is_mapping(base(kind)), lambda k: _mapping_hook(made, k)
    )
    made.register_structure_hook_factory(is_union, lambda k: _union_hook(made, k))
    made.register_structure_hook_func(lambda kind: base(kind) is Literal, _literal)
    made.register_structure_hook_func(is_enum, _enum)
    return made


def _misfit(value: Any, kind: Any) -> MisfitError:  # noqa: ANN401
    return MisfitError("has the wrong type", found=shown(value), legal=in_words(kind))


def _strict(value: Any, kind: Any) -> Any:  # noqa: ANN401
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if fits:
        return value
    raise _misfit(value, kind)


def _secret_ref(value: Any, _: Any) -> SecretRef:  # noqa: ANN401
    if isinstance(value, SecretRef):
        return value
    legal = "env:NAME, file:PATH, secret:NAME/KEY, exec:COMMAND or generated"
    # whatever stands here may be a secret: it is not shown
    if not isinstance(value, str):
        message = "has the wrong type"
        raise MisfitError(message, legal=legal)
    try:
        return SecretRef.parse(value)
    except ValueError as error:
        message = "not a secret reference; a secret itself has no place in a file"
        raise MisfitError(message, legal=legal) from error


def _no_secret(value: Any, _: Any) -> Secret:  # noqa: ANN401
    del value
    message = "a secret itself has no place in a file"
    raise MisfitError(message, legal="a secret reference")


def _influence(value: Any, _: Any) -> Influence:  # noqa: ANN401
    if not isinstance(value, str):
        raise _misfit(value, Influence)
    try:
        return Influence.parse(value)
    except ValueError as error:
        raise MisfitError(str(error), found=shown(value), legal=in_words(Influence)) from error


def _literal(value: Any, kind: Any) -> Any:  # noqa: ANN401
    for legal in get_args(kind):
        if value == legal and type(value) is type(legal):
            return value
    texts = [item for item in get_args(kind) if isinstance(item, str)]
    near = nearest(value, texts) if isinstance(value, str) else ""
    message = f"unknown value {shown(value)}"
    raise MisfitError(message, found=shown(value), legal=in_words(kind), near=near)


def _enum(value: Any, kind: Any) -> Any:  # noqa: ANN401
    for member in kind:
        if member.value == value:
            return member
    message = f"unknown value {shown(value)}"
    raise MisfitError(message, found=shown(value), legal=in_words(kind))


def _class_hook(converter: Converter, cls: type) -> Hook:
    attrs.resolve_types(cls)
    inner: Hook = converter.gen_structure_attrs_fromdict(cls)

    def hook(value: Any, kind: Any) -> Any:  # noqa: ANN401
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise _misfit(value, cls)
        return inner(value, kind)

    return hook


def _sequence_hook(converter: Converter, kind: Any) -> Hook:  # noqa: ANN401
    arguments = get_args(kind)
    make = list if base(kind) is list else tuple
    # tuple[X, bool] has one type a place, all else one type for all items
    places = arguments if make is tuple and Ellipsis not in arguments else ()

    def hook(value: Any, _: Any) -> Any:  # noqa: ANN401
        if not isinstance(value, (list, tuple)):
            raise _misfit(value, kind)
        if places and len(value) != len(places):
            message = f"has {len(value)} items"
            raise MisfitError(message, legal=f"{len(places)} items")
        types = places or (arguments[:1] or (Any,)) * len(value)
        return make(_each(converter, zip(range(len(value)), value, types, strict=True), kind))

    return hook


def _mapping_hook(converter: Converter, kind: Any) -> Hook:  # noqa: ANN401
    arguments = get_args(kind)
    item_type = arguments[1] if len(arguments) > 1 else Any

    def hook(value: Any, _: Any) -> Any:  # noqa: ANN401
        if not isinstance(value, Mapping):
            raise _misfit(value, kind)
        items = [(key, item, item_type) for key, item in value.items()]
        return dict(zip(value, _each(converter, items, kind), strict=True))

    return hook


def _each(converter: Converter, items: Iterable[tuple[Any, Any, Any]], kind: Any) -> list[Any]:  # noqa: ANN401
    """Structure every (key, value, type); all faults of all items in one exception."""
    made: list[Any] = []
    errors: list[Exception] = []
    for key, value, item_type in items:
        try:
            made.append(converter.structure(value, item_type))
        except Exception as error:  # noqa: BLE001 - re-raised below in the group
            error.add_note(IterableValidationNote("item", key, item_type))
            errors.append(error)
    if errors:
        message = "items"
        raise IterableValidationError(message, errors, kind)
    return made


def _union_hook(converter: Converter, kind: Any) -> Hook:  # noqa: ANN401
    members = get_args(kind)
    simple = [member for member in members if member in (str, int, float, bool, NoneType)]
    others = [member for member in members if member not in simple]

    def hook(value: Any, _: Any) -> Any:  # noqa: ANN401
        for member in simple:
            if isinstance(value, member) and (member is bool or not isinstance(value, bool)):
                return value
        mapping = isinstance(value, Mapping)
        for member in others:
            takes_mapping = is_mapping(base(member)) or is_attrs(member)
            if len(others) == 1 or takes_mapping == mapping:
                return converter.structure(value, member)
        raise _misfit(value, kind)

    return hook
