"""What is done about fields that somebody else holds; decided when the plan is made.

Manager names are self-declared and prove nothing.
Therefore a name alone never earns trust: a field is yielded only to an allow-listed triple of
manager, subresource and path; a person's tool is overruled, and named in the plan;
another deployer stops the plan until the object is adopted by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from infometis_sdk.engine.fieldset import (
    Owner,
    Path,
    display,
    entries,
    owned_leaves,
    ours,
    value_at,
)
from infometis_sdk.engine.fingerprint import NOISE
from infometis_sdk.model.environment import DriftPolicy
from infometis_sdk.model.plan import Decision

__all__ = ("CONTROLLERS", "DEPLOYERS", "PEOPLE", "additions", "classify", "decide")

PEOPLE = (
    "kubectl*",
    "before-first-apply",
    "k9s",
    "Lens",
    "rancher*",
    "node-fetch",
    "Mozilla",
    "OpenAPI-Generator",
)
"""Tools in a person's hand. ``node-fetch`` and ``Mozilla`` are how Lens and dashboards appear."""

DEPLOYERS = (
    "helm",
    "helm-controller",
    "argocd*",
    "argo-cd*",
    "kustomize-controller",
    "flux*",
    "kluctl*",
    "kapp*",
    "pulumi*",
    "Terraform*",
    "infometis.*",
)
"""Other deployers, other stacks among them: two masters of one object never end well."""

CONTROLLERS = (
    ("kube-controller-manager", "scale", "spec.replicas"),
    ("vpa-updater", "", "spec.template.spec.containers[*].resources*"),
    ("cert-manager-cainjector", "", "webhooks[*].clientConfig.caBundle"),
    ("cert-manager-cainjector", "", "spec.conversion.webhook.clientConfig.caBundle"),
    ("cainjector", "", "webhooks[*].clientConfig.caBundle"),
)
"""Fields that are left to known controllers: (manager, subresource, path)."""

_SYSTEM = ("kube-*", "k3s", "k0s", "kubelet", "cloud-controller-manager", "deployment-controller")


def _like(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _path_like(path: str, pattern: str) -> bool:
    # fnmatch would read [..] as a set of characters, so list items are compared as plain text.
    plain = pattern.replace("[*]", "\0")
    if "\0" not in plain:
        return fnmatchcase(path, plain)
    head, _, tail = plain.partition("\0")
    if not path.startswith(head + "["):
        return False
    return fnmatchcase(path.partition("]")[2], tail)


def classify(
    owner: Owner, path: str, *, policy: DriftPolicy, autoscaled: bool, protected: bool, adopted: bool
) -> tuple[str, str]:
    """Decide about one field that ``owner`` holds and we want to be otherwise.

    Args:
        owner: who holds it.
        path: the field, as :func:`fieldset.display` writes it.
        policy: the environment's own allow-list.
        autoscaled: a HorizontalPodAutoscaler drives the object.
        protected: the environment is protected.
        adopted: the operator named the object.

    Returns:
        ``overrule``, ``yield`` or ``stop``, and why.

    """
    for triple in policy.yield_to:
        manager, _, rest = triple.partition(":")
        subresource, _, pattern = rest.partition(":")
        if (
            fnmatchcase(owner.manager, manager)
            and owner.subresource == subresource
            and _path_like(path, pattern)
        ):
            return "yield", "policies.drift.yield_to allows it"
    for manager, subresource, pattern in CONTROLLERS:
        if owner.manager == manager and owner.subresource == subresource and _path_like(path, pattern):
            if pattern == "spec.replicas" and not autoscaled:
                return "overrule", "no autoscaler drives this object any more"
            return "yield", "a known controller holds it"
    if adopted:
        return "overrule", "the object was adopted by name"
    if _like(owner.manager, PEOPLE):
        return "overrule", "a person's tool wrote it"
    if _like(owner.manager, DEPLOYERS):
        return "stop", "another deployer manages it; adopt the object by name to take it over"
    if protected:
        return "stop", "an unknown manager holds it in a protected environment"
    return "yield", "an unknown manager holds it"


def decide(
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    manager: str,
    *,
    policy: DriftPolicy,
    autoscaled: bool,
    protected: bool,
    adopted: bool,
) -> tuple[tuple[Path, Decision], ...]:
    """Return a decision on every desired field that another manager holds with another value.

    Paths come from managedFields and not from the text of the API server's answer,
    which is ambiguous for keys that contain dots.
    """
    found: dict[Path, Decision] = {}
    for owner in entries(live):
        if owner.manager == manager and owner.operation == "Apply" and not owner.subresource:
            continue
        if owner.subresource == "status":
            continue
        for path, value in owned_leaves(live, owner.fields):
            want = value_at(desired, path)
            if want is None or want == value:
                continue
            text = display(path)
            action, why = classify(
                owner,
                text,
                policy=policy,
                autoscaled=autoscaled,
                protected=protected,
                adopted=adopted,
            )
            decision = Decision(path=text, manager=owner.label, action=action, why=why, live=value)
            worst = found.get(path)
            if worst is None or _rank(decision) > _rank(worst):
                found[path] = decision
    return tuple(found.items())


def _rank(decision: Decision) -> int:
    return ("overrule", "yield", "stop").index(decision.action)


def additions(
    desired: Mapping[str, Any], live: Mapping[str, Any], manager: str
) -> Iterator[tuple[Path, Owner, Any]]:
    """Yield fields that others added to an object of ours: path, who, and the live value.

    Fields that the API server's own controllers keep, the annotation with which
    ``kubectl rollout restart`` restarts pods, and known noise are not additions.
    """
    mine = ours(live, manager)
    held = {path for path, _ in owned_leaves(live, mine)} if mine else set()
    for owner in entries(live):
        if owner.subresource or _like(owner.manager, _SYSTEM):
            continue
        if owner.manager == manager and owner.operation == "Apply":
            continue
        for path, value in owned_leaves(live, owner.fields):
            if path in held or value is None or path[-1] in NOISE:
                continue
            if path[0] == "status" or path[:2] == ("metadata", "finalizers"):
                continue
            if value_at(desired, path) is not None:
                continue
            if path[-1] == "kubectl.kubernetes.io/restartedAt":
                continue
            yield path, owner, value
