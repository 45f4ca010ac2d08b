from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
import yaml

from infometis_platform_k0s_docker import K0sDocker
from infometis_sdk._serde import structure

PAGE = Path(__file__).parents[3] / "docs/how-to/k0s-in-docker.md"
SAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_samples_of_the_page(sample: str) -> None:
    """Each sample of the how-to page is a platform as it stands."""
    values = yaml.safe_load(sample)["platform"]
    assert values.pop("type") == "k0s-docker"
    settings, faults = structure(K0sDocker, values)
    assert faults == ()
    assert settings is not None


def test_every_setting_is_on_the_page() -> None:
    """What a user may set is documented."""
    text = PAGE.read_text()
    names = [field.name for field in attrs.fields(K0sDocker)]
    assert [
        name for name in names if not re.search(rf"`{name}[`:]|^ +{name}:", text, re.MULTILINE)
    ] == []
