"""Rows for people: plain text, colours on a terminal, escaped HTML in a notebook."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

import attrs
from attrs import field, frozen

__all__ = ("Table", "apart", "shortened", "visible")


@frozen(kw_only=True)
class Table:
    """Rows for people: title, column names, cells as text, and closing lines."""

    title: str = ""
    columns: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    rows: tuple[tuple[str, ...], ...] = field(default=(), converter=tuple[tuple[str, ...], ...])
    footer: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    def without_empty(self) -> Table:
        """Leave out columns that say nothing in any row."""
        keep = [i for i in range(len(self.columns)) if any(row[i] for row in self.rows)]
        return attrs.evolve(
            self,
            columns=tuple(self.columns[i] for i in keep),
            rows=tuple(tuple(row[i] for i in keep) for row in self.rows),
        )

    def text(self) -> str:
        """Lay the table out in plain text, columns aligned by spaces.

        Example:
            >>> print(Table(columns=("A", "B"), rows=(("x", "1"), ("yy", "2"))).text())
            A   B
            x   1
            yy  2

        """
        seen = self.without_empty()
        lines = [seen.title] if seen.title else []
        if seen.rows:
            cells = [seen.columns, *(tuple(_line(cell) for cell in row) for row in seen.rows)]
            widths = [max(_width(row[i]) for row in cells) for i in range(len(seen.columns))]
            lines.extend(
                "  ".join(
                    cell + " " * (width - _width(cell))
                    for cell, width in zip(row, widths, strict=True)
                ).rstrip()
                for row in cells
            )
        lines.extend(visible(line) for line in seen.footer)
        return "\n".join(lines)

    def markup(self) -> str:
        """Return escaped HTML."""
        seen = self.without_empty()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in seen.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in seen.rows
        )
        lines = "\n".join(html.escape(line) for line in seen.footer)
        table = (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
        )
        foot = f"<pre>{lines}</pre>" if lines else ""
        return f"<div><p><b>{html.escape(seen.title)}</b></p>{table}{foot}</div>"

    def rich(self) -> Any:  # noqa: ANN401 - rich is imported only when it draws
        """Return what rich draws on a terminal: states in colour, long cells folded."""
        from rich.console import Group  # noqa: PLC0415
        from rich.table import Table as RichTable  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        seen = self.without_empty()
        parts: list[Any] = [Text(seen.title, style="bold")] if seen.title else []
        if seen.rows:
            grid = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
            for number, name in enumerate(seen.columns):
                words = " ".join(row[number] for row in seen.rows).split() if name in _SHORT else ()
                least = max((len(word) for word in words), default=0)
                grid.add_column(name, overflow="fold", min_width=least or None)
            for row in seen.rows:
                cells = zip(seen.columns, row, strict=True)
                grid.add_row(
                    *(Text(visible(cell), style=_tint(name, cell)) for name, cell in cells)
                )
            parts.append(grid)
        parts.extend(_hanging(visible(line)) for line in seen.footer)
        return Group(*parts)


_SHORT = ("ACTION", "LEVEL", "RESULT", "STATE", "VERSION")
"""Columns whose words are few and known; their cells are coloured and their words stay whole."""
_TINTS = {
    "applied": "green",
    "create": "green",
    "delete": "red",
    "deleted": "red",
    "drift": "red",
    "error": "bold red",
    "failed": "bold red",
    "foreign": "yellow",
    "loaded": "green",
    "missing": "red",
    "ok": "green",
    "pending": "cyan",
    "progressing": "yellow",
    "ready": "green",
    "replace": "magenta",
    "skipped": "yellow",
    "update": "yellow",
    "warning": "yellow",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_TINTS = {
    "+": "green",
    "-": "red",
    "~": "yellow",
    "event:": "dim",
    "hint:": "cyan",
    "log:": "dim",
    "needs": "yellow",
    "refused:": "bold red",
    "warning:": "yellow",
}


def _tint(column: str, cell: str) -> str:
    return _TINTS.get(cell.split(" ", maxsplit=1)[0], "") if column in _SHORT else ""


def _hanging(line: str) -> Any:  # noqa: ANN401 - rich is imported only when it draws
    """Draw a closing line; where it is too long, it goes on below its text, not below its mark."""
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    text = line.lstrip()
    mark, _, rest = text.partition(" ")
    tint = _LINE_TINTS.get(mark, "")
    if not rest or (not tint and text == line):
        return Text(line, style=tint)
    indent = line[: len(line) - len(text)]
    grid = RichTable.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    if tint:
        grid.add_row(Text(f"{indent}{mark} ", style=tint), Text(rest, style=tint))
    else:
        grid.add_row(Text(indent), Text(text))
    return grid


def apart(old: str, new: str) -> tuple[str, str]:
    r"""Leave out of two texts the lines at their beginning and end that both share.

    What of a long file was changed would be cut off otherwise.

    Example:
        >>> apart("# kafka\nlinger=1\nacks=all", "# kafka\nlinger=5\nacks=all")
        ('linger=1', 'linger=5')
        >>> apart("one", "two")
        ('one', 'two')

    """
    lines = old.splitlines(), new.splitlines()
    if max(map(len, lines)) <= 1 or old == new:
        return old, new
    most = min(map(len, lines))
    head = next((n for n in range(most) if lines[0][n] != lines[1][n]), most)
    most -= head
    tail = next((n for n in range(most) if lines[0][-1 - n] != lines[1][-1 - n]), most)
    first, second = ("\n".join(side[head : len(side) - tail]) for side in lines)
    return (first, second) if first != second else (old, new)


def shortened(text: str) -> str:
    """Cut what would make a table unreadable; the whole value is in ``to_dict``."""
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - two fit on one line


def visible(text: str) -> str:
    r"""Write control characters out: what comes from a cluster must not steer a terminal.

    Example:
        >>> print(visible("red \x1b[31m"))
        red \x1b[31m

    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _line(cell: str) -> str:
    """Keep a cell on its line, whatever it holds."""
    return visible(cell.replace("\r", "").replace("\n", "\\n"))


def _width(text: str) -> int:
    """Return the columns that a terminal gives a text: two for wide characters, none for marks."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
