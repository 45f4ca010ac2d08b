from __future__ import annotations

import pytest

from infometis_platform_k0s_host import Host, K0sHost
from infometis_platform_k0s_host.plugin import infometis_platforms
from infometis_sdk._serde import structure

ONE = Host(address="a", role="single")


def test_the_platform_is_registered() -> None:
    """`platform: {type: k0s-host, hosts: […]}` is known by the settings class."""
    (spec,) = infometis_platforms()
    assert (spec.name, spec.settings) == ("k0s-host", K0sHost)


def test_settings_from_a_file() -> None:
    """Hosts are read from plain mappings, as a file gives them."""
    host = {"address": "10.0.0.5", "role": "controller+worker", "labels": {"disk": "fast"}}
    settings, faults = structure(K0sHost, {"hosts": [host], "api_port": 7443})
    assert faults == ()
    assert settings is not None
    assert settings.leader.labels == {"disk": "fast"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"role": "master"}, "'master' is none of 'controller'"),
        ({"address": "-oProxyCommand=x"}, "is no address"),
        ({"address": "user@host"}, "is no address"),
        ({"user": "-x"}, "is no user name"),
        ({"port": 70000}, "not between 0 and 65535"),
        ({"private_address": "db.local"}, "is no IP address"),
        ({"labels": {"a b": "c"}}, "is no label"),
        ({"taints": ("x=y",)}, "is no taint"),
    ],
)
def test_a_wrong_host(more: dict[str, object], message: str) -> None:
    """What ssh or Kubernetes would choke on, or take for an option, is refused at once."""
    with pytest.raises(ValueError, match=message):
        Host(**({"address": "a"} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hosts", "more", "message"),
    [
        ((), {}, "name at least one host with the role"),
        ((Host(address="a"),), {}, "name at least one host with the role"),
        ((Host(role="single"),), {}, "needs an address"),
        ((ONE, Host(address="b")), {}, "'single' allows no other host"),
        ((ONE, ONE), {}, "'a' is named 2 times"),
        ((ONE,), {"version": "1.36"}, "is no version"),
        ((ONE,), {"sha256": "abc"}, "is no SHA-256"),
        ((ONE,), {"data_dir": "/"}, "is no folder of its own"),
        ((ONE,), {"data_dir": "/var/../etc"}, "is no folder of its own"),
        ((ONE,), {"encrypted_transport": True}, "WireGuard needs network 'calico'"),
        ((ONE,), {"pod_cidr": "10.96.0.0/16"}, "overlaps service_cidr"),
        ((ONE,), {"mirror": "https://me:pw@x/"}, "without a password"),
        (
            tuple(Host(address=each, role="controller") for each in "abc"),
            {"storage": "kine"},
            "'kine' allows one controller",
        ),
    ],
)
def test_a_wrong_cluster(hosts: tuple[Host, ...], more: dict[str, object], message: str) -> None:
    """A cluster that cannot be is refused before any host is asked."""
    with pytest.raises(ValueError, match=message):
        K0sHost(hosts=hosts, **more)  # type: ignore[arg-type]


def test_a_host_that_leaves() -> None:
    """A single host may stand beside those that are to be removed."""
    leaving = Host(address="b", role="worker", remove=True)
    settings = K0sHost(hosts=(ONE, leaving))
    assert settings.staying == (ONE,)
