from __future__ import annotations

import re

from infometis_sdk import errors


def _drawn() -> dict[str, tuple[str, int]]:
    """Read the tree in the docstring: name of each error, its parent and its exit code."""
    found: dict[str, tuple[str, int]] = {}
    parents: list[tuple[int, str]] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+Error)\s+(?:exit code )?(\d+)\b", line)
        if match is None:
            continue
        depth, name, code = len(match[1]), match[2], int(match[3])
        while parents and parents[-1][0] >= depth:
            parents.pop()
        found[name] = (parents[-1][1] if parents else "Exception", code)
        parents.append((depth, name))
    return found


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every error is drawn under its parent with the exit code that the command line ends with."""
    classes = [getattr(errors, name) for name in errors.__all__]
    actual = {cls.__name__: (cls.__base__.__name__, cls.exit_code) for cls in classes}
    assert _drawn() == actual


def test_message_is_followed_by_the_hint() -> None:
    """What is wrong comes first, what to do about it after it, and both can be had alone."""
    error = errors.RefusedError("no room in 'dev'", hint="make room")
    assert str(error) == "no room in 'dev'\n  hint: make room"
    assert (error.message, error.hint) == ("no room in 'dev'", "make room")
    assert str(errors.RefusedError("no room in 'dev'")) == "no room in 'dev'"
