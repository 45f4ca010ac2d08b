"""What a guard must be allowed to do, and nothing else: the kinds and namespaces of its stack.

RBAC can name objects for ``get``, ``update`` and ``patch``, but neither for ``create`` nor for a
LIST or a watch by label, so those are granted by kind.
Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.guarding.patrol import sources_of
from infometis_sdk.engine.guarding.wanted import Wanted
from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.readiness.diagnose import WORKLOADS
from infometis_sdk.engine.writing.audit_heads import heads_ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infometis_sdk.model.stack import ManifestSet

__all__ = ("Plural", "Rule", "rights")

Rule = dict[str, Any]
Plural = "Callable[[str, str], str]"

_LOOK = ["get", "list", "watch"]
_WRITE = ["create", "patch"]
_RBAC = "rbac.authorization.k8s.io"


def rights(
    manifests: ManifestSet, plural: Callable[[str, str], str], *, lease: str
) -> dict[str, list[Rule]]:
    """Return the rules of the guard's roles.

    Args:
        manifests: the stack.
        plural: resource name of an API version and kind.
        lease: name of the guard's own Lease.

    Returns:
        Rules by namespace; under the empty name those for what is in no namespace.

    """
    heals = manifests.environment.policies.drift.action != "report"
    home, stack = manifests.namespace, manifests.stack_id
    wanted = Wanted(manifests)
    rules: dict[str, list[Rule]] = {}
    ours = {(s.namespace, s.api_version, s.kind) for s in wanted.sources}
    watched = {(s.namespace, s.api_version, s.kind) for s in sources_of(wanted)}
    for namespace, version, kind in sorted(watched):
        writes = _WRITE if heals and (namespace, version, kind) in ours else []
        _add(rules, namespace, (_group(version), plural(version, kind)), [*_LOOK, *writes])
    for namespace in sorted({s.namespace for s in wanted.sources if s.kind in WORKLOADS}):
        for version, kind in (
            ("v1", "Pod"),
            ("v1", "Event"),
            ("v1", "PersistentVolumeClaim"),
            ("apps/v1", "ReplicaSet"),
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ):
            _add(rules, namespace, (_group(version), plural(version, kind)), ["list"])
    leases = [lease, *([parent_name(stack)] if heals else [])]
    _add(rules, home, ("coordination.k8s.io", "leases"), ["create"])
    _add(rules, home, ("coordination.k8s.io", "leases"), ["get", "update"], leases)
    if heals:
        if (home, "v1", "ConfigMap") not in ours:
            _add(rules, home, ("", "configmaps"), ["create"])
            _add(rules, home, ("", "configmaps"), ["patch"], [heads_ref(stack, home).name])
        _escalations(rules, manifests)
    return rules


def _escalations(rules: dict[str, list[Rule]], manifests: ManifestSet) -> None:
    """Let the guard make the stack's own roles and bindings again.

    Kubernetes lets nobody hand out rights that they do not have, but for these two verbs.
    """
    for m in manifests.manifests:
        if m.ref.group != _RBAC:
            continue
        if m.ref.kind in ("Role", "ClusterRole"):
            plural = f"{m.ref.kind.lower()}s"
            _add(rules, m.ref.namespace, (_RBAC, plural), ["escalate"], [m.ref.name])
        else:
            role = m.object.get("roleRef") or {}
            plural = f"{str(role.get('kind', '')).lower()}s"
            _add(rules, m.ref.namespace, (_RBAC, plural), ["bind"], [str(role.get("name", ""))])


def _group(version: str) -> str:
    return version.rpartition("/")[0]


def _add(
    rules: dict[str, list[Rule]],
    namespace: str,
    what: tuple[str, str],
    verbs: Iterable[str],
    names: Iterable[str] = (),
) -> None:
    """Add a rule; one that differs from an earlier one in its resource alone joins it."""
    group, resource = what
    mine = rules.setdefault(namespace, [])
    made: Rule = {"apiGroups": [group], "resources": [resource], "verbs": sorted(verbs)}
    if names:
        made["resourceNames"] = sorted(names)
    for rule in mine:
        same = rule["apiGroups"] == [group] and rule["verbs"] == made["verbs"]
        if same and "resourceNames" not in rule and "resourceNames" not in made:
            rule["resources"] = sorted({*rule["resources"], resource})
            return
        if same and rule["resources"] == [resource] and "resourceNames" in rule and names:
            rule["resourceNames"] = sorted({*rule["resourceNames"], *names})
            return
    mine.append(made)
