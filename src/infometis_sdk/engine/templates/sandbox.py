"""The Jinja environments in which templates and files are rendered, and what they may do."""

from __future__ import annotations

import functools
import json
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects import quantity

if TYPE_CHECKING:
    import jinja2

__all__ = (
    "CLOSE",
    "OPEN",
    "TemplateError",
    "UndefinedName",
    "concatenate",
    "environment",
    "json_text",
)

OPEN, CLOSE = "\ue000", "\ue001"
"""Marks around a printed value in a file, until the encoder of its type replaces them.

Two characters of the private use area; inside values they are escaped.
"""

# PyYAML accepts neither control characters nor lone surrogates in its input, and reads some
# exotic characters as line breaks; JSON may escape any character, so these are.
_ESCAPED = re.compile(
    "[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue002-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

# Readers of YAML 1.1 (PyYAML, SnakeYAML) take 1e-05 for text, and 1.0e-05 for a number.
_EXPONENT = re.compile(r"\de[-+]\d")
_STRING_OR_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|(?<![.\d])(-?\d+)e([-+]\d+)')

# What makes large results from small texts is barred; a template needs none of it.
_GREEDY_METHODS = frozenset(
    {"center", "expandtabs", "format", "format_map", "join", "ljust", "replace", "rjust", "zfill"}
)
_GREEDY_FILTERS = ("center", "filesizeformat", "indent", "urlize", "wordwrap", "xmlattr")
_MAX_BITS = 4096
_MAX_REPEAT = 10_000
_MAX_VALUE = 4 * 1024 * 1024


class TemplateError(Exception):
    """A helper refuses what a template asks; becomes a fault at the template's line."""

    def __init__(self, message: str, *, legal: str = "", nearest: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.legal = legal
        self.nearest = nearest


class UndefinedName(Exception):  # noqa: N818 - what it is
    """A template used a name, or a key of a mapping, that is not there."""

    def __init__(self, owner: object, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.known = tuple(str(key) for key in owner) if isinstance(owner, Mapping) else ()


def json_text(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a value as JSON that is YAML too, on one line.

    Raises:
        TemplateError: not a value that JSON can carry.

    """
    if isinstance(value, types.GeneratorType):
        value = list(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"cannot print {type(value).__name__}: {error}"
        raise TemplateError(
            msg, legal="text, numbers, true, false, null, lists and maps"
        ) from error
    if _EXPONENT.search(text):
        text = _STRING_OR_FLOAT.sub(lambda m: f"{m[1]}.0e{m[2]}" if m[1] else m[0], text)
    return _ESCAPED.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\u{ord(unit):04x}" for unit in match.group())


def concatenate(parts: Iterable[Any]) -> str:
    """Join texts as ``~`` does; doubling a text again and again ends here.

    Raises:
        TemplateError: the result would be too large.

    """
    texts = []
    size = 0
    for part in parts:
        texts.append(str(part))
        size += len(texts[-1])
        _bounded(size)
    return "".join(texts)


def _bounded(size: int) -> None:
    if size > _MAX_VALUE:
        msg = f"a value of more than {_MAX_VALUE // 2**20} MiB is too large"
        raise TemplateError(msg)


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > _MAX_REPEAT:
        msg = f"a range of {len(made)} numbers is too large"
        raise TemplateError(msg, legal=f"at most {_MAX_REPEAT}")
    return made


def _join(values: Iterable[Any], separator: str = "", attribute: str = "") -> str:
    texts = [value[attribute] if attribute else value for value in values]
    parts = [part for text in texts for part in (separator, text)]
    return concatenate(parts[1:])


def _replace(text: Any, old: str, new: str, count: int = -1) -> str:  # noqa: ANN401 - printed
    source = str(text)
    _bounded(len(source) + source.count(old) * len(new))
    return source.replace(old, new, count)


def _quantity_filter(convert: Callable[[Any], int]) -> Callable[[Any], int]:
    def apply(value: Any) -> int:  # noqa: ANN401 - JSON
        import jinja2

        if isinstance(value, jinja2.Undefined):
            str(value)  # raises what strict undefined values raise
        try:
            return convert(value)
        except (ValueError, TypeError) as error:
            raise TemplateError(str(error), legal="a quantity such as 512Mi or 2Gi") from error

    return apply


@functools.cache
def environment(*, marked: bool) -> jinja2.Environment:  # noqa: C901 - classes of a lazy import
    """Return the environment for files (``marked``) or for templates of Kubernetes objects.

    It is the same object every time and holds no state of any render.
    """
    import jinja2
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import missing

    class Undefined(jinja2.StrictUndefined):
        """Raises an error that knows what was looked for, and where."""

        def __init__(
            self,
            hint: str | None = None,
            obj: object = missing,
            name: str | None = None,
            exc: type[jinja2.TemplateRuntimeError] = jinja2.UndefinedError,
        ) -> None:
            super().__init__(hint, obj, name, exc)
            owner = obj if isinstance(obj, Mapping) else None
            self._undefined_exception = functools.partial(UndefinedName, owner, str(name or ""))  # type: ignore[assignment]

    class Sandbox(ImmutableSandboxedEnvironment):
        """Plain data in, text out: nothing mutable, nothing endless, nothing at random."""

        intercepted_binops = frozenset({"*", "**", "%", "+"})

        def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - JSON
            # A parameter called "items" is the parameter, not a method of dict.
            if isinstance(obj, dict) and attribute in obj:
                return obj[attribute]
            return super().getattr(obj, attribute)

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - JSON
            if isinstance(obj, str) and attr in _GREEDY_METHODS:
                return False
            return super().is_safe_attribute(obj, attr, value)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - JSON
            numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
            if not numbers and operator == "*":
                count = left if isinstance(left, int) else right
                if isinstance(count, int) and count > _MAX_REPEAT:
                    msg = f"a text or list repeated {count} times is too large"
                    raise SecurityError(msg)
            elif not numbers and operator == "+":
                if isinstance(left, Sized) and isinstance(right, Sized):
                    _bounded(len(left) + len(right))
            elif not numbers:
                msg = f"the operator {operator} is for numbers; join text with ~"
                raise SecurityError(msg)
            elif operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
                bits = left.bit_length() * (right if operator == "**" else 1)
                if bits + right.bit_length() > _MAX_BITS:
                    msg = f"{operator} makes too large a number here"
                    raise SecurityError(msg)
            return super().call_binop(context, operator, left, right)

    def finalize(value: Any) -> str:  # noqa: ANN401 - JSON
        if isinstance(value, jinja2.Undefined):
            str(value)  # raises
        text = json_text(value)
        return f"{OPEN}{text}{CLOSE}" if marked else text

    made = Sandbox(
        undefined=Undefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    # "namespace" would hide the fault of a template that asks for the environment's namespace;
    # lipsum and random are not deterministic.
    made.globals = {"range": _range, "dict": dict}
    for name in (*_GREEDY_FILTERS, "random", "format", "pprint"):
        made.filters.pop(name, None)
    made.filters["join"] = _join
    made.filters["replace"] = _replace
    made.filters["tojson"] = functools.partial(json.dumps, sort_keys=True, ensure_ascii=False)
    made.filters["mebibytes"] = _quantity_filter(quantity.mebibytes)
    made.filters["bytes"] = _quantity_filter(quantity.bytes_of)
    return made
