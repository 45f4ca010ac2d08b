"""The two commands of kubectl that the pages show, for machines without kubectl.

Writes as kubectl does: a server that is a genuine one sees the same requests, by the same manager.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.ports.platform import Access


def main() -> None:
    """Scale a StatefulSet, or create a ConfigMap."""
    cluster = open_cluster(Access(kubeconfig=Path(os.environ["KUBECONFIG"])))
    body: dict[str, Any]
    match sys.argv[1:]:
        case ["-n", namespace, "scale", "statefulset", name, replicas]:
            ref = ObjectRef(
                api_version="apps/v1", kind="StatefulSet", namespace=namespace, name=name
            )
            body = {"spec": {"replicas": int(replicas.removeprefix("--replicas="))}}
            write = Write(
                verb="merge-patch", ref=ref, body=body, manager="kubectl", subresource="scale"
            )
            told = f"statefulset.apps/{name} scaled"
        case ["-n", namespace, "create", "configmap", name, literal]:
            ref = ObjectRef(api_version="v1", kind="ConfigMap", namespace=namespace, name=name)
            key, _, value = literal.removeprefix("--from-literal=").partition("=")
            metadata = {"name": name, "namespace": namespace}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            body |= {"data": {key: value}}
            write = Write(verb="create", ref=ref, body=body, manager="kubectl-create")
            told = f"configmap/{name} created"
        case words:
            sys.exit(f"kubectl is not installed, and the pages never say: {' '.join(words)}")
    cluster.write(write, Run.within(30))
    print(told)  # noqa: T201 - as kubectl does


main()
