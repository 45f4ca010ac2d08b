from __future__ import annotations

import pytest

from infometis_platform_kind import Kind
from infometis_platform_kind.config import cluster_name, kind_config


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kubernetes": "1.36"}, "is no Kubernetes version"),
        ({"kubernetes": "v1.30.0"}, "has no image of 'v1.30.0', only of v1.37.0"),
        ({"workers": 21}, "is not between 0 and 20"),
        ({"ports": ("80",)}, "is no port mapping"),
        ({"ports": ("0:80",)}, "is no port mapping"),
        ({"ports": ("80:80", "80:81")}, "takes a host port twice"),
        ({"listen": "everywhere"}, "is no IP address"),
        ({"api_port": 70000}, "is not between"),
        ({"adopt": "My Cluster"}, "is no name of a kind cluster"),
        ({"binary": "bin/kind"}, "is not an absolute path"),
        ({"provider": "lxc"}, "provider"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, object], words: str) -> None:
    """Every wrong value is refused with its name and what would be right."""
    with pytest.raises(ValueError, match=words):
        Kind(**settings)  # type: ignore[arg-type]


def test_images_are_pinned_by_digest() -> None:
    """A version means the very image that belongs to the release of kind."""
    assert Kind(kubernetes="v1.36.4").node_image.startswith("kindest/node:v1.36.4@sha256:")
    assert Kind(kubernetes="v1.30.0", image="mine:1").node_image == "mine:1"


def test_nothing_listens_beyond_loopback() -> None:
    """Kind would publish on all addresses; we say 127.0.0.1 for every port and the API."""
    config = kind_config("demo", Kind(workers=2, ports=("8080:80", "9000:9000/udp")))
    assert config["networking"] == {"apiServerAddress": "127.0.0.1", "apiServerPort": 0}
    first, *workers = config["nodes"]
    assert [node["role"] for node in workers] == ["worker", "worker"]
    assert first["extraPortMappings"] == [
        {"containerPort": 80, "hostPort": 8080, "listenAddress": "127.0.0.1", "protocol": "TCP"},
        {"containerPort": 9000, "hostPort": 9000, "listenAddress": "127.0.0.1", "protocol": "UDP"},
    ]
    assert len({node["image"] for node in config["nodes"]}) == 1


def test_long_names_stay_unique() -> None:
    """A name that would not fit a host name is shortened by a digest of the whole."""
    long = "a" * 63
    assert len(cluster_name(long)) == 50
    assert cluster_name(long) != cluster_name(long[:-1] + "b")
    assert cluster_name("demo-dev") == "demo-dev"
