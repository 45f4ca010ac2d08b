"""Check what an environment says beside its values: credentials, patches, policies."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from infometis_sdk.engine.boundary.addresses import api_address
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.engine.inputs.patches import path_fault
from infometis_sdk.model.environment import (
    DRIFT_ACTIONS,
    ENCRYPTION_DEMANDS,
    FOREIGN_ACTIONS,
    IMAGE_POLICIES,
    NETWORK_MODES,
    POD_SECURITY_LEVELS,
)
from infometis_sdk.model.fault import Fault
from infometis_sdk.model.secret import SecretRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.project import Project
    from infometis_sdk.model.service import Credential

__all__ = ("environment_faults",)

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_YIELD = re.compile(r"[^:]+:[^:]*:[^:]+")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "password": ("username", "password"),
    "key": ("key",),
    "cluster-id": ("id",),
    "tls": ("ca.crt", "tls.crt", "tls.key"),
}
"""The keys of each type of credential, as :class:`infometis_sdk.model.service.Credential` says."""


def environment_faults(project: Project, environment: Environment) -> tuple[Fault, ...]:
    """Return the faults in an environment's credentials, patches and policies.

    Example:
        >>> from infometis_sdk.model import Environment, Policies, Project
        >>> bad = Environment("dev", policies=Policies(pod_security="strict"))
        >>> [fault.path for fault in environment_faults(Project(name="demo"), bad)]
        ['policies.pod_security']

    """
    patches = (path_fault(patch) for patch in environment.patches)
    return (
        *_credential_faults(project, environment),
        *(fault for fault in patches if fault is not None),
        *_policy_faults(environment),
        *_drift_faults(environment),
        *_preview_faults(project, environment),
    )


def _preview_faults(project: Project, environment: Environment) -> Iterator[Fault]:
    preview = environment.preview
    if not preview.of and not preview.expires:
        return
    base = project.environments.get(preview.of)
    if base is None or base.preview.of:
        lasting = [name for name, each in project.environments.items() if not each.preview.of]
        message = f"there is no lasting environment {preview.of!r}"
        yield _fault(environment, "preview.of", message, legal=", ".join(lasting))
    try:
        aware = dt.datetime.fromisoformat(preview.expires).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        legal = "a time with its zone, such as 2026-11-24T08:00:00+00:00"
        yield _fault(environment, "preview.expires", "no time", found=preview.expires, legal=legal)


def _fault(environment: Environment, path: str, message: str, **more: str) -> Fault:
    origin = environment.sources.get(path, environment.origin)
    return Fault(message=message, origin=origin, path=path, **more)


def _credential_faults(project: Project, environment: Environment) -> Iterator[Fault]:
    declared = {
        f"{service.name}.{name}": credential
        for service in project.services.values()
        for name, credential in service.credentials.items()
    }
    for name, given in environment.credentials.items():
        path = f"credentials.{name}"
        if isinstance(given, SecretRef):
            if given.scheme not in ("secret", "generated") or "/" in given.target:
                message = "a credential as a whole is one existing Secret"
                legal = "secret:NAME, or one reference a key"
                yield _fault(environment, path, message, found=given.scheme, legal=legal)
        elif name in declared:
            known = _keys(declared[name])
            for key in given:
                if key not in known:
                    yield _fault(environment, f"{path}.{key}", f"unknown key {key!r}",
                                 legal=", ".join(known), nearest=nearest(key, known))  # fmt: skip


def _keys(credential: Credential) -> tuple[str, ...]:
    return (*_KEYS.get(credential.type, ()), *credential.derived)


def _drift_faults(environment: Environment) -> Iterator[Fault]:
    drift = environment.policies.drift
    if (drift.action == "heal-except") != bool(drift.exceptions):
        found = f"action: {drift.action}, {len(drift.exceptions)} exceptions"
        yield _fault(environment, "policies.drift.exceptions", "fits no other action",
                     found=found, legal="action: heal-except, and what is excepted")  # fmt: skip
    for index, triple in enumerate(drift.yield_to):
        if not _YIELD.fullmatch(triple):
            yield _fault(environment, f"policies.drift.yield_to[{index}]", "not a triple",
                         found=repr(triple), legal="manager:subresource:path")  # fmt: skip


def _policy_faults(environment: Environment) -> Iterator[Fault]:
    policies = environment.policies
    for path, word, legal in (
        ("policies.pod_security", policies.pod_security, POD_SECURITY_LEVELS),
        ("policies.drift.action", policies.drift.action, DRIFT_ACTIONS),
        ("policies.drift.foreign", policies.drift.foreign, FOREIGN_ACTIONS),
        ("policies.encryption", policies.encryption, ENCRYPTION_DEMANDS),
        ("policies.images", policies.images, IMAGE_POLICIES),
        ("policies.network.mode", policies.network.mode, NETWORK_MODES),
    ):
        if word and word not in legal:
            yield _fault(environment, path, f"unknown word {word!r}", legal=", ".join(legal),
                         nearest=nearest(word, legal))  # fmt: skip
    prune = policies.prune
    if prune.max_count < 0:
        yield _fault(environment, "policies.prune.max_count", "is out of bounds",
                     found=str(prune.max_count), legal="0 or more")  # fmt: skip
    if not 0 <= prune.max_percent <= 100:  # noqa: PLR2004 - per cent
        yield _fault(environment, "policies.prune.max_percent", "is out of bounds",
                     found=str(prune.max_percent), legal="0 to 100")  # fmt: skip
    if policies.releases.keep < 1:
        yield _fault(environment, "policies.releases.keep", "is out of bounds",
                     found=str(policies.releases.keep), legal="1 or more")  # fmt: skip
    for index, function in enumerate(policies.validate):
        if not _FUNCTION.fullmatch(function):
            yield _fault(environment, f"policies.validate[{index}]", "names no function",
                         found=repr(function), legal="module:function")  # fmt: skip
    for index, text in enumerate(policies.network.api_server):
        try:
            api_address(text)
        except ValueError as error:
            where, how = f"policies.network.api_server[{index}]", "such as 192.0.2.10:6443"
            yield _fault(environment, where, str(error), found=repr(text), legal=how)
