from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
import yaml

from infometis_platform_k0s_host import Host, K0sHost
from infometis_sdk._serde import structure

PAGE = Path(__file__).parents[3] / "docs/how-to/k0s-on-hosts.md"
SAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_samples_of_the_page(sample: str) -> None:
    """Each sample of the how-to page is a platform as it stands."""
    values = yaml.safe_load(sample)["platform"]
    assert values.pop("type") == "k0s-host"
    settings, faults = structure(K0sHost, values)
    assert faults == ()
    assert settings is not None


def test_every_setting_is_on_the_page() -> None:
    """What a user may set is documented."""
    text = PAGE.read_text()
    names = [field.name for of in (K0sHost, Host) for field in attrs.fields(of)]
    assert [name for name in names if f"`{name}`" not in text] == []
