"""Quantities, against what the genuine API server makes of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.objects import quantity
from infometis_sdk.errors import InvalidError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration

CHOSEN = (
    *("0", "0.5", "00", "01", "+1", "1.", ".5", "1.5", "1.500", "0.500", "1.50", "1000", "1000m"),
    *("1500m", "1024Mi", "1025Mi", "1.5Gi", "0.5Ki", "1Ki", "1023Ki", "1000Ki", "2048", "2048Ki"),
    *("1e3", "1E3", "10e2", "1e-3", "12e6", "1e0", "100e-3", "1.5e3", "1E", "12E", "1000k", "1n"),
    *("0.1n", "1.0001n", "100u", "0.0001", "1234567890123456789", "9Ei", "8Ei", "7Ei", "1Ei"),
    *(
        "0.00000000001Ki",
        "1.1Ki",
        "3.1415926535Mi",
        "123456789012345678901234567890e-12",
        "0m",
        "0Gi",
    ),
    *("999999999999999999", "9999999999999999999", "100000000000000000000", "16Gi", "8Mi", "1e20"),
)


def some(seed: int, count: int) -> list[str]:
    """Make quantities of every shape, the same at every run."""
    dice = random.Random(seed)
    suffixes = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
    made = []
    for _ in range(count):
        digits = str(dice.randrange(10 ** dice.randrange(1, 12)))
        if dice.random() < 0.4:
            digits += (
                "." + str(dice.randrange(10 ** dice.randrange(1, 8))) + "0" * dice.randrange(4)
            )
        suffix = dice.choice(suffixes)
        if dice.random() < 0.2:
            suffix = dice.choice("eE") + dice.choice(["", "+", "-"]) + str(dice.randrange(10))
        made.append(dice.choice(["", "", "", "+"]) + digits + suffix)
    return made


@pytest.fixture
def cluster(embedded_access: Access) -> Cluster:
    """Open the API server of this test run."""
    return open_cluster(embedded_access)


def answers(cluster: Cluster, texts: list[str]) -> list[str]:
    """Return what the API server makes of each quantity, by dry-run, many in one object."""
    ref = ObjectRef(api_version="v1", kind="ResourceQuota", namespace="default", name="quantities")
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {"hard": {f"requests.example.com/q{i}": text for i, text in enumerate(texts)}},
    }
    write = Write(verb="create", ref=ref, body=body, manager="tests", dry_run=True)
    written = cluster.write(write, Run.within(30))
    hard = written.object["spec"]["hard"]
    return [hard[f"requests.example.com/q{i}"] for i in range(len(texts))]


def exact_answers(cluster: Cluster, texts: list[str]) -> list[str]:
    """Return the same for single quantities, which are not rounded to thousandths."""
    ref = ObjectRef(
        api_version="apps/v1", kind="Deployment", namespace="default", name="quantities"
    )
    labels = {"a": "b"}
    volumes = [{"name": f"v{i}", "emptyDir": {"sizeLimit": text}} for i, text in enumerate(texts)]
    pod = {"containers": [{"name": "a", "image": "a:1"}], "volumes": volumes}
    body: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    write = Write(verb="create", ref=ref, body=body, manager="tests", dry_run=True)
    written = cluster.write(write, Run.within(30))
    read = written.object["spec"]["template"]["spec"]["volumes"]
    return [volume["emptyDir"]["sizeLimit"] for volume in read]


@pytest.mark.parametrize(("ask", "milli"), [(answers, True), (exact_answers, False)])
def test_canonical_form_is_the_servers(
    cluster: Cluster, ask: Callable[[Cluster, list[str]], list[str]], *, milli: bool
) -> None:
    """We write every quantity exactly as the API server writes it back."""
    texts = [*CHOSEN, *some(1, 600)]
    expected = []
    for start in range(0, len(texts), 100):
        batch = texts[start : start + 100]
        expected += list(zip(batch, ask(cluster, batch), strict=True))
    assert [pair for pair in expected if quantity.canonical(pair[0], milli=milli) != pair[1]] == []


def test_canonical_form_is_stable(cluster: Cluster) -> None:
    """What is canonical once stays so: the API server returns it unchanged."""
    texts = [quantity.canonical(text) for text in some(2, 100)]
    assert exact_answers(cluster, texts) == texts


@pytest.mark.parametrize("text", ["", "1K", "1e", "1GiB", "10 megs", "1,5", "--1", "0x10"])
def test_what_is_no_quantity(cluster: Cluster, text: str) -> None:
    """What we refuse, the API server refuses."""
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.parse(text)
    with pytest.raises(InvalidError):
        exact_answers(cluster, [text])
