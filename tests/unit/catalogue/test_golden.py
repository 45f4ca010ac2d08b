"""What the catalogue renders, word for word, so that every change of it is seen in a review.

After a change that is meant, write the files anew and read their difference::

    INFOMETIS_UPDATE_GOLDEN=1 python -m pytest tests/unit/catalogue/test_golden.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.catalogue.stacks import DEV, PROD, Values, rendered

GOLDEN = Path(__file__).parent / "golden"


class _Dumper(yaml.SafeDumper):
    """Writes configuration files as blocks of text."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values twice."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def snapshot(values: Values) -> str:
    """Return the rendered objects without what the engine stamps on every object."""
    lines = []
    for manifest in rendered(values).manifests:
        if not manifest.service:
            continue
        obj = {**manifest.object, "metadata": {"name": manifest.object["metadata"]["name"]}}
        if "template" in obj.get("spec", {}):
            template = {**obj["spec"]["template"]}
            template["metadata"] = {"labels": template["metadata"]["labels"]}
            obj["spec"] = {**obj["spec"], "template": template}
        text = yaml.dump(obj, Dumper=_Dumper, sort_keys=False, width=120)
        lines.append(f"# {manifest.service}\n{text}")
    return "---\n".join(lines)


@pytest.mark.parametrize(("name", "values"), [("dev", DEV), ("prod", PROD)])
def test_the_catalogue_renders_what_was_reviewed(name: str, values: Values) -> None:
    """The objects of a laptop and of a production cluster are those that were reviewed last."""
    path = GOLDEN / f"{name}.yaml"
    found = snapshot(values)
    if os.environ.get("INFOMETIS_UPDATE_GOLDEN"):
        path.write_text(found)
    assert found == path.read_text()
