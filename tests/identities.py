"""Users of the test cluster, and kubeconfig files for them."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from infometis_sdk._adapters.kubeconfig import KubeConfig
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_RBAC = "rbac.authorization.k8s.io/v1"


def service_account(
    access: Access, namespace: str, *, name: str = "tester", role: str = "cluster-admin"
) -> str:
    """Make a service account that may do what a ClusterRole allows; return a token for an hour."""
    run = Run.within(60)
    cluster = open_cluster(access)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace},
        },
    ]
    if role:
        objects.append(
            {
                "apiVersion": _RBAC,
                "kind": "ClusterRoleBinding",
                "metadata": {"name": f"{namespace}-{name}"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": role,
                },
                "subjects": [subject],
            }
        )
    for each in objects:
        cluster.write(Write(verb="apply", ref=ObjectRef.of(each), body=each, manager="t"), run)
    token = cluster.write(
        Write(
            verb="create",
            ref=ObjectRef.of(objects[1]),
            subresource="token",
            body={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": 3600},
            },
        ),
        run,
    )
    cluster.close()
    return str(token.object["status"]["token"])


def kubeconfig(path: Path, access: Access, user: Mapping[str, Any], **more: Any) -> Access:
    """Write a kubeconfig for the same cluster and another user; ``more`` changes the cluster."""
    assert access.kubeconfig is not None
    data = KubeConfig.read(access.kubeconfig).data
    cluster = {**data["clusters"][0]["cluster"], **more}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "guest", "user": dict(user)}],
        "contexts": [{"name": "guest", "context": {"cluster": "c", "user": "guest"}}],
        "current-context": "guest",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document), encoding="utf-8")
    return Access(kubeconfig=path, context="guest")


def plugin(folder: Path, token: str, *, seconds: float) -> dict[str, Any]:
    """Write a credential plugin that gives the token in ``folder/token`` for some seconds.

    Each of its runs adds a line to ``folder/runs``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text(token, encoding="utf-8")
    script = folder / "plugin"
    script.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable}
            import datetime, json, os, pathlib
            here = pathlib.Path(__file__).parent
            with (here / "runs").open("a") as runs:
                print(os.environ["KUBERNETES_EXEC_INFO"], file=runs)
            now = datetime.datetime.now(datetime.UTC)
            end = now + datetime.timedelta(seconds={seconds!r})
            print(json.dumps({{
                "apiVersion": "client.authentication.k8s.io/v1",
                "kind": "ExecCredential",
                "status": {{
                    "token": (here / "token").read_text(),
                    "expirationTimestamp": end.isoformat().replace("+00:00", "Z"),
                }},
            }}))
            """),
        encoding="utf-8",
    )
    script.chmod(0o700)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(script),
            "interactiveMode": "Never",
        }
    }


def runs_of(folder: Path) -> int:
    """Return how often the plugin of a folder ran."""
    path = folder / "runs"
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0
