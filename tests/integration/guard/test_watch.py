"""What a guard finds beside drift: stuck rollouts and certificates, on the genuine API server."""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING

import pytest
import trustme
from tests.integration.engine.lab import deployment, raw
from tests.integration.engine.test_credentials import READER

from infometis_sdk.engine.guarding import rollouts
from infometis_sdk.model.service import Credential, Service

if TYPE_CHECKING:
    from tests.integration.engine.lab import Lab
    from tests.integration.guard.conftest import Guarding

pytestmark = pytest.mark.integration


def test_a_stuck_rollout_is_diagnosed(
    lab: Lab, guarding: Guarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workload whose pods fit on no node is told with the reason; its recovery too."""
    monkeypatch.setattr(rollouts, "GLANCES", (0.2, 1.0, 3.0))
    name = f"{lab.name}.example/wanted"
    app = deployment("app", nodeSelector={name: "yes"})
    wanted = lab.render(raw("app", app))
    lab.up(wanted)
    guard = guarding(lab, wanted)
    note = guard.hears("rollout stuck", "Deployment/app", condition="open")
    assert "node" in note.detail
    assert guard.guard.state.stuck == 1
    node = lab.kubectl("get", "nodes", "-o", "name").split()[0]
    lab.kubectl("label", node, f"{name}=yes")
    try:
        guard.hears("rollout stuck", "Deployment/app", condition="closed")
    finally:
        lab.kubectl("label", node, f"{name}-")
    assert guard.healed == 0


def test_a_certificate_that_runs_out_is_told(lab: Lab, guarding: Guarding) -> None:
    """An expiring certificate in a Secret of the stack is told, and its renewal."""

    def tls(days: int) -> dict[str, object]:
        end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        pem = trustme.CA().issue_cert("demo.example", not_after=end).cert_chain_pems[0].bytes()
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "tls"},
            "data": {"tls.crt": base64.b64encode(pem).decode()},
        }

    wanted = lab.render(raw("app", tls(3)))
    lab.up(wanted)
    guard = guarding(lab, wanted)
    note = guard.hears("certificate expiring", "Secret/tls", condition="open")
    assert "BEGIN" not in str(note)
    renewed = lab.render(raw("app", tls(365)))
    guard.wanted = renewed
    lab.up(renewed)
    guard.hears("certificate expiring", "Secret/tls", condition="closed")


def test_a_lost_credential_restarts_nothing(lab: Lab, guarding: Guarding) -> None:
    """Where a credential's Secret is gone, its readers are left running, and it is told.

    A changed one is read anew by its readers, as an apply would have it.
    """
    service = Service(
        name="vault",
        credentials={"admin": Credential(username="root")},
        templates={"reader.yaml.j2": READER},
    )
    wanted = lab.render(service)
    lab.up(wanted)
    guard = guarding(lab, wanted)
    guard.hears("synced")
    ref = lab.ref("Deployment", "vault", "apps/v1")
    before = lab.must_get(ref)["metadata"]["generation"]
    (bound,) = wanted.credentials
    secret = lab.must_get(lab.ref("Secret", bound.secret))
    lab.kubectl("delete", "secret", bound.secret)
    note = guard.hears("heal failed", "Deployment/vault", condition="open")
    assert f"Secret/{bound.secret}" in note.detail
    assert lab.must_get(ref)["metadata"]["generation"] == before
    meta = {key: secret["metadata"][key] for key in ("name", "namespace", "labels")}
    lab.write("create", {**secret, "metadata": meta}, "kubectl-create")
    guard.hears("heal failed", "Deployment/vault", condition="closed")
    assert lab.must_get(ref)["metadata"]["generation"] == before
    lab.patch(lab.ref("Secret", bound.secret), {"data": {"password": "aHVudGVyMg=="}})
    guard.hears("healed", "Deployment/vault")
    assert lab.must_get(ref)["metadata"]["generation"] == before + 1
    assert "aHVudGVyMg" not in "".join(map(repr, guard.notes))
    lab.settled(wanted)
