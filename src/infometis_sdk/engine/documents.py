"""Read YAML as the Kubernetes tools read it: safely, strictly, with line numbers."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml
from attrs import frozen

__all__ = ("Document", "DocumentError", "parse_documents")

# Aliases can multiply a short text into gigabytes; no honest manifest comes near this.
_MAX_NODES = 2_000_000


class DocumentError(ValueError):
    """The text is not YAML, or not such as we accept; ``line`` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@frozen(kw_only=True)
class Document:
    """One YAML document: its data, and its first and last line (from 1)."""

    data: Any
    line: int
    end: int


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Refuses duplicate keys, leaves dates as text, and knows the numbers of YAML 1.2."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode) and key.value != "<<":
                msg = f"the key {key.value!r} is there twice"
                raise DocumentError(msg, key.start_mark.line + 1)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return made


# JSON carries no dates; and "2001-01-01" as a label value is text.
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in _Base.yaml_implicit_resolvers.items()
}
# PyYAML reads 1e3 as text, kubectl and the API server as a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


def parse_documents(text: str) -> list[Document]:
    """Read all documents of a text; empty ones are left out.

    Raises:
        DocumentError: not YAML, a duplicate key, or too many aliases.

    Example:
        >>> [d.data for d in parse_documents("a: 1\\n---\\n---\\nb: yes\\n")]
        [{'a': 1}, {'b': True}]

    """
    documents = []
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            data = loader.construct_document(node)
            if data is None:
                continue
            if "*" in text and _size(data, {}) > _MAX_NODES:
                msg = "aliases blow the document up beyond reason"
                raise DocumentError(msg, node.start_mark.line + 1)
            documents.append(
                Document(data=data, line=node.start_mark.line + 1, end=node.end_mark.line + 1)
            )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError(f"not YAML: {problem}", mark.line + 1 if mark else 0) from error
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise DocumentError(f"not YAML: {str(error).splitlines()[0]}", line) from error
    except (ValueError, TypeError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"not YAML: {error}", 0) from error
    finally:
        loader.dispose()
    return documents


def _size(value: Any, known: dict[int, int]) -> int:  # noqa: ANN401 - YAML
    """Count the nodes that a value would have if nothing were shared."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = 0  # a value inside itself must not recurse for ever
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known) for item in items)
    return known[id(value)]
