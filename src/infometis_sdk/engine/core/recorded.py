"""A Release's own words about its environment: written down at apply, read again for a return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk._serde import structure, unstructure
from infometis_sdk.engine.core.bundle import overlay, project_of
from infometis_sdk.engine.inputs.values import plain
from infometis_sdk.errors import RefusedError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.fault import Origin

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.model.bundle import Bundle
    from infometis_sdk.model.project import Project
    from infometis_sdk.model.release import Release

__all__ = ("definition_of", "project_at")

_ELSEWHERE = ("name", "values", "local", "sources", "origin", "stack_id", "namespace")
"""What a Release says in fields of its own, or what is true of one working tree only."""

_RENDERED = (
    "network",
    "registry",
    "pod_security",
    "resource_quota",
    "scoped_quotas",
    "limits",
    "scaling",
)
"""The policies that render; all others govern."""


def definition_of(environment: Environment, platform: str) -> dict[str, Any]:
    """Return an environment as plain data, without its values.

    Args:
        environment: holds references to secrets, never their values.
        platform: name under which its platform is registered.

    """
    bare = attrs.evolve(environment, values={}, local={}, sources={}, origin=Origin())
    data = {key: value for key, value in unstructure(bare).items() if key not in _ELSEWHERE}
    settings = data.get("platform")
    data["platform"] = {**settings, "type": platform} if isinstance(settings, Mapping) else {}
    for patch in data["patches"]:
        del patch["origin"]
    made: dict[str, Any] = plain(data)
    return made


def project_at(
    release: Release, bundle: Bundle, now: Environment | None, root: Path | None = None
) -> Project:
    """Return the project as it was deployed then: that Bundle with that Release's values.

    What renders comes from the Release; what governs (where it runs, protection, prune, drift,
    audit, image policy, validation functions) from the environment as it is now.

    Args:
        release: from the same stack.
        bundle: the Release's.
        now: the environment of today; ``None`` takes all from the Release.
        root: directory for references to files.

    Raises:
        RefusedError: the Release tells parts of several Bundles, or cannot be read.

    """
    if release.mixed or release.scope:
        why = "it failed" if release.status == "failed" else "it was limited to some services"
        msg = f"release {release.number} of stack {release.stack_id} is mixed: {why}"
        raise RefusedError(
            msg, hint="choose one that was deployed as a whole; see `infometis releases`"
        )
    if release.status not in ("deployed", "superseded"):
        msg = f"release {release.number} of stack {release.stack_id} is {release.status}"
        raise RefusedError(msg, hint="choose one that was deployed; see `infometis releases`")
    environment = _environment(release)
    if now is not None:
        environment = attrs.evolve(
            environment,
            platform=now.platform,
            protected=now.protected,
            policies=attrs.evolve(
                now.policies,
                **{word: getattr(environment.policies, word) for word in _RENDERED},
            ),
        )
    whole = attrs.evolve(bundle, values={}, modes={})
    project = project_of(whole, {release.environment: environment}, root=root)
    values = {
        name: {
            key: overlay(plain(service.parameters[key].default), release.services[name].values[key])
            for key in service.parameters
            if service.parameters[key].scope != "core" and key in release.services[name].values
        }
        for name, service in project.services.items()
        if name in release.services
    }
    environment = attrs.evolve(environment, values=values)
    return attrs.evolve(project, environments={release.environment: environment})


def _environment(release: Release) -> Environment:
    data = {
        **release.definition,
        "name": release.environment,
        "stack_id": release.stack_id,
        "namespace": release.namespace,
    }
    environment, faults = structure(Environment, data, file=f"release {release.number}")
    if environment is None or faults:
        msg = f"the environment in release {release.number} cannot be read: " + "; ".join(
            map(str, faults)
        )
        raise RefusedError(msg, hint="another version of the SDK wrote it")
    return attrs.evolve(
        environment, origin=Origin(layer="environment", file=f"release {release.number}")
    )
