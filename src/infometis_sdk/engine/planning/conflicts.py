"""What is done about fields that somebody else holds; decided when the plan is made.

Manager names are self-declared and prove nothing.
Therefore a name alone never earns trust: a field is yielded only to an allow-listed triple of
manager, subresource and path; a person's tool is overruled, and named in the plan;
another deployer stops the plan until the object is adopted by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk.engine.objects.fieldset import (
    Owner,
    Path,
    display,
    entries,
    ours,
    owned_leaves,
    value_at,
)
from infometis_sdk.engine.objects.fingerprint import NOISE
from infometis_sdk.engine.objects.paths import matches
from infometis_sdk.model.plan import Decision

if TYPE_CHECKING:
    from infometis_sdk.model.environment import DriftPolicy

__all__ = (
    "BY_HAND",
    "CONTROLLERS",
    "DEPLOYERS",
    "PEOPLE",
    "SCALERS",
    "additions",
    "classify",
    "decide",
    "deployer",
    "left_alone",
)

BY_HAND = "a person's tool wrote it"
"""Why a field is overruled that no deployer and no controller holds."""

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

SCALERS = ("kube-controller-manager", "k3s", "kubelite")
"""Programs that run the HorizontalPodAutoscaler's controller; k3s and MicroK8s run all in one."""

CONTROLLERS = (
    *((name, "scale", "spec.replicas") for name in SCALERS),
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
    try:
        return bool(pattern) and matches(pattern, path)
    except ValueError:
        return False  # not a path, so it trusts nobody


def classify(
    owner: Owner,
    path: str,
    *,
    policy: DriftPolicy,
    autoscaled: bool,
    protected: bool,
    adopted: bool,
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
    if _allowed(owner, path, policy):
        return "yield", "policies.drift.yield_to allows it"
    for manager, subresource, pattern in CONTROLLERS:
        if (
            owner.manager == manager
            and owner.subresource == subresource
            and _path_like(path, pattern)
        ):
            if pattern == "spec.replicas" and not autoscaled:
                return "overrule", "no autoscaler drives this object any more"
            return "yield", "a known controller holds it"
    if adopted:
        return "overrule", "the object was adopted by name"
    if _like(owner.manager, PEOPLE):
        return "overrule", BY_HAND
    if _like(owner.manager, DEPLOYERS):
        return "stop", "another deployer manages it; adopt the object by name to take it over"
    if protected:
        return "stop", "an unknown manager holds it in a protected environment"
    return "yield", "an unknown manager holds it"


def left_alone(owner: Owner, path: str, *, policy: DriftPolicy, autoscaled: bool) -> bool:
    """Whether an allow-list, ours or the environment's, leaves this field to this manager."""
    if _allowed(owner, path, policy):
        return True
    return any(
        (owner.manager, owner.subresource) == (manager, subresource)
        and _path_like(path, pattern)
        and (autoscaled or pattern != "spec.replicas")
        for manager, subresource, pattern in CONTROLLERS
    )


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
            text = display(path, live)
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
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    manager: str,
    policy: DriftPolicy,
    *,
    trusted: tuple[str, ...] = _SYSTEM,
) -> Iterator[tuple[Path, Owner, Any]]:
    """Yield what others added to an object of ours: path, who, and the live value.

    A list item or a structure that is all theirs is one addition, not one for each of its leaves.
    What the API server's own controllers keep, what ``policies.drift.yield_to`` allows, the
    annotation with which ``kubectl rollout restart`` restarts pods, and known noise are none.

    ``trusted`` are the names whose additions are never told; a name is self-declared,
    so a proof trusts none and judges by the path.
    """
    others = [
        owner
        for owner in entries(live)
        if not (owner.manager == manager and owner.operation == "Apply" and not owner.subresource)
    ]
    fixed = [o.fields for o in others if o.subresource or _like(o.manager, trusted)]
    for owner in others:
        if owner.subresource or _like(owner.manager, trusted):
            continue
        node = _Node(
            tree=owner.fields, have=live, want=desired, mine=ours(live, manager), fixed=tuple(fixed)
        )
        for path, value in _extra(node):
            if not _allowed(owner, display(path, live), policy):
                yield path, owner, value


@frozen(kw_only=True)
class _Node:
    """One place in an object, as everybody sees it; ``None`` where it is absent for somebody.

    Attributes:
        tree: the field tree of the one whose additions are looked for.
        have: live value.
        want: desired value.
        mine: our field tree.
        fixed: field trees of those whose fields are never taken away.

    """

    tree: Mapping[str, Any]
    have: Any
    want: Any
    mine: Mapping[str, Any] | None
    fixed: tuple[Mapping[str, Any], ...] = ()
    path: Path = ()

    def child(self, key: str) -> _Node:
        """Return the place below, by a key of the field tree."""
        step = {"f:": key[2:], "k:": f"[{key[2:]}]", "v:": f"[={key[2:]}]"}.get(
            key[:2], f"[={key}]"
        )
        return _Node(
            tree=self.tree[key],
            have=value_at(self.have, (step,)),
            want=None if self.want is None else value_at(self.want, (step,)),
            mine=None if self.mine is None else self.mine.get(key),
            fixed=tuple(tree[key] for tree in self.fixed if key in tree),
            path=(*self.path, step),
        )


def _extra(node: _Node) -> Iterator[tuple[Path, Any]]:
    if node.have is None or _noise(node.path):
        return
    theirs = node.want is None and node.mine is None
    children = [key for key in node.tree if key != "."]
    # Maps of labels and annotations belong to everybody, one key each.
    whole = len(node.path) > 1 and node.path[-1] not in ("annotations", "labels")
    if theirs and not node.fixed and (whole or not children):
        yield node.path, node.have
        return
    for key in children:
        yield from _extra(node.child(key))


def _noise(path: Path) -> bool:
    if not path:
        return False
    return (
        path[0] == "status"
        or path[:2] == ("metadata", "finalizers")
        or path[-1] in NOISE
        or path[-1] == "kubectl.kubernetes.io/restartedAt"
    )


def _allowed(owner: Owner, path: str, policy: DriftPolicy) -> bool:
    """Whether the environment leaves this field to this manager."""
    for triple in policy.yield_to:
        manager, _, rest = triple.partition(":")
        subresource, _, pattern = rest.partition(":")
        if (
            fnmatchcase(owner.manager, manager)
            and owner.subresource == subresource
            and _path_like(path, pattern)
        ):
            return True
    return False


def deployer(owner: Owner) -> bool:
    """Whether another deployer wrote it: what such a one added is shown and never taken away."""
    return _like(owner.manager, DEPLOYERS)
