"""The objects that run a guard inside the cluster of its stack; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infometis_sdk.engine.guarding.rights import Rule

__all__ = ("guard_objects",)

_RBAC = "rbac.authorization.k8s.io"


def guard_objects(
    *,
    stack_id: str,
    namespace: str,
    image: str,
    port: int,
    rules: Mapping[str, Sequence[Rule]],
    pull_secrets: Sequence[str] = (),
    isolated: bool = False,
) -> list[dict[str, Any]]:
    """Return ServiceAccount, roles, bindings and Deployment, in order of application.

    They carry no label of the stack: whoever takes the stack down decides about its guard apart.

    Args:
        stack_id: which stack.
        namespace: its home, where the guard lives.
        image: built with the Dockerfile of the SDK's repository.
        port: of metrics and health, on the pod's own address.
        rules: from :func:`~infometis_sdk.engine.guarding.rights.rights`.
        pull_secrets: names of Secrets for the registry.
        isolated: policies shut off every pod of the namespace; the guard then needs one of its own,
            since it speaks to the Kubernetes API and to whom it notifies, wherever that is.

    """
    name = f"infometis-{stack_id}-guard"
    labels = {
        "app.kubernetes.io/name": "infometis-guard",
        "app.kubernetes.io/instance": stack_id,
        "app.kubernetes.io/managed-by": "infometis-sdk",
    }
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    made: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "automountServiceAccountToken": False,
        }
    ]
    for space, granted in sorted(rules.items()):
        kind = "Role" if space else "ClusterRole"
        meta = {"name": name, "labels": labels, **({"namespace": space} if space else {})}
        made += [
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": kind,
                "metadata": meta,
                "rules": list(granted),
            },
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": f"{kind}Binding",
                "metadata": meta,
                "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
                "subjects": [subject],
            },
        ]
    selector = {k: labels[k] for k in list(labels)[:2]}
    if isolated:
        made.append(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": name, "namespace": namespace, "labels": labels},
                "spec": {
                    "podSelector": {"matchLabels": selector},
                    "policyTypes": ["Ingress", "Egress"],
                    "ingress": [{"ports": [{"port": port, "protocol": "TCP"}]}],
                    "egress": [{}],
                },
            }
        )
    made.append(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {
                # One leads, the other stands by.
                "replicas": 2,
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {
                        "labels": labels,
                        "annotations": {
                            "prometheus.io/scrape": "true",
                            "prometheus.io/port": str(port),
                        },
                    },
                    "spec": _pod(name, image, port, [stack_id, namespace], pull_secrets),
                },
            },
        }
    )
    return made


def _pod(
    name: str, image: str, port: int, stack: Sequence[str], pull_secrets: Sequence[str]
) -> dict[str, Any]:
    probe = {"timeoutSeconds": 5, "periodSeconds": 20}
    return {
        "serviceAccountName": name,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        **({"imagePullSecrets": [{"name": n} for n in pull_secrets]} if pull_secrets else {}),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {
                    "matchLabels": {
                        "app.kubernetes.io/name": "infometis-guard",
                        "app.kubernetes.io/instance": stack[0],
                    }
                },
            }
        ],
        "containers": [
            {
                "name": "guard",
                "image": image,
                "args": [
                    "guard",
                    "--in-pod",
                    *stack,
                    "--listen",
                    f"$(POD_IP):{port}",
                    "--output",
                    "json",
                ],
                "env": [
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "INFOMETIS_STATE_DIR", "value": "/state"},
                    {"name": "HOME", "value": "/state"},
                ],
                "ports": [{"name": "metrics", "containerPort": port}],
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": "metrics"}, **probe},
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "metrics"}, **probe},
                "resources": {
                    "requests": {"cpu": "20m", "memory": "128Mi"},
                    "limits": {"memory": "384Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "state", "mountPath": "/state"}],
            }
        ],
        # The audit of what this guard does; its heads are kept in the cluster too.
        "volumes": [{"name": "state", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 30,
    }
