"""A guard while everything round it breaks, on the genuine API server."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.conftest import cache_dir
from tests.integration.engine.lab import MINUTE, Lab, config_map, deployment, raw, secret
from tests.integration.guard.victim import stack

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk._adapters.kinds import Kinds
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk._adapters.transport import Patience
from infometis_sdk.engine.guard import guard_lease
from infometis_sdk.engine.guarding.rights import rights
from infometis_sdk.model.environment import DriftPolicy, Policies
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.ports.platform import Access, PlatformContext
from infometis_sdk.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.integration.guard.conftest import Guarding

    from infometis_sdk.model.stack import ManifestSet

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def plural(api_version: str, kind: str) -> str:
    """Return the resource name of a built-in kind."""
    return Kinds().find(api_version, kind, lambda _: None).plural


def rules_of(wanted: ManifestSet, namespace: str) -> list[dict[str, Any]]:
    """Return the rules that a guard that heals is granted in a namespace."""
    policies = Policies(drift=DriftPolicy(action="heal"))
    environment = attrs.evolve(wanted.environment, policies=policies)
    granted = rights(
        attrs.evolve(wanted, environment=environment),
        plural,
        lease=guard_lease(wanted.stack_id),
    )
    assert set(granted) == {namespace}, "a guest needs nothing outside its namespace"
    return granted[namespace]


def meddle(lab: Lab, name: str = "app", value: str = "2") -> None:
    """Change a ConfigMap."""
    lab.patch(lab.ref("ConfigMap", name), {"data": {"a": value}}, "kubectl-edit")


def test_with_exactly_its_rights_it_works(lab: Lab, guarding: Guarding) -> None:
    """The rights that we render suffice, for roles too; each one that is missing is told."""
    lab.as_guest()
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "readers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "default"}],
    }
    wanted = lab.render(
        raw("app", config_map("app", a="1"), secret("s", a="1"), deployment("app"), role, binding)
    )
    lab.up(wanted)
    rules = rules_of(wanted, lab.namespace)
    guest = lab.as_service_account(rules)
    guard = guarding(guest, wanted)
    guard.hears("synced")
    meddle(lab)
    guard.hears("healed", "ConfigMap/app")
    for kind, name in (("role", "reader"), ("rolebinding", "readers"), ("secret", "s")):
        lab.kubectl("delete", kind, name)
    for subject in ("Role/reader", "RoleBinding/readers", "Secret/s"):
        guard.hears("healed", subject)
    lab.settled(wanted)
    assert not guard.said("watch lost")
    assert not guard.said("heal failed")

    # What is taken away: writing ConfigMaps.
    name = next(r for r in lab.kubectl("get", "roles", "-o", "name").split() if "guest-" in r)
    fewer = [
        {**rule, "verbs": [v for v in rule["verbs"] if v != "patch"]}
        if "configmaps" in rule["resources"]
        else rule
        for rule in rules
    ]
    ref = lab.ref("Role", name.partition("/")[2], "rbac.authorization.k8s.io/v1")
    lab.patch(ref, {"rules": fewer})
    guard.until(lambda: not may(guest, "patch", "configmaps"), "the right to be gone")
    meddle(lab)
    note = guard.hears("heal failed", "ConfigMap/app", condition="open")
    assert "configmaps" in note.detail
    assert "patch" in note.detail
    lab.kubectl("delete", "deployment", "app")
    guard.hears("healed", "Deployment/app")
    lab.patch(ref, {"rules": rules})
    guard.hears("healed", "ConfigMap/app", times=2)
    guard.hears("heal failed", "ConfigMap/app", condition="closed")


def may(lab: Lab, verb: str, resource: str) -> bool:
    """Ask the API server whether an account may do something."""
    review: dict[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": {
            "resourceAttributes": {"namespace": lab.namespace, "verb": verb, "resource": resource}
        },
    }
    ref = attrs.evolve(lab.ref("", "", scoped=False), api_version=review["apiVersion"],
                       kind="SelfSubjectAccessReview")  # fmt: skip
    made = lab.cluster.write(Write(verb="create", ref=ref, body=review), lab.run())
    return bool(made.object["status"]["allowed"])


def test_a_kind_that_may_not_be_watched_blinds_no_other(lab: Lab, guarding: Guarding) -> None:
    """403 on one kind is told, the others go on; once it is allowed again, that is told too."""
    lab.as_guest()
    wanted = lab.render(raw("app", config_map("app", a="1"), secret("s", a="1")))
    lab.up(wanted)
    rules = rules_of(wanted, lab.namespace)
    blind = [rule for rule in rules if rule["resources"] != ["secrets"]]
    for rule in blind:
        if "secrets" in rule["resources"]:
            rule["resources"] = [name for name in rule["resources"] if name != "secrets"]
    guest = lab.as_service_account(blind)
    guard = guarding(guest, wanted)
    note = guard.hears("watch lost", "Secret", condition="open")
    assert "secrets" in note.detail
    meddle(lab)
    guard.hears("healed", "ConfigMap/app")
    assert guard.guard.state.lost == 1
    name = next(r for r in lab.kubectl("get", "roles", "-o", "name").split() if "guest-" in r)
    ref = lab.ref("Role", name.partition("/")[2], "rbac.authorization.k8s.io/v1")
    lab.patch(ref, {"rules": rules_of(wanted, lab.namespace)})
    guard.hears("watch lost", "Secret", condition="closed")
    guard.hears("synced")


def test_two_guards_one_leads(lab: Lab, guarding: Guarding) -> None:
    """Of two guards one acts; when it ends, the other goes on from what it finds."""
    wanted = stack(lab)
    lab.up(wanted)
    first = guarding(lab, wanted)
    first.hears("synced")
    second = guarding(lab, wanted)
    assert f"process {os.getpid()} on" in second.hears("standing by").detail
    assert second.guard.state.idle == "another guard leads"
    meddle(lab, "app-1")
    first.hears("healed", "ConfigMap/app-1")
    assert not first.said("leading", condition="closed"), "it leads all the while"
    first.stop()
    assert first.said("leading", condition="closed")
    meddle(lab, "app-2")
    second.hears("healed", "ConfigMap/app-2")
    assert not second.said("healed", "ConfigMap/app-1")
    lab.settled(wanted)


def test_clocks_apart(lab: Lab, guarding: Guarding) -> None:
    """A leader whose clock is an hour late leads all the same, as long as its Lease moves.

    How old a Lease is, is told by our own clock alone, never by the time that stands in it.
    """
    wanted = stack(lab)
    lab.up(wanted)
    ref = lab.ref("Lease", guard_lease(lab.name), "coordination.k8s.io/v1")
    late = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)

    def renewed(second: int) -> dict[str, Any]:
        now = (late + dt.timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": "elsewhere",
            "leaseDurationSeconds": 6,
            "acquireTime": now,
            "renewTime": now,
        }
        meta = {"name": ref.name, "namespace": ref.namespace}
        return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": meta, "spec": spec}

    lab.write("create", renewed(0), "elsewhere")
    guard = guarding(lab, wanted, term=6.0)
    guard.until(lambda: guard.guard.state.idle == "another guard leads", "the guard to stand by")
    for second in range(1, 5):
        lab.patch(ref, renewed(second), "elsewhere")
        assert not guard.said("leading")
    meddle(lab, "app-1")
    guard.hears("leading", condition="open")
    guard.hears("healed", "ConfigMap/app-1")


def test_a_reporting_guard_needs_no_right_to_write(lab: Lab, guarding: Guarding) -> None:
    """Without the right to dry-run drift is found by comparing, and told with who and when."""
    lab.as_guest()
    wanted = lab.render(raw("app", config_map("app", a="1"), deployment("app")))
    lab.up(wanted)
    granted = rights(wanted, plural, lease=guard_lease(wanted.stack_id))
    guest = lab.as_service_account(granted[lab.namespace])
    assert not may(guest, "patch", "configmaps")
    guard = guarding(guest, wanted, policy=DriftPolicy())
    guard.hears("synced")
    meddle(lab)
    note = guard.hears("drift", "ConfigMap/app", path="data.a")
    assert (note.manager, note.condition) == ("kubectl-edit", "open")
    assert note.time
    lab.kubectl("delete", "deployment", "app")
    guard.hears("drift", "Deployment/app", path="")
    assert not guard.said("watch lost")


class Killer(FaultProxy):
    """Kills its client right after a write of an object was done, before it is told."""

    victim: subprocess.Popen[str] | None = None
    killed = False

    def saw(self, verb: str, target: str, headers: Mapping[str, str], status: int) -> None:
        """See :meth:`FaultProxy.saw`."""
        if verb == "PATCH" and "dryRun" not in target and self.victim and not self.killed:
            self.killed = True
            self.victim.send_signal(signal.SIGKILL)
        super().saw(verb, target, headers, status)


def test_killed_while_healing(lab: Lab, guarding: Guarding) -> None:
    """A guard that is killed in the middle of a correction is followed by another at once."""
    wanted = stack(lab)
    lab.up(wanted)
    with Killer(lab.access) as proxy:
        victim = subprocess.Popen(
            (sys.executable, "-m", "tests.integration.guard.victim", lab.name,
             str(proxy.access.kubeconfig), proxy.access.context),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert victim.stdout is not None
        with closing(victim.stdout):
            assert any("synced" in line for line in victim.stdout)
            proxy.victim = victim
            for number in range(4):
                meddle(lab, f"app-{number}")
            victim.wait(MINUTE)
    assert proxy.killed
    guard = guarding(lab, wanted)
    guard.hears("synced")
    guard.until(lambda: not lab.drift(wanted).items, "all to be healed")
    lab.settled(wanted)


def test_lost_network_and_expired_watches(lab: Lab, guarding: Guarding) -> None:
    """What happens while the network is away is found afterwards, by a 410 as well."""
    wanted = stack(lab)
    lab.up(wanted)
    with FaultProxy(lab.access) as proxy:
        quick = Patience(established=0.5, first_contact=0.5)
        door = open_cluster(proxy.access, quick)
        guard = guarding(lab, wanted, cluster=door)
        guard.hears("synced")
        with proxy.outage():
            guard.hears("watch lost", condition="open")
            meddle(lab, "app-1")
            lab.kubectl("delete", "configmap", "app-2")
        guard.hears("healed", "ConfigMap/app-1")
        guard.hears("healed", "ConfigMap/app-2")
        guard.hears("watch lost", condition="closed")
        proxy.inject(Fault(path="watch=true", status=410, reason="Expired", times=2))
        with proxy.outage():
            lab.kubectl("delete", "configmap", "app-3")
        guard.hears("healed", "ConfigMap/app-3")
        lab.settled(wanted)
        guard.stop()


@pytest.fixture(scope="module")
def mortal(embedded_access: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """Make a cluster whose API server may be killed."""
    del embedded_access
    state_dir = tmp_path_factory.mktemp("mortal") / "state"
    context = PlatformContext(cluster="mortal", state_dir=state_dir, cache_dir=cache_dir())
    platform = EmbeddedPlatform(Embedded(lifetime="ephemeral"), context)
    yield platform.ensure(Run.within(120))
    platform.destroy(Run.within(60))


def test_the_api_server_restarts(mortal: Access, guarding: Guarding) -> None:
    """A guard outlives its API server, and heals what it finds when that is back."""
    lab = Lab(mortal, "restarts")
    wanted = stack(lab)
    lab.up(wanted)
    guard = guarding(lab, wanted)
    guard.hears("synced")
    assert mortal.kubeconfig is not None
    parts = json.loads((mortal.kubeconfig.parent / "parts.json").read_text(encoding="utf-8"))
    os.kill(parts["parts"]["kube-apiserver"]["pid"], signal.SIGKILL)
    meddle(lab, "app-4")
    guard.hears("healed", "ConfigMap/app-4")
    lab.settled(wanted)
