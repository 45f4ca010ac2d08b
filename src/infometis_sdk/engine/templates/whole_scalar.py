"""The rule that a printed expression is a whole YAML value, checked on a template's source.

``name: {{ name }}-headless`` would print ``name: "kafka"-headless``.
The right form is ``name: {{ name ~ "-headless" }}``, and the fault shows it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import jinja2

__all__ = ("Glued", "glued_expressions")

_MARK = "\x00"
_SIMPLE = re.compile(r"""[\w.]+(\([^()|]*\))?|"[^"]*"|'[^']*'""")
_PLAIN_END = re.compile(r":(?=\s|$)|\s#")
_WHOLE = re.compile(r"\s*(?:$|\s#|:(?=\s|$))")
_WHOLE_IN_FLOW = re.compile(r"\s*(?:$|\s#|:(?=\s|$)|[,\]}])")
_PLAIN_END_IN_FLOW = re.compile(r":(?=\s|$)|\s#|[,\[\]{}]")


@frozen(kw_only=True)
class Glued:
    """An expression that is only part of a value: where, why, and the right form."""

    line: int
    message: str
    right: str


@frozen(kw_only=True)
class _Expression:
    line: int
    source: str


def glued_expressions(env: jinja2.Environment, source: str) -> list[Glued]:
    """Return every printed expression of a template that is not a whole YAML value."""
    text, expressions = _masked(env, source)
    scanner = _Scanner(expressions)
    for line in text.split("\n"):
        scanner.line(line)
    return scanner.found


def _masked(env: jinja2.Environment, source: str) -> tuple[str, list[_Expression]]:
    """Return the template's text with one mark for each expression and nothing for each tag."""
    parts: list[str] = []
    expressions: list[_Expression] = []
    inside: list[str] | None = None
    start = 0
    skip = False
    for line, what, value in env.lex(source):
        if what == "variable_begin":
            inside, start = [], line
        elif what == "variable_end":
            expressions.append(_Expression(line=start, source="".join(inside or ()).strip()))
            parts.append(_MARK)
            inside = None
        elif what in ("block_begin", "comment_begin"):
            skip = True
        elif what in ("block_end", "comment_end"):
            skip = False
        elif inside is not None:
            inside.append(value)
        elif what == "data" and not skip:
            parts.append(value.replace(_MARK, " "))
    return "".join(parts), expressions


class _Scanner:
    """Walks the lines of a masked template with just enough YAML to know where values begin."""

    def __init__(self, expressions: list[_Expression]) -> None:
        self.found: list[Glued] = []
        self._left = list(expressions)
        self._depth = 0
        self._block_indent: int | None = None

    def line(self, text: str) -> None:
        indent = len(text) - len(text.lstrip(" "))
        if self._block_indent is not None:
            if not text.strip() or indent > self._block_indent:
                for _ in range(text.count(_MARK)):
                    self._fault(
                        [self._left.pop(0)],
                        "stands inside a block of text",
                        "put the text into files/ and print config(...)",
                    )
                return
            self._block_indent = None
        self._scan(text, indent)

    def _scan(self, text: str, indent: int) -> None:
        at, expecting = 0, True
        while at < len(text):
            char = text[at]
            if char in " \t":
                at += 1
            elif char == "#" and (at == 0 or text[at - 1] in " \t"):
                self._drop(text[at:])
                return
            elif expecting:
                at, expecting = self._value(text, at, indent)
            else:
                at, expecting = self._after(text, at)
            if at < 0:
                return

    def _value(self, text: str, at: int, indent: int) -> tuple[int, bool]:
        """Read what stands where a value may begin; -1 ends the line."""
        char = text[at]
        follows = text[at + 1 : at + 2]
        if char in "-?" and not self._depth and follows in ("", " "):
            return at + 1, True
        if char in "[{":
            self._depth += 1
            return at + 1, True
        if char in "]}" and self._depth:
            self._depth -= 1
            return at + 1, False
        if char in "&!":
            end = re.compile(r"\S+").match(text, at)
            return (end.end() if end else at + 1), True
        if char in "|>" and not self._depth:
            self._block_indent = indent
            return -1, False
        if char in "\"'":
            return self._quoted(text, at)
        ends = _WHOLE_IN_FLOW if self._depth else _WHOLE
        if char == _MARK and ends.match(text, at + 1):
            self._left.pop(0)
            return at + 1, False
        return self._plain(text, at)

    def _quoted(self, text: str, at: int) -> tuple[int, bool]:
        quote = text[at]
        pattern = r'"(?:[^"\\]|\\.)*"?' if quote == '"' else r"'(?:[^']|'')*'?"
        match = re.compile(pattern).match(text, at)
        piece = match.group() if match else text[at:]
        if _MARK in piece:
            self._glued(piece.strip(quote), "stands inside quotes")
        return at + len(piece), False

    def _plain(self, text: str, at: int) -> tuple[int, bool]:
        end = (_PLAIN_END_IN_FLOW if self._depth else _PLAIN_END).search(text, at)
        piece = text[at : end.start() if end else len(text)]
        if not piece:
            return at + 1, True
        if _MARK in piece:
            self._glued(piece.strip(), "is glued to text")
        return at + len(piece), False

    def _after(self, text: str, at: int) -> tuple[int, bool]:
        """Read what may follow a value."""
        char = text[at]
        if char == ":":
            return at + 1, True
        if char == "," and self._depth:
            return at + 1, True
        if char in "]}" and self._depth:
            self._depth -= 1
            return at + 1, False
        if char == _MARK:
            self._fault(
                [self._left.pop(0)],
                "follows another value",
                "one expression, such as {{ a if condition else b }}",
            )
        return at + 1, False

    def _drop(self, text: str) -> None:
        """Expressions in a comment are harmless: JSON has no line breaks."""
        for _ in range(text.count(_MARK)):
            self._left.pop(0)

    def _glued(self, piece: str, why: str) -> None:
        texts = piece.split(_MARK)
        expressions = [self._left.pop(0) for _ in texts[1:]]
        parts: list[str] = []
        for text, expression in zip(texts, [*expressions, None], strict=True):
            if text:
                parts.append(json.dumps(text, ensure_ascii=False))
            if expression:
                source = expression.source
                parts.append(source if _SIMPLE.fullmatch(source) else f"({source})")
        self._fault(expressions, why, f"{{{{ {' ~ '.join(parts)} }}}}")

    def _fault(self, expressions: list[_Expression], why: str, right: str) -> None:
        first = expressions[0]
        self.found.append(
            Glued(
                line=first.line,
                message=f"the expression {{{{ {first.source} }}}} {why};"
                " a printed expression is a whole YAML value",
                right=right,
            )
        )
