"""Project -> Bundle, and back: a Bundle holds the very inputs of the core digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk._serde import structure
from infometis_sdk.engine.compose import compose_core
from infometis_sdk.engine.core.digest import core_inputs
from infometis_sdk.engine.inputs.values import plain
from infometis_sdk.errors import ProjectError, RefusedError
from infometis_sdk.model.bundle import RENDER_FORMAT, Bundle
from infometis_sdk.model.canonical import canonical_json
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.parameter import Influence
from infometis_sdk.model.project import Lock, Project
from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from infometis_sdk.model.environment import Environment

__all__ = ("build_bundle", "overlay", "project_of")

Values = Mapping[str, Mapping[str, Any]]


def build_bundle(project: Project) -> Bundle:
    """Make the Bundle of a project; no environment and no cluster takes part in it.

    Raises:
        ProjectError: every fault of the services and of the project's own values;
            or a raw Secret has its values in plain sight, which a Bundle would carry along.

    Example:
        >>> from infometis_sdk.model import Project, Service
        >>> build_bundle(Project(name="demo", services={"hello": Service(name="hello")})).versions
        {'hello': ''}

    """
    if exposed := _secrets_in(project):
        raise ProjectError(exposed)
    return Bundle(
        project=project.name,
        project_id=project.id,
        services={
            composed.name: _json(core_inputs(composed, project.lock))
            for composed in compose_core(project)
        },
        values=_others(project.services, project.values),
        modes={
            mode: found
            for mode, values in project.modes.items()
            if (found := _others(project.services, values))
        },
    )


def project_of(
    bundle: Bundle,
    environments: Mapping[str, Environment],
    *,
    root: Any = None,  # noqa: ANN401
) -> Project:
    """Make the project again that a Bundle was built from, with environments of one's own.

    Args:
        bundle: brings the services, and all values but those of environments.
        environments: by name.
        root: directory for references to files, where there is one.

    Raises:
        RefusedError: this version of the SDK would render it otherwise than it was meant.

    """
    services, values = {}, {}
    lock: dict[str, str] = {}
    faults: list[Fault] = []
    for name, inputs in bundle.services.items():
        if inputs.get("format") != RENDER_FORMAT:
            msg = f"service {name} of the bundle has the render format {inputs.get('format')!r}"
            raise RefusedError(msg, hint=f"this version of the SDK renders {RENDER_FORMAT}")
        service, found = _service(name, inputs, f"bundle:{bundle.id[7:19]}/{name}")
        faults += found
        if service is not None:
            services[name] = service
            core = {
                key: overlay(plain(service.parameters[key].default), value)
                for key, value in inputs["values"].items()
            }
            values[name] = {**bundle.values.get(name, {}), **core}
        lock |= inputs["raw_images"]
    if faults:
        raise ProjectError(faults, hint="a newer version of the SDK may have built the bundle")
    project = Project(
        name=bundle.project,
        id=bundle.project_id,
        services=services,
        environments=environments,
        values=values,
        modes=bundle.modes,
        lock=Lock(images=lock),
        root=root,
    )
    again = build_bundle(project)
    if again.id != bundle.id:
        others = ", ".join(n for n, d in bundle.digests.items() if again.digests.get(n) != d)
        msg = f"this version of the SDK reads the bundle otherwise: {others}"
        raise RefusedError(msg, hint="use the version that built it, or build it anew")
    return project


def overlay(below: Any, final: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what to lay over ``below`` to get exactly ``final``: what is gone becomes null.

    Example:
        >>> overlay({"a": 1, "b": 2}, {"a": 3})
        {'a': 3, 'b': None}

    """
    if not isinstance(below, Mapping) or not isinstance(final, Mapping):
        return final
    kept = {key: overlay(below.get(key), value) for key, value in final.items()}
    return {**kept, **{key: None for key in below if key not in final}}


def _secrets_in(project: Project) -> tuple[Fault, ...]:
    """Say which raw Secrets have their values in plain sight."""
    return tuple(
        Fault(
            message=f"Secret/{obj['metadata']['name']} has its values in plain sight,"
            " and a Bundle is read by many",
            origin=service.origin,
            path=f"services.{service.name}",
            legal="a credential in service.yaml, or a Secret that somebody else makes",
        )
        for service in project.services.values()
        for manifest in service.manifests
        for obj in (manifest.get("items") or (manifest,))
        if obj.get("kind") == "Secret" and (obj.get("data") or obj.get("stringData"))
    )


def _others(services: Mapping[str, Service], values: Values) -> dict[str, dict[str, Any]]:
    """Return the values that are no part of the core."""
    found = {
        name: {
            key: _json(value)
            for key, value in given.items()
            if services[name].parameters[key].scope != "core"
        }
        for name, given in values.items()
    }
    return {name: given for name, given in found.items() if given}


def _json(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value as it comes back from a file, so that both compare equal."""
    return json.loads(canonical_json(value).decode("utf-8", "surrogatepass"))


def _service(
    name: str, inputs: Mapping[str, Any], place: str
) -> tuple[Service | None, tuple[Fault, ...]]:
    parameters = {
        key: {**data, "affects": [str(Influence(**one)) for one in data.get("affects", ())]}
        for key, data in inputs["parameters"].items()
    }
    data = {
        **inputs["descriptor"],
        "parameters": parameters,
        "images": inputs["images"],
        "templates": inputs["templates"],
        "files": inputs["files"],
        "manifests": [json.loads(text) for text in inputs["manifests"]],
    }
    service, faults = structure(Service, data, file=f"{place}/service.yaml", layer="base")
    if service is None or faults:
        return None, faults
    if service.name != name:
        message = f"service {service.name!r} is listed under the name {name!r}"
        return None, (Fault(message=message, origin=Origin(layer="base", file=place)),)
    origin = Origin(layer="base", file=f"{place}/service.yaml", line=1)
    return attrs.evolve(service, origin=origin), ()
