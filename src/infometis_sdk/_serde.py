"""Values in and out of plain data: one strict converter, and all faults at once.

cattrs by itself is lenient (``"no"`` becomes ``True``, ``0.5`` becomes ``0``, ``"abc"`` becomes a
list of letters) and its messages speak Python.
Here nothing is coerced, unknown keys are faults, and each fault names its path, what was found,
what is legal, and the nearest known name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
from attrs import frozen
from cattrs import Converter
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.parameter import Influence
from infometis_sdk.model.secret import Secret, SecretRef

__all__ = ("MisfitError", "dumps_json", "nearest", "shown", "structure", "unstructure")

T = TypeVar("T")
Key = str | int
_ROUNDS = 8
"""Structuring again after the faulty parts were taken out ends after a few rounds; this caps it."""

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


class MisfitError(Exception):
    """One value does not fit; the path comes from where it is met."""

    def __init__(self, message: str, *, found: str = "", legal: str = "", near: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.found = found
        self.legal = legal
        self.near = near


def nearest(name: str, known: Collection[str]) -> str:
    """Return the known name that looks most like ``name``; empty when none does.

    Example:
        >>> nearest("replica", ["replicas", "memory"])
        'replicas'

    """
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        close = [k for k in known if k.lower() == name.lower()][:1]
    return close[0] if close else ""


def shown(value: Any) -> str:  # noqa: ANN401 - any value of a file
    """Return a value as a short text for a message, in the way JSON writes it."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "[]"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - one terminal line


def structure(
    cls: type[T],
    data: Any,  # noqa: ANN401 - whatever a file holds
    *,
    keys: Collection[str] = (),
    extra: Mapping[str, Any] | None = None,
    path: str = "",
    file: str = "",
    layer: str = "code",
    lines: Mapping[str, int] | None = None,
) -> tuple[T | None, tuple[Fault, ...]]:
    """Make a value of plain data.

    Args:
        cls: an attrs class, or a type such as ``Mapping[str, Parameter]``.
        data: mappings, lists and scalars.
        keys: the legal keys at the top, where a file may give fewer than the class has.
        extra: added to the data after its keys were checked, such as a name taken from a file name.
        path: put before every path.
        file: for the faults.
        layer: for the faults.
        lines: dotted path to line.

    Returns:
        The value, and every fault.
        With faults the value is the best that can be made of the rest,
        so that further checks can find more; ``None`` where nothing can be made.

    """
    where = _Where(path=path, file=file, layer=layer, lines=lines or {})
    faults: list[Fault] = []
    if keys and isinstance(data, Mapping):
        faults += [where.fault((k,), unknown_key(k, keys)) for k in data if k not in keys]
        data = {key: value for key, value in data.items() if key in keys}
    if extra and isinstance(data, Mapping):
        data = {**data, **extra}
    for turn in range(_ROUNDS):
        try:
            value: T = _converter().structure(data, cls)
        except Exception as error:  # noqa: BLE001 - sorted out by _unfold, which re-raises bugs
            found = list(_unfold(error, ()))
            if turn == 0:
                faults += [where.fault(keys_, misfit) for keys_, misfit in found]
            data = _repaired(data, found)
            if data is _NOTHING:
                break
        else:
            return value, tuple(faults)
    return None, tuple(faults)


def unstructure(value: Any) -> Any:  # noqa: ANN401 - any value of the model
    """Turn a value into mappings, lists and scalars; :func:`structure` turns them back."""
    return _converter().unstructure(value)


def dumps_json(value: Any, *, indent: int | None = None) -> str:  # noqa: ANN401 - any plain value
    """Write canonical JSON: keys sorted, no spaces, no NaN, keys are text.

    Raises:
        TypeError: a key is no text, or a value is nothing that JSON can carry.

    Example:
        >>> dumps_json({"b": 1, "a": ["é"]})
        '{"a":["é"],"b":1}'

    """
    _text_keys(value)
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(
        value,
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=separators,
        indent=indent,
    )


def unknown_key(key: Any, known: Collection[str]) -> MisfitError:  # noqa: ANN401 - keys may be numbers
    """Return what is wrong with a key that nobody knows."""
    near = nearest(str(key), known)
    legal = ", ".join(sorted(known))
    return MisfitError(f"unknown key {str(key)!r}", legal=legal, near=near)


# --- faults ---------------------------------------------------------------------------------------


@frozen(kw_only=True)
class _Where:
    """Turns paths into places."""

    path: str
    file: str
    layer: str
    lines: Mapping[str, int]

    def fault(self, keys: tuple[Key, ...], misfit: MisfitError) -> Fault:
        line, path = self.lines.get(self.path, 0), self.path
        for key in keys:
            path = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else key
            line = self.lines.get(path, line)
        return Fault(
            message=misfit.message,
            origin=Origin(layer=self.layer, file=self.file, line=line),
            path=path,
            found=misfit.found,
            legal=misfit.legal,
            nearest=misfit.near,
        )


class _MissingError(MisfitError):
    """A required key is not there; ``type`` is what it should hold."""

    def __init__(self, name: str, cls: type) -> None:
        super().__init__(f"{name!r} is missing", legal=_word(attrs.fields_dict(cls)[name].type))
        self.type = attrs.fields_dict(cls)[name].type


def _unfold(
    error: BaseException, path: tuple[Key, ...]
) -> list[tuple[tuple[Key, ...], MisfitError]]:
    """Flatten cattrs' tree of exceptions; what is no fault of the data is raised again."""
    found: list[tuple[tuple[Key, ...], MisfitError]] = []
    if isinstance(error, ClassValidationError):
        noted, others = error.group_exceptions()
        for inner, note in noted:
            if isinstance(inner, KeyError) and inner.args == (note.name,):
                found.append(((*path, note.name), _MissingError(note.name, error.cl)))
            else:
                found += _unfold(inner, (*path, note.name))
        for inner in others:
            if isinstance(inner, ForbiddenExtraKeysError):
                known = [a.alias for a in attrs.fields(inner.cl) if a.init]
                extra = sorted(inner.extra_fields, key=str)
                found += [((*path, key), unknown_key(key, known)) for key in extra]
            else:
                found += _unfold(inner, path)
    elif isinstance(error, IterableValidationError):
        for inner, item in error.group_exceptions()[0]:
            found += _unfold(inner, (*path, item.index))
    elif isinstance(error, MisfitError):
        found.append((path, error))
    elif isinstance(error, (ValueError, TypeError)):
        # the class's own validator; a settings class of a plugin brings such
        found.append((path, MisfitError(str(error))))
    else:
        raise error
    return found


_NOTHING = object()


def _repaired(data: Any, found: list[tuple[tuple[Key, ...], MisfitError]]) -> Any:  # noqa: ANN401
    """Take out what is faulty and put placeholders where something is missing."""
    copy = _copy(data)
    # deepest and last first, so that indexes stay right
    for path, misfit in sorted(found, key=lambda item: (len(item[0]), str(item[0])), reverse=True):
        if not path:
            return _NOTHING
        holder = copy
        try:
            for key in path[:-1]:
                holder = holder[key]
            if isinstance(misfit, _MissingError):
                holder[path[-1]] = _placeholder(misfit.type)
            elif isinstance(holder, list):
                holder[int(path[-1])] = _NOTHING
            else:
                del holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # taken out together with something above it
    return _without_nothing(copy)


def _copy(data: Any) -> Any:  # noqa: ANN401
    if isinstance(data, Mapping):
        return {key: _copy(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_copy(value) for value in data]
    return data


def _without_nothing(data: Any) -> Any:  # noqa: ANN401
    if isinstance(data, dict):
        return {key: _without_nothing(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_without_nothing(value) for value in data if value is not _NOTHING]
    return data


def _placeholder(kind: Any) -> Any:  # noqa: ANN401
    if kind in (str, int, float, bool, Path):
        return "" if kind is Path else kind()
    if _is_sequence(_base(kind)):
        return []
    return {} if attrs.has(_base(kind)) or _is_mapping(_base(kind)) else None


def _text_keys(value: Any) -> None:  # noqa: ANN401
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                msg = f"a key is no text: {key!r}"
                raise TypeError(msg)
            _text_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _text_keys(item)


# --- the converter --------------------------------------------------------------------------------

Hook = Callable[[Any, Any], Any]


@cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in (str, int, float, bool):
        converter.register_structure_hook(kind, _strict)
    converter.register_structure_hook(NoneType, _strict)
    converter.register_structure_hook(Path, lambda value, _: Path(_strict(value, str)))
    converter.register_structure_hook(SecretRef, _secret_ref)
    converter.register_structure_hook(Secret, _no_secret)
    converter.register_structure_hook(Influence, _influence)
    converter.register_unstructure_hook(SecretRef, str)
    converter.register_unstructure_hook(Secret, lambda _: "***")
    converter.register_unstructure_hook(Influence, str)
    converter.register_unstructure_hook(Path, str)
    converter.register_structure_hook_factory(_is_attrs, lambda cls: _class_hook(converter, cls))
    converter.register_structure_hook_factory(
        lambda kind: _is_sequence(_base(kind)), lambda k: _sequence_hook(converter, k)
    )
    converter.register_structure_hook_factory(
        lambda kind: _is_mapping(_base(kind)), lambda k: _mapping_hook(converter, k)
    )
    converter.register_structure_hook_factory(_is_union, lambda k: _union_hook(converter, k))
    converter.register_structure_hook_func(lambda kind: _base(kind) is Literal, _literal)
    converter.register_structure_hook_func(_is_enum, _enum)
    return converter


def _base(kind: Any) -> Any:  # noqa: ANN401
    """Return the class behind ``Mapping[str, int]`` and the like."""
    origin: Any = get_origin(kind)
    return kind if origin is None else origin


def _is_attrs(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and attrs.has(kind) and kind not in (SecretRef, Secret, Influence)


def _is_sequence(origin: Any) -> bool:  # noqa: ANN401
    return isinstance(origin, type) and origin is not str and issubclass(origin, Sequence)


def _is_mapping(origin: Any) -> bool:  # noqa: ANN401
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_union(kind: Any) -> bool:  # noqa: ANN401
    return _base(kind) in (Union, UnionType)


def _is_enum(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and issubclass(kind, Enum)


def _word(kind: Any) -> str:  # noqa: ANN401
    """Say in words what a type takes."""
    if kind in _WORDS:
        return _WORDS[kind]
    if _is_union(kind):
        return " or ".join(dict.fromkeys(_word(member) for member in get_args(kind)))
    if get_origin(kind) is Literal:
        return ", ".join(shown(value) for value in get_args(kind))
    if _is_enum(kind):
        return ", ".join(shown(member.value) for member in kind)
    word = "any value"
    if _is_sequence(_base(kind)):
        word = "a list"
    elif _is_mapping(_base(kind)) or attrs.has(_base(kind)):
        word = "a mapping"
    return word


def _misfit(value: Any, kind: Any) -> MisfitError:  # noqa: ANN401
    return MisfitError("has the wrong type", found=shown(value), legal=_word(kind))


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
        raise MisfitError(str(error), found=shown(value), legal=_word(Influence)) from error


def _literal(value: Any, kind: Any) -> Any:  # noqa: ANN401
    for legal in get_args(kind):
        if value == legal and type(value) is type(legal):
            return value
    texts = [item for item in get_args(kind) if isinstance(item, str)]
    near = nearest(value, texts) if isinstance(value, str) else ""
    message = f"unknown value {shown(value)}"
    raise MisfitError(message, found=shown(value), legal=_word(kind), near=near)


def _enum(value: Any, kind: Any) -> Any:  # noqa: ANN401
    for member in kind:
        if member.value == value:
            return member
    message = f"unknown value {shown(value)}"
    raise MisfitError(message, found=shown(value), legal=_word(kind))


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
    make = list if _base(kind) is list else tuple
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
            takes_mapping = _is_mapping(_base(member)) or _is_attrs(member)
            if len(others) == 1 or takes_mapping == mapping:
                return converter.structure(value, member)
        raise _misfit(value, kind)

    return hook
