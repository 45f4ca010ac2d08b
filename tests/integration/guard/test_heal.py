"""A guard on the genuine API server: what drifts is brought back, and nothing else is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.lab import config_map, deployment, raw, secret

from infometis_sdk.engine.guarding import pacing
from infometis_sdk.engine.heal import heal, plan_heal
from infometis_sdk.engine.reading.named import observe_named
from infometis_sdk.engine.reading.standing import read_standing
from infometis_sdk.errors import SecretError, StalePlanError
from infometis_sdk.model.environment import DriftPolicy
from infometis_sdk.workspace.materials import materials

if TYPE_CHECKING:
    from tests.integration.engine.lab import Lab
    from tests.integration.guard.conftest import Guarding

    from infometis_sdk.model.secret import Secret, SecretRef

pytestmark = pytest.mark.integration


def releases(lab: Lab) -> int:
    """Return the number of the newest Release."""
    return read_standing(lab.cluster, lab.name, lab.namespace, lab.run()).number


def test_what_drifts_is_brought_back(lab: Lab, guarding: Guarding) -> None:
    """A changed field, a deleted object, and marks taken away are brought back; no Release opens.

    Who changed what and when is said.
    """
    wanted = lab.render(
        raw("app", config_map("app", level="info"), secret("token", a="1"), deployment("app"))
    )
    lab.up(wanted)
    guard = guarding(lab, wanted)
    guard.hears("synced")
    ref = lab.ref("ConfigMap", "app")
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"level": "debug"}}')
    note = guard.hears("drift", "ConfigMap/app")
    assert (note.path, note.manager, note.service) == ("data.level", "kubectl-patch", "app")
    assert note.time
    assert guard.hears("healed", "ConfigMap/app").seconds > 0
    assert lab.must_get(ref)["data"] == {"level": "info"}
    lab.patch(lab.ref("Secret", "token"), {"data": {"a": "aHVudGVyMg=="}}, "kubectl-edit")
    guard.hears("healed", "Secret/token", path="data.a")
    lab.kubectl("delete", "secret", "token")
    guard.hears("healed", "Secret/token", path="")
    said = "".join(map(repr, guard.notes))
    assert not any(secret in said for secret in ("aHVudGVyMg", "hunter2", "MQ=="))
    lab.kubectl("label", "deployment", "app", "infometis.io/stack-")
    guard.hears("healed", "Deployment/app")
    lab.settled(wanted)
    assert releases(lab) == 1


def test_a_report_only_guard_writes_nothing(lab: Lab, guarding: Guarding) -> None:
    """With the default policy drift is told while it lasts, and nothing is corrected."""
    wanted = lab.render(raw("app", config_map("app", level="info")))
    lab.up(wanted)
    guard = guarding(lab, wanted, policy=DriftPolicy())
    guard.hears("synced")
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"level": "debug"}}')
    assert guard.hears("drift", condition="open").manager == "kubectl-patch"
    assert guard.guard.state.drift == 1
    lab.kubectl("delete", "configmap", "app")
    assert guard.hears("drift", path="").detail.startswith("missing")
    guard.hears("drift", path="data.level", condition="closed")
    lab.write("apply", wanted.manifests[-1].object, lab.manager, force=True)
    guard.hears("drift", path="", condition="closed")
    assert guard.guard.state.drift == 0
    assert guard.healed == 0


def test_exceptions_are_told_and_left(lab: Lab, guarding: Guarding) -> None:
    """What ``exceptions`` name is never healed, also when the same object is healed elsewhere."""
    wanted = lab.render(
        raw("app", config_map("app", a="1", b="1"), config_map("free", a="1")),
        raw("other", config_map("other", a="1")),
    )
    lab.up(wanted)
    exceptions = ("ConfigMap/free", "ConfigMap/app:data.b", "other")
    guard = guarding(lab, wanted, policy=DriftPolicy(action="heal-except", exceptions=exceptions))
    guard.hears("synced")
    for name in ("free", "other"):
        lab.kubectl("patch", "configmap", name, "--patch", '{"data": {"a": "2"}}')
        guard.hears("drift", f"ConfigMap/{name}", condition="open")
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"a": "2", "b": "2"}}')
    guard.hears("healed", "ConfigMap/app", path="data.a")
    assert lab.must_get(lab.ref("ConfigMap", "app"))["data"] == {"a": "1", "b": "2"}
    assert not guard.said("healed", path="data.b")
    assert not guard.said("healed", "ConfigMap/free")
    assert not guard.said("healed", "ConfigMap/other")


def test_an_edit_war_is_given_up(
    lab: Lab, guarding: Guarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five corrections of one field it is left to the other side and told once.

    Other fields of the object are healed still; and where the other side gives in, that is over.
    """
    monkeypatch.setattr(pacing, "FIRST", 0.01)
    monkeypatch.setattr(pacing, "FACTOR", 1.0)
    wanted = lab.render(raw("app", config_map("app", a="1", b="1")))
    lab.up(wanted)
    guard = guarding(lab, wanted)
    guard.hears("synced")

    def meddle(**data: str) -> None:
        lab.patch(lab.ref("ConfigMap", "app"), {"data": data}, "kubectl-edit")

    for number in range(pacing.LIMIT):
        meddle(a=f"x{number}")
        guard.hears("healed", path="data.a", times=number + 1)
    meddle(a="again")
    note = guard.hears("contended", path="data.a", condition="open")
    assert note.manager == "kubectl-edit"
    meddle(b="2")
    guard.hears("healed", path="data.b")
    assert lab.must_get(lab.ref("ConfigMap", "app"))["data"] == {"a": "again", "b": "1"}
    assert len(guard.said("healed", path="data.a")) == pacing.LIMIT
    lab.write("apply", {**wanted.manifests[-1].object}, lab.manager, force=True)
    guard.hears("contended", path="data.a", condition="closed")


def test_controllers_and_restarts_are_left_alone(lab: Lab, guarding: Guarding) -> None:
    """Neither an autoscaler's replicas nor ``kubectl rollout restart`` are ever undone."""
    scaler: dict[str, Any] = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "app"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "minReplicas": 1,
            "maxReplicas": 9,
        },
    }
    wanted = lab.render(raw("app", deployment("app"), scaler, config_map("app", a="1")))
    lab.up(wanted)
    guard = guarding(lab, wanted)
    guard.hears("synced")
    ref = lab.ref("Deployment", "app", "apps/v1")
    # As the autoscaler's controller does it.
    scale = {"spec": {"replicas": 5}}
    lab.patch(ref, scale, "kube-controller-manager", subresource="scale")
    lab.kubectl("rollout", "restart", "deployment", "app")
    stamp = "kubectl.kubernetes.io/restartedAt"

    def pods() -> dict[str, Any]:
        return dict(lab.must_get(ref)["spec"]["template"]["metadata"].get("annotations") or {})

    restarted = pods()[stamp]
    # Another field of the same object drifts, so the whole of it is looked at and applied.
    lab.kubectl("patch", "deployment", "app", "--patch", '{"spec": {"minReadySeconds": 7}}')
    body = {"metadata": {"labels": {"app.kubernetes.io/part-of": "mine"}}}
    lab.patch(ref, body)
    guard.hears("healed", "Deployment/app")
    live = lab.must_get(ref)
    assert live["spec"]["replicas"] == 5
    assert pods()[stamp] == restarted
    assert live["metadata"]["labels"]["app.kubernetes.io/part-of"] != "mine"
    assert not guard.said("drift", path="spec.replicas")


def test_it_idles_while_a_release_is_not_deployed(lab: Lab, guarding: Guarding) -> None:
    """While a newer Release is pending or failed nothing is healed; afterwards the new one is.

    A stack that is taken down stays down.
    """
    first = lab.render(raw("app", config_map("app", a="1")))
    second = lab.render(raw("app", config_map("app", a="2")))
    lab.up(first)
    guard = guarding(lab, first)
    guard.hears("synced")
    broken = lab.render(
        raw("app", config_map("app", a="2")), raw("bad", deployment("bad", app="Not-A-Label!"))
    )
    made = lab.unblocked(lab.plan(broken))
    with pytest.raises(Exception, match="not applied"):
        lab.apply(made, broken)
    guard.hears("idle", detail="release 2 is failed")
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"a": "3"}}')
    guard.wanted = second
    lab.up(second)
    guard.hears("idle", condition="closed")
    guard.hears("synced", times=2)
    assert guard.healed == 0
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"a": "4"}}')
    guard.hears("healed", "ConfigMap/app")
    assert lab.must_get(lab.ref("ConfigMap", "app"))["data"] == {"a": "2"}
    lab.down(second)
    guard.until(lambda: bool(guard.guard.state.idle), "the guard to idle")
    assert lab.get(lab.ref("ConfigMap", "app")) is None


def test_what_moved_meanwhile_is_not_written(lab: Lab, guarding: Guarding) -> None:
    """A correction that another writer overtakes writes nothing; the next one does."""
    wanted = lab.render(raw("app", config_map("app", a="1")))
    lab.up(wanted)
    guard = guarding(lab, wanted)
    heal = guard.heal
    tried: list[int] = []

    def late(*given: Any) -> Any:
        if not tried:
            tried.append(1)
            lab.patch(lab.ref("ConfigMap", "app"), {"data": {"a": "newer"}}, "kubectl-edit")
            with pytest.raises(StalePlanError):
                heal(*given)
            msg = "as it was"
            raise StalePlanError(msg)
        return heal(*given)

    guard.heal = late
    guard.hears("synced")
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"a": "2"}}')
    guard.hears("healed", "ConfigMap/app")
    assert tried
    lab.settled(wanted)


def test_foreign_additions_go_only_where_the_policy_says_so(lab: Lab, guarding: Guarding) -> None:
    """What others add is told; with ``foreign: remove`` it is taken away."""
    wanted = lab.render(raw("app", config_map("app", a="1")))
    lab.up(wanted)
    keeping = guarding(lab, wanted)
    keeping.hears("synced")
    lab.patch(lab.ref("ConfigMap", "app"), {"data": {"mine": "1"}}, "kubectl-edit")
    assert keeping.hears("foreign").path == "data.mine"
    assert keeping.healed == 0
    keeping.stop()
    policy = DriftPolicy(action="heal", foreign="remove")
    environment = attrs.evolve(
        wanted.environment, policies=attrs.evolve(wanted.environment.policies, drift=policy)
    )
    removing = guarding(lab, attrs.evolve(wanted, environment=environment), policy=policy)
    removing.hears("healed", path="data.mine")
    assert lab.must_get(lab.ref("ConfigMap", "app"))["data"] == {"a": "1"}


def test_a_heal_that_a_release_overtakes_writes_nothing(lab: Lab) -> None:
    """What was planned for one Release is not written once another one is there."""
    first = lab.render(raw("app", config_map("app", a="1"), config_map("b", a="1")))
    lab.up(first)
    lab.kubectl("delete", "configmap", "app")
    chosen = tuple(m for m in first.manifests if m.ref.name == "app")
    subset = attrs.evolve(first, manifests=chosen)
    live = observe_named(lab.cluster, subset, lab.run())
    plan = plan_heal(lab.cluster, subset, live, lab.run()).plan
    assert [(item.action, item.state) for item in plan.items] == [("create", "drift")]
    second = lab.render(raw("app", config_map("b", a="2")))
    lab.up(second)

    def source(ref: SecretRef) -> Secret:
        raise SecretError(str(ref), reference=str(ref))

    with pytest.raises(StalePlanError, match="release 2 is newer"):
        heal(lab.cluster, plan, subset, materials(subset, None, source), lab.run(), release=1)
    assert lab.get(lab.ref("ConfigMap", "app")) is None


def test_what_was_put_back_is_left_out(lab: Lab) -> None:
    """Where somebody was faster, a heal has nothing to do and nothing to tell of that object."""
    wanted = lab.render(raw("app", config_map("app", a="1"), config_map("b", a="1")))
    lab.up(wanted)
    lab.kubectl("delete", "configmap", "b")
    live = observe_named(lab.cluster, wanted, lab.run())
    found = plan_heal(lab.cluster, wanted, live, lab.run())
    assert [str(item.ref) for item in found.plan.items] == ["ConfigMap/b"]
    assert found.left == {}


def test_changed_records_are_healed_to_by_nobody(lab: Lab, guarding: Guarding) -> None:
    """Where the record of a Release was edited or deleted nothing is healed, and that is told."""
    wanted = lab.render(raw("app", config_map("app", a="1")))
    lab.up(wanted)
    guard = guarding(lab, wanted)
    guard.hears("synced")
    record = lab.ref("ConfigMap", f"infometis-{lab.name}-release-1")
    lab.patch(record, {"data": {"status": "superseded"}}, "kubectl-edit")
    note = guard.hears("idle", condition="open")
    assert (note.level, "release 1" in note.detail) == ("warning", True)
    lab.kubectl("delete", "configmap", "app")
    lab.patch(record, {"data": {"status": "deployed"}}, "kubectl-edit")
    guard.hears("healed", "ConfigMap/app")
    lab.kubectl("delete", "configmap", record.name)
    guard.hears("idle", condition="open", times=2)
    lab.kubectl("delete", "configmap", "app")
    lab.up(wanted)
    guard.hears("idle", condition="closed", times=2)
    assert len(guard.said("healed")) == 1
