"""What a cluster is made of, as pure values: options, configuration, names, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
import yaml
from hypothesis import given, strategies as st

from infometis_platform_k0s_docker import K0sDocker
from infometis_platform_k0s_docker.kubeconfig import authority, rewritten
from infometis_platform_k0s_docker.plan import Plan
from infometis_platform_k0s_docker.shape import CONFIG, NodeShape, node_shape, stem
from infometis_platform_k0s_docker.storage import IMAGES, storage
from infometis_platform_k0s_docker.versions import K0sVersion
from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(
    cluster="shop-dev",
    id="0123456789abcdef",
    version="v1.36.3+k0s.2",
    reference="docker.io/k0sproject/k0s:v1.36.3-k0s.2",
    single=True,
    api_port=40123,
    subnet="172.30.9.0/24",
)


def _shape(settings: K0sDocker, number: int = 0, plan: Plan = PLAN, **more: Any) -> NodeShape:
    given: dict[str, Any] = {"environ": {}, "authorities": {}, "apparmor": False, **more}
    return node_shape(settings, attrs.evolve(plan, single=settings.single), number, **given)


def test_the_entry_point_knows_the_role_from_bare_flags() -> None:
    """``--enable-worker=true`` would switch the image's fix-ups off: only bare words are used."""
    assert _shape(K0sDocker()).command == ("k0s", "controller", "--single")
    grown = _shape(K0sDocker(growable=True))
    assert grown.command == ("k0s", "controller", "--enable-worker", "--no-taints")
    worker = _shape(K0sDocker(nodes=2), 1)
    assert worker.command == ("k0s", "worker", "--token-file", "/etc/k0s/join-token")
    assert worker.name == "infometis-shop-dev-1"
    legacy = _shape(K0sDocker(ignore_preflight=("cgroup",)))
    assert legacy.command[-1] == "--ignore-pre-flight-checks"


def test_the_configuration_is_where_k0s_reads_it() -> None:
    """It lies at /etc/k0s/k0s.yaml, pins the addresses, and sends nothing to anybody."""
    config = yaml.safe_load(_shape(K0sDocker()).files["etc/k0s/k0s.yaml"])
    assert config["kind"] == "ClusterConfig"
    spec = config["spec"]
    assert spec["telemetry"] == {"enabled": False}
    assert spec["storage"] == {"type": "kine"}
    assert spec["api"]["address"] == "172.30.9.10"
    assert "127.0.0.1" in spec["api"]["sans"]
    grown = yaml.safe_load(_shape(K0sDocker(growable=True)).files[CONFIG])["spec"]
    assert grown["storage"] == {"type": "etcd", "etcd": {"peerAddress": "172.30.9.10"}}
    own = K0sDocker(
        config={"network": {"podCIDR": "10.1.0.0/16"}, "api": {"sans": ("x",)}},
        mirror="mirror.example/k0s",
        ignore_preflight=("cgroup",),
    )
    spec = yaml.safe_load(_shape(own).files[CONFIG])["spec"]
    assert spec["network"] == {"podCIDR": "10.1.0.0/16", "serviceCIDR": "10.96.0.0/12"}
    assert spec["api"] == {"address": "172.30.9.10", "sans": ["x"]}
    assert spec["images"] == {"repository": "mirror.example/k0s"}
    assert spec["workerProfiles"][0]["values"] == {"failCgroupV1": False}


def test_without_privileges_a_node_has_just_those_that_k0s_documents() -> None:
    """Every capability, the device and the profile of k0s' page; none of it when privileged."""
    few = _shape(K0sDocker(privileged=False), apparmor=True).options
    assert "privileged" not in few
    assert set(few["cap_add"]) == {
        "SYS_ADMIN",
        "NET_ADMIN",
        "SYS_PTRACE",
        "SYS_RESOURCE",
        "SYSLOG",
    }
    assert few["security_opt"] == ["seccomp=unconfined", "apparmor=unconfined"]
    assert few["devices"] == ["/dev/kmsg:/dev/kmsg:r"]
    whole = _shape(K0sDocker()).options
    assert whole["privileged"]
    assert whole["cgroupns"] == "private"
    assert whole["tmpfs"] == {"/run": ""}
    assert "cap_add" not in whole


def test_proxies_and_authorities_are_passed_on() -> None:
    """Nodes pull through the user's proxy, but reach each other, pods and services directly."""
    environ = {"https_proxy": "http://proxy:3128", "NO_PROXY": "intra.example", "HOME": "/home/me"}
    shape = _shape(
        K0sDocker(ca_files=("/ca.pem",)), environ=environ, authorities={"/ca.pem": b"CERT"}
    )
    assert shape.environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert shape.environment["https_proxy"] == "http://proxy:3128"
    exempt = shape.environment["NO_PROXY"].split(",")
    wanted = {"intra.example", "127.0.0.1", "172.30.9.0/24", "10.244.0.0/16", "10.96.0.0/12"}
    assert wanted <= set(exempt)
    assert "HOME" not in shape.environment
    assert shape.files["etc/ssl/certs/infometis-0.pem"] == b"CERT"
    assert _shape(K0sDocker(proxy=False), environ=environ).environment == {}
    # another shell with another proxy is no reason to make a node anew
    assert shape.spec == _shape(K0sDocker(ca_files=("/ca.pem",)), authorities={"/": b"CERT"}).spec


@pytest.mark.parametrize(
    "changes",
    [
        {"ports": ("8080:80",)},
        {"listen": "0.0.0.0"},  # noqa: S104 - a value
        {"privileged": False},
        {"mirror": "m.example/k"},
        {"config": {"api": {"sans": ["x"]}}},
    ],
)
def test_a_setting_that_matters_makes_another_shape(changes: dict[str, Any]) -> None:
    """What was changed is seen, so that the container is made anew around its volumes."""
    assert _shape(K0sDocker()).spec == _shape(K0sDocker()).spec
    assert _shape(K0sDocker(**changes)).spec != _shape(K0sDocker()).spec
    assert _shape(K0sDocker(**changes)).volumes == _shape(K0sDocker()).volumes


@given(st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True), st.integers(0, 19))
def test_every_name_fits_into_a_host_name(cluster: str, number: int) -> None:
    """The name of a node is its host name, of 63 letters at most."""
    name = f"{stem(cluster)}-{number}"
    assert len(name) <= 63
    assert name.startswith("infometis-")


@given(st.tuples(*[st.integers(0, 50)] * 3), st.tuples(*[st.integers(0, 50)] * 3))
def test_versions_are_ordered_by_their_build_too(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    """What follows the plus sign counts, and a version survives being a tag."""
    first, second = K0sVersion(1, *one), K0sVersion(1, *other)
    assert (first < second) == (one < other)
    assert K0sVersion.parse(first.tag) == first == K0sVersion.parse(str(first))
    allowed = other >= one and other[0] - one[0] <= 1
    assert allowed == (not first.refuses(second))


def test_the_kubeconfig_is_made_ours() -> None:
    """The server is the one that was published, and all names are ours."""
    printed = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "clusters": [
                {
                    "name": "local",
                    "cluster": {
                        "server": "https://172.30.9.10:6443",
                        "certificate-authority-data": "Q0E=",
                    },
                }
            ],
            "contexts": [{"name": "Default", "context": {"cluster": "local", "user": "user"}}],
            "users": [{"name": "user", "user": {"client-key-data": "S0VZ"}}],
        }
    )
    made = yaml.safe_load(rewritten(printed, "shop-dev", "https://127.0.0.1:40123"))
    assert made["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:40123"
    assert made["current-context"] == made["contexts"][0]["name"] == "shop-dev"
    assert authority(rewritten(printed, "x", "https://y")) == b"CA"
    with pytest.raises(PlatformError, match="no kubeconfig"):
        rewritten("Error: not yet", "x", "https://y")


def test_the_provisioner_is_the_default_and_comes_from_the_mirror() -> None:
    """One default StorageClass; with a mirror, no image is looked for anywhere else."""
    objects = storage(K0sDocker())
    classes = [each for each in objects if each["kind"] == "StorageClass"]
    assert [each["metadata"]["annotations"] for each in classes] == [
        {"storageclass.kubernetes.io/is-default-class": "true"}
    ]
    text = str(storage(K0sDocker(mirror="m.example/k0s")))
    for image in IMAGES:
        assert image in str(objects)
        assert image not in text
    assert "m.example/k0s/rancher/local-path-provisioner:" in text


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("version", "latest"),
        ("version", "v1.36.3"),
        ("image", "k0s"),
        ("digest", "sha256:abc"),
        ("nodes", 0),
        ("nodes", True),
        ("ports", ("80",)),
        ("ports", ("80:80", "80:8080")),
        ("ports", ("16443:6443",)),
        ("listen", "localhost"),
        ("network", "8.8.8.0/24"),
        ("network", "172.30.9.1/24"),
        ("api_port", 70000),
        ("ca_files", ("ca.pem",)),
    ],
)
def test_a_bad_setting_is_named_with_its_value(setting: str, value: Any) -> None:
    """Each setting is checked, and the message names it."""
    with pytest.raises((ValueError, TypeError), match=setting):
        K0sDocker(**{setting: value})


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    """What was remembered is read again; a damaged file is told, and no empty cluster assumed."""
    assert Plan.read(tmp_path) is None
    assert PLAN.write(tmp_path) == Plan.read(tmp_path)
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(PlatformError, match="cannot be read"):
        Plan.read(tmp_path)
