"""Rights: what Traefik must read to route, in its own namespaces and nowhere else.

Traefik lists and watches every kind below, or none of its routes work.
Upstream's example gives all this for the whole cluster; a Traefik that serves one stack needs no
more than the stack's namespaces, and so two environments of a cluster cannot read each other's
Secrets.

Source: kubernetes-crd-rbac.yml of Traefik v3.7.13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_border_traefik.install.crds import kinds
from infometis_border_traefik.names import BORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_border_traefik.layout import Layout

__all__ = ("rbac",)

_READ = ["get", "list", "watch"]


def rbac(layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield the account, and a role for each namespace that Traefik watches."""
    yield {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": BORDER, "namespace": layout.namespace},
        "automountServiceAccountToken": False,
    }
    if layout.reads_files:
        return
    for namespace in dict.fromkeys((layout.home, layout.namespace)):
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": BORDER, "namespace": namespace},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["configmaps", "secrets", "services"],
                    "verbs": _READ,
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
                {"apiGroups": ["traefik.io"], "resources": list(kinds()), "verbs": _READ},
            ],
        }
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": BORDER, "namespace": namespace},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": BORDER,
            },
            "subjects": [{"kind": "ServiceAccount", "name": BORDER, "namespace": layout.namespace}],
        }
