"""Write documents that every YAML reader reads as they are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from infometis_sdk._yaml.scalars import FLOAT, GO_BOOL, GO_INT, NUMBERLIKE, TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("dump_all", "dump_yaml")


class _Dumper(yaml.CSafeDumper):
    """Quotes whatever any YAML reader might take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401
        del data
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value.strip("\n") else None
    return dumper.represent_scalar(TAG + "str", value, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(tuple, yaml.representer.SafeRepresenter.represent_list)
# PyYAML prints 1e3, 1234e56 (a short git hash), 0o755 and y unquoted; kubectl reads numbers and
# booleans there. Whatever either dialect reads as something else than text gets quotes.
for _pattern, _kind in (
    (GO_BOOL, "bool"),
    (GO_INT, "int"),
    (FLOAT, "float"),
    (NUMBERLIKE, "float"),
):
    _Dumper.add_implicit_resolver(TAG + _kind, _pattern, list("-+.0123456789yYnNtTfFoO"))


def dump_yaml(value: Any) -> str:  # noqa: ANN401 - any plain value
    """Write one document, keys in their order, that kubectl reads unharmed.

    Example:
        >>> print(dump_yaml({"tag": "1e3", "on": "yes"}), end="")
        tag: '1e3'
        'on': 'yes'

    """
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=4096,
        default_flow_style=False,
    )
    return text.removesuffix("...\n")


def dump_all(values: Iterable[Any]) -> str:
    """Write several documents, each after ``---``."""
    return "".join(f"---\n{dump_yaml(value)}" for value in values)
