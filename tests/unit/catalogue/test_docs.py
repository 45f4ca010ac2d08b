"""The catalogue's page says what the descriptors say.

After a change of a descriptor, write the generated parts of the page anew::

    INFOMETIS_UPDATE_GOLDEN=1 python -m pytest tests/unit/catalogue/test_docs.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.catalogue.stacks import services

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infometis_sdk.model import Parameter, Service

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "catalogue.md"
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ").strip()


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    columns = tuple(head)
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_cell(value) for value in row)} |"
    yield ""


def _default(parameter: Parameter) -> str:
    if parameter.default is None:
        return "unset"
    if parameter.default in ([], {}):
        return "none"
    if isinstance(parameter.default, bool):
        return str(parameter.default).lower()
    return f"`{parameter.default}`"


def _legal(parameter: Parameter) -> str:
    if parameter.choices:
        return " or ".join(str(choice) for choice in parameter.choices)
    low, high = parameter.min, parameter.max
    bounds = (
        f"{low} to {high}" if high is not None else f"at least {low}" if low is not None else ""
    )
    return f"{parameter.type}, {bounds}" if bounds else parameter.type


def _change(parameter: Parameter) -> str:
    parts = {"live": "no restart", "restart": "restart", "create-only": "never"}[
        parameter.mutability
    ]
    shrink = {"allow": "", "never": "; never smaller", "drain": "; smaller after a drain"}[
        parameter.shrink
    ]
    why = f": {parameter.why}" if parameter.why else ""
    return f"{parts}{shrink}{why}"


def generated(service: Service) -> str:
    """Return the part of the page that comes from a descriptor."""
    lines = [f"{service.summary}.", ""]
    images = ", ".join(f"`{image}`" for image in service.images.values())
    needs = ", ".join(service.needs) or "nothing"
    uses = ", ".join(f"`{use}`" for use in service.uses) or "nothing"
    lines += [
        (
            f"Image {images}; starts after {needs}; talks to {uses}; "
            f"may replace versions {service.upgrade.accepts}, and never goes back."
        ),
        "",
    ]
    lines += _table(
        ("parameter", "value", "default", "scope", "change on a running service", "meaning"),
        (
            (f"`{name}`", _legal(p), _default(p), p.scope, _change(p), p.doc)
            for name, p in service.parameters.items()
        ),
    )
    lines += _table(
        ("endpoint", "port", "protocol", "meaning"),
        ((f"`{n}`", e.port, e.protocol, e.doc) for n, e in service.endpoints.items()),
    )
    lines += _table(
        ("credential", "type", "with the volumes", "rotation", "meaning"),
        (
            (f"`{service.name}-{n}`", c.type, "yes" if c.durable else "no", c.rotation, c.doc)
            for n, c in service.credentials.items()
        ),
    )
    return "\n".join(lines)


def test_the_page_says_what_the_descriptors_say() -> None:
    """Each service has its part in the page, and it is what the descriptor gives."""
    page = PAGE.read_text()
    assert sorted(match[2] for match in _PART.finditer(page)) == sorted(services())
    wanted = _PART.sub(lambda m: f"{m[1]}{generated(services()[m[2]])}{m[3]}", page)
    if os.environ.get("INFOMETIS_UPDATE_GOLDEN"):
        PAGE.write_text(wanted)
    assert wanted == PAGE.read_text()
