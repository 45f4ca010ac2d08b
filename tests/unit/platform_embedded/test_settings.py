from __future__ import annotations

from typing import Any

import pytest

from infometis_platform_embedded import Embedded, plugin
from infometis_platform_embedded.binaries.versions import BUILDABLE
from infometis_platform_embedded.settings import DEFAULT_KUBERNETES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kubernetes", "1.36.3"),
        ("kubernetes", "v1.36"),
        ("nodes", 0),
        ("nodes", True),
        ("nodes", 501),
        ("node_cpu", "0"),
        ("node_cpu", "four"),
        ("node_memory", "16GB"),
        ("node_pods", 0),
        ("port", -1),
        ("port", 65536),
        ("data_dir", "relative/path"),
        ("assets", "./bin"),
        ("mirror", "ftp://example.invalid"),
        ("lifetime", "forever"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    """A value that cannot be is refused with the name of the setting and the value."""
    with pytest.raises(ValueError, match=name) as caught:
        Embedded(**{name: value})
    assert repr(value) in str(caught.value)


def test_the_default_version_can_be_built() -> None:
    """Where nothing can be downloaded, the default settings still work."""
    assert DEFAULT_KUBERNETES == BUILDABLE


def test_the_platform_is_registered() -> None:
    """The plugin offers one platform, named embedded, with a storage class for services."""
    (spec,) = plugin.infometis_platforms()
    assert spec.name == "embedded"
    assert spec.settings is Embedded
    assert spec.defaults(Embedded()) == {"storage_class": "standard"}
