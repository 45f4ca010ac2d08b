"""Stacks of catalogue services, as the tests render them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from infometis_sdk.catalogue.plugin import infometis_services
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.model import Environment, ManifestSet, Project, Service
from infometis_sdk.project import load_package_service

Values = Mapping[str, Mapping[str, Any]]

DEV: Values = {}
"""All defaults: one node each, on a laptop."""

PROD: Values = {
    "kafka": {
        "replicas": 5,
        "controllers": 3,
        "cpu": "2",
        "cpu_limit": "4",
        "memory": "8Gi",
        "heap": "3Gi",
        "storage": "500Gi",
        "storage_class": "fast-ssd",
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "data"}],
        "node_selector": {"disk": "ssd"},
    },
    "elasticsearch": {
        "replicas": 3,
        "allow_mmap": True,
        "cpu": "2",
        "memory": "16Gi",
        "heap": "8Gi",
        "storage": "1Ti",
        "storage_class": "fast-ssd",
    },
    "nifi": {
        "replicas": 3,
        "clustered": True,
        "public_host": "nifi.example.com",
        "cpu": "4",
        "memory": "8Gi",
        "storage": "200Gi",
        "storage_class": "fast-ssd",
    },
    "grafana": {
        "public_url": "https://data.example.com/grafana/",
        "memory": "1Gi",
        "storage": "5Gi",
        "storage_class": "fast-ssd",
    },
}
"""Several nodes each, published by a border."""


@functools.cache
def services() -> dict[str, Service]:
    """Return the catalogue's services by name."""
    return {source.name: load_package_service(source) for source in infometis_services()}


def rendered(values: Values = DEV, *, project: Values | None = None) -> ManifestSet:
    """Render all services of the catalogue with an environment's values, and the project's."""
    made = Project(name="demo", services=services(), values=project or {})
    return render(compose(made, Environment("env", values=values)))


def objects(values: Values = DEV, *, project: Values | None = None) -> list[dict[str, Any]]:
    """Return the rendered objects as plain data."""
    return [dict(m.object) for m in rendered(values, project=project).manifests]


def one(kind: str, name: str, values: Values = DEV, *, project: Values | None = None) -> Any:
    """Return one rendered object."""
    found = [
        obj
        for obj in objects(values, project=project)
        if obj["kind"] == kind and obj["metadata"]["name"] == name
    ]
    assert len(found) == 1, f"{len(found)} of {kind}/{name}"
    return found[0]
