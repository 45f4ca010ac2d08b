"""A process that applies a stack of some sixty objects, to be killed in the middle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from tests.integration.engine.lab import Lab, config_map, deployment, raw, secret

from infometis_sdk.errors import InfometisError
from infometis_sdk.model.service import Credential, Service
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("main", "stack")


def stack(lab: Lab, value: str) -> ManifestSet:
    """Return the stack: three services one after the other, with a volume and a password.

    From one value to another objects change, come and go.
    """
    store = Service.stateful("db", image="example/db:1.0", port=5432)
    store = attrs.evolve(store, credentials={"admin": Credential(username="root", durable=True)})
    odd: list[dict[str, Any]] = [config_map(f"only-{value}-{n}") for n in range(4)]
    if value == "roles":
        odd.append(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": "reader"},
                "rules": [],
            }
        )
    return lab.render(
        raw("base", *(config_map(f"base-{n:02}", v=value) for n in range(24))),
        store,
        raw(
            "app",
            *(config_map(f"app-{n:02}", v=value) for n in range(16)),
            *(deployment(f"app-{n}", replicas=0) for n in range(4)),
            secret("token", v=value),
            *odd,
            needs=["base"],
        ),
    )


def main(words: list[str]) -> int:
    """Apply; the return value is the exit code."""
    name, kubeconfig, value = (*words, "1")[:3]
    lab = Lab(Access(kubeconfig=Path(kubeconfig), context=(*words, "", "")[3] or ""), name)
    wanted = stack(lab, value)
    try:
        lab.up(wanted)
    except InfometisError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0
