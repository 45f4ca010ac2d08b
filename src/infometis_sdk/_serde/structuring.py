"""Structure plain data, and turn cattrs' tree of exceptions into faults with places."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
from attrs import frozen
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from infometis_sdk._serde.converter import converter
from infometis_sdk._serde.kinds import base, in_words, is_mapping, is_sequence
from infometis_sdk._serde.misfit import MisfitError, unknown_key
from infometis_sdk.model.fault import Fault, Origin

__all__ = ("structure", "unstructure")

T = TypeVar("T")
Key = str | int
_ROUNDS = 8
"""Structuring again after the faulty parts were taken out ends after a few rounds; this caps it."""


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
            value: T = converter().structure(data, cls)
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
    return converter().unstructure(value)


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
        super().__init__(f"{name!r} is missing", legal=in_words(attrs.fields_dict(cls)[name].type))
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
    if is_sequence(base(kind)):
        return []
    return {} if attrs.has(base(kind)) or is_mapping(base(kind)) else None
