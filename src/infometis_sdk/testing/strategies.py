"""Hypothesis strategies for property tests: any value of the model, any JSON.

Needs ``hypothesis``, which the SDK itself does not depend on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import attrs
from hypothesis import strategies as st

from infometis_sdk.model.parameter import Influence
from infometis_sdk.model.secret import SECRET_SCHEMES, SecretRef

__all__ = (
    "T",
    "json_values",
    "values_of",
)

T = TypeVar("T")

_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_WORD = st.from_regex(r"[A-Za-z][A-Za-z0-9.*\[\]=_-]{0,10}", fullmatch=True)
_FEW = 3
"""Most items of a list or mapping; more find nothing more."""


def json_values() -> st.SearchStrategy[Any]:
    """Return a strategy for anything that JSON can carry.

    Example:
        .. code-block:: python

            @given(json_values())
            def test_it(value): ...

    """
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | _TEXT
    )
    return st.recursive(
        leaves,
        lambda below: st.lists(below, max_size=_FEW) | st.dictionaries(_TEXT, below, max_size=_FEW),
        max_leaves=8,
    )


def values_of(cls: type[T]) -> st.SearchStrategy[T]:
    """Return a strategy for values of a class of the model, from the types of its fields.

    The values are well typed, and mostly nonsense: what converts or stores values must keep any.

    Example:
        .. code-block:: python

            @given(values_of(Plan))
            def test_it(plan): ...

    """
    described: Any = cls
    attrs.resolve_types(described)
    fields = {
        attribute.alias: _of(attribute.type)
        for attribute in attrs.fields(described)
        if attribute.init
    }
    return st.builds(cls, **fields)


def _of(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any type of a field
    origin: Any = get_origin(kind)
    base = kind if origin is None else origin
    arguments = get_args(kind)
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if base in (Union, UnionType):
        return st.one_of([_of(member) for member in arguments])
    if isinstance(base, type) and attrs.has(base):
        return st.deferred(lambda: values_of(base))
    if isinstance(base, type) and issubclass(base, Mapping):
        below = _of(arguments[1]) if len(arguments) > 1 else json_values()
        return st.dictionaries(_TEXT, below, max_size=_FEW)
    if isinstance(base, type) and issubclass(base, Sequence):
        if Ellipsis in arguments:
            return st.lists(_of(arguments[0]), max_size=_FEW).map(tuple)
        return st.tuples(*map(_of, arguments))
    return json_values()


_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    NoneType: st.none(),
    Path: _WORD.map(Path),
    SecretRef: st.builds(SecretRef, scheme=st.sampled_from(SECRET_SCHEMES), target=_WORD),
    Influence: st.one_of(
        st.builds(Influence, kind=_WORD, name=_WORD, presence=st.just(value=True)),
        st.builds(Influence, kind=_WORD, name=_WORD, path=_WORD, key=st.just("") | _WORD),
    ),
}
