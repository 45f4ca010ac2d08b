# ruff: noqa: ARG002 - the port has more arguments than a shelf needs
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk.engine.planning.volumes import claim_names, claims_of, grow
from infometis_sdk.engine.reading.live import Live
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Cluster, Resource, WatchEvent, Write, Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Shelf(Cluster):
    """A cluster that holds objects to be looked at, and takes none."""

    def __init__(self, *objects: Mapping[str, Any]) -> None:
        self.objects = objects

    def resource(self, api_version: str, kind: str, run: Run) -> Resource:
        """See the port."""
        raise NotImplementedError

    def list(
        self,
        api_version: str,
        kind: str,
        run: Run,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> tuple[Mapping[str, Any], ...]:
        """See the port."""
        return tuple(
            o
            for o in self.objects
            if o["kind"] == kind and o["metadata"].get("namespace", "") == namespace
        )

    def get(self, ref: ObjectRef, run: Run) -> Mapping[str, Any] | None:
        """See the port."""
        return next((o for o in self.objects if ObjectRef.of(o).key == ref.key), None)

    def write(self, write: Write, run: Run) -> Written:
        """See the port."""
        raise NotImplementedError

    def watch(
        self, api_version: str, kind: str, run: Run, *, namespace: str = "", labels: str = ""
    ) -> Iterator[WatchEvent]:
        """See the port."""
        raise NotImplementedError

    def read(self, path: str, run: Run, *, params: Mapping[str, str] | None = None) -> str:
        """See the port."""
        raise NotImplementedError


def a_set(size: str, name: str = "db", templates: tuple[str, ...] = ("data",)) -> dict[str, Any]:
    """Return a StatefulSet."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "ns", "uid": "s"},
        "spec": {
            "volumeClaimTemplates": [
                {"metadata": {"name": t}, "spec": {"resources": {"requests": {"storage": size}}}}
                for t in templates
            ]
        },
    }


def a_claim(name: str, size: str, storage_class: str = "fast") -> dict[str, Any]:
    """Return a live claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "ns", "uid": name},
        "spec": {
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": size}},
        },
    }


def a_class(name: str = "fast", *, grows: bool = True) -> dict[str, Any]:
    """Return a storage class."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "allowVolumeExpansion": grows,
    }


def grown(cluster: Cluster, old: str, new: str) -> tuple[list[PlanItem], list[str]]:
    """Plan to replace the set by one with other volumes."""
    have, want = a_set(old), a_set(new)
    live = Live(objects={ObjectRef.of(have).key: have})
    item = PlanItem(action="replace", ref=ObjectRef.of(want), payload=want)
    return grow(cluster, [item], live, Run.within(5))


def test_claims_are_resized_before_the_set_is_made_anew() -> None:
    """Only claims of this set that are still smaller, whatever other claims there are."""
    cluster = Shelf(
        a_claim("data-db-0", "1Gi"),
        a_claim("data-db-1", "2Gi"),
        a_claim("data-db-10", "1Gi"),
        a_claim("data-db-old", "1Gi"),
        a_claim("data-dbx-0", "1Gi"),
        a_claim("other-db-0", "1Gi"),
        a_class(),
    )
    items, problems = grown(cluster, "1Gi", "2Gi")
    assert [(i.action, i.ref.name) for i in items] == [
        ("resize", "data-db-0"),
        ("resize", "data-db-10"),
        ("replace", "db"),
    ]
    assert not problems
    assert items[0].payload == {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}


@pytest.mark.parametrize(
    ("cluster", "old", "new", "word"),
    [
        (Shelf(), "2Gi", "1Gi", "the volume data cannot shrink from 2Gi to 1Gi"),
        (
            Shelf(a_claim("data-db-0", "1Gi"), a_class(grows=False)),
            "1Gi",
            "2Gi",
            "does not allow volumes",
        ),
        (Shelf(a_claim("data-db-0", "1Gi", "")), "1Gi", "2Gi", "no storage class"),
    ],
)
def test_what_cannot_be_grown_is_said(cluster: Cluster, old: str, new: str, word: str) -> None:
    """Shrinking, a rigid class and a claim without one forbid the plan."""
    _, problems = grown(cluster, old, new)
    assert any(word in problem for problem in problems), problems


def test_equal_sizes_in_other_words_are_equal() -> None:
    """1Gi is 1024Mi: nothing is resized."""
    items, problems = grown(Shelf(a_claim("data-db-0", "1Gi"), a_class()), "1Gi", "1024Mi")
    assert [i.action for i in items] == ["replace"]
    assert not problems


def test_claims_are_known_by_template_and_set() -> None:
    """One name for each template of each set in its namespace, and numbers behind it."""
    names = claim_names([a_set("1Gi", "db", ("data", "logs")), {"kind": "Deployment"}])
    assert names == ("ns/data-db", "ns/logs-db")
    cluster = Shelf(
        a_claim("data-db-0", "1Gi"), a_claim("logs-db-3", "1Gi"), a_claim("data-db-x", "1Gi")
    )
    found = [
        (begin, c["metadata"]["name"]) for begin, c in claims_of(cluster, names, Run.within(5))
    ]
    assert found == [("ns/data-db", "data-db-0"), ("ns/logs-db", "logs-db-3")]
