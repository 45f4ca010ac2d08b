"""Fields that somebody else holds: decided in the plan, named, and done exactly so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.lab import actions, config_map, deployment, item, raw

from infometis_sdk.errors import PlanRefusedError
from infometis_sdk.model.environment import DriftPolicy, Policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.engine.lab import Lab

    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.stack import ManifestSet

pytestmark = pytest.mark.integration

IMAGE = "spec.template.spec.containers[name=main].image"


@pytest.fixture
def wanted(lab: Lab) -> ManifestSet:
    """Apply a Deployment and return what is desired."""
    made = lab.render(raw("app", deployment("app", replicas=2)))
    lab.up(made)
    return made


@pytest.fixture
def app(lab: Lab, wanted: ManifestSet) -> ObjectRef:
    """Name the Deployment that is there."""
    del wanted
    return lab.ref("Deployment", "app", "apps/v1")


def image_by(lab: Lab, app: ObjectRef, manager: str) -> None:
    """Change the image by a strategic patch of a tool of that name."""
    lab.kubectl(
        "set",
        "image",
        f"deployment/{app.name}",
        "main=example/other:2",
        f"--field-manager={manager}",
    )


def image_of(live: Mapping[str, Any]) -> str:
    """Return the image that runs."""
    return str(live["spec"]["template"]["spec"]["containers"][0]["image"])


def test_a_persons_tool_is_overruled_and_named(
    lab: Lab, wanted: ManifestSet, app: ObjectRef
) -> None:
    """What kubectl changed is put back, and the plan says who held the field and what it was."""
    lab.kubectl("set", "image", "deployment/app", "main=example/other:2")
    made = lab.plan(wanted)
    change = item(made, "Deployment/app")
    assert (change.action, change.state) == ("update", "drift")
    assert [(d.path, d.action, d.live) for d in change.decisions] == [
        (IMAGE, "overrule", "example/other:2")
    ]
    assert change.decisions[0].manager.startswith("kubectl")
    assert "kubectl" in str(made)
    lab.apply(made, wanted)
    assert image_of(lab.must_get(app)) == "example/app:1"
    lab.settled(wanted)


@pytest.mark.parametrize("manager", ["helm", "argocd-controller", "infometis.other-stack"])
def test_another_deployer_stops_the_plan_until_adopted(
    lab: Lab, wanted: ManifestSet, app: ObjectRef, manager: str
) -> None:
    """A field that another deployer holds stops the plan, which names it, until adopted by name."""
    image_by(lab, app, manager)
    made = lab.plan(wanted)
    assert any(manager in reason and IMAGE in reason for reason in made.blocked), made.blocked
    with pytest.raises(PlanRefusedError):
        lab.apply(made, wanted)
    assert image_of(lab.must_get(app)) == "example/other:2"

    adopted = lab.plan(wanted, adopt=["Deployment/app"])
    assert not adopted.blocked
    lab.apply(adopted, wanted)
    assert image_of(lab.must_get(app)) == "example/app:1"
    lab.settled(wanted)


def test_an_unknown_manager_is_yielded_to_in_an_unprotected_environment(
    lab: Lab, wanted: ManifestSet, app: ObjectRef
) -> None:
    """In dev an unknown manager keeps its field; drift shows it, with manager and time."""
    image_by(lab, app, "some-operator")
    made = lab.plan(wanted)
    assert not made.blocked
    if not made.empty:
        lab.apply(made, wanted)
    assert image_of(lab.must_get(app)) == "example/other:2"
    assert lab.plan(wanted).empty
    (found,) = lab.drift(wanted).items
    assert (found.state, found.path, found.manager) == ("drift", IMAGE, "some-operator")
    assert found.live == "example/other:2"
    assert found.time


def test_an_unknown_manager_stops_the_plan_in_a_protected_environment(
    lab: Lab, wanted: ManifestSet, app: ObjectRef
) -> None:
    """In a protected environment nobody unknown is overruled or yielded to."""
    image_by(lab, app, "some-operator")
    protected = attrs.evolve(wanted, environment=attrs.evolve(wanted.environment, protected=True))
    made = lab.plan(protected)
    assert any("some-operator" in reason for reason in made.blocked)


def test_an_allowed_triple_is_yielded_to_and_is_no_drift(
    lab: Lab, wanted: ManifestSet, app: ObjectRef
) -> None:
    """Only manager, subresource and path together earn trust; then the field is left alone."""
    image_by(lab, app, "image-updater")
    path = IMAGE.replace("name=main", "*")
    for triple, trusted in (
        (f"image-updater::{path}", True),
        (f"image-updater:scale:{path}", False),
    ):
        policies = Policies(drift=DriftPolicy(yield_to=(triple,)))
        environment = attrs.evolve(wanted.environment, policies=policies, protected=True)
        made = lab.plan(attrs.evolve(wanted, environment=environment))
        assert bool(made.blocked) is not trusted, (triple, made.blocked)
    policies = Policies(drift=DriftPolicy(yield_to=(f"image-updater::{path}",)))
    trusting = attrs.evolve(
        wanted, environment=attrs.evolve(wanted.environment, policies=policies, protected=True)
    )
    lab.up(trusting)
    assert image_of(lab.must_get(app)) == "example/other:2"
    assert not lab.drift(trusting).items


def test_the_same_value_by_somebody_else_is_no_conflict(lab: Lab, wanted: ManifestSet) -> None:
    """Whoever sets a field to the value that we want stands against nothing."""
    lab.kubectl("scale", "deployment/app", "--replicas=2")
    lab.settled(wanted)


def test_kubectl_scale_is_drift_with_manager_and_time(
    lab: Lab, wanted: ManifestSet, app: ObjectRef
) -> None:
    """A replica count changed by hand is drift, shown with who and when, and put back."""
    lab.kubectl("scale", "deployment/app", "--replicas=5")
    (found,) = lab.drift(wanted).items
    assert (found.state, found.path) == ("drift", "spec.replicas")
    assert (found.desired, found.live) == ("2", "5")
    assert found.manager.startswith("kubectl")
    assert found.time
    lab.up(wanted)
    assert lab.must_get(app)["spec"]["replicas"] == 2
    lab.settled(wanted)


# --- autoscalers ------------------------------------------------------------------------------


def autoscaler(low: int = 3) -> dict[str, Any]:
    """Return a HorizontalPodAutoscaler of the Deployment."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "app"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "minReplicas": low,
            "maxReplicas": 9,
        },
    }


def scaled_by_autoscaler(lab: Lab, app: ObjectRef, replicas: int) -> None:
    """Scale as the HorizontalPodAutoscaler's controller does, by subresource and name."""
    lab.patch(
        app,
        {"spec": {"replicas": replicas}},
        manager="kube-controller-manager",
        subresource="scale",
    )


def owners_of_replicas(live: Mapping[str, Any]) -> set[str]:
    """Return who owns the replica count."""
    return {
        entry["manager"]
        for entry in live["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }


def test_replicas_are_handed_over_to_an_autoscaler_and_back(lab: Lab, app: ObjectRef) -> None:
    """While we alone own replicas the live value is sent; `scale` takes them.

    Without the autoscaler the parameter counts again, in one plan and one apply.
    """
    plain = lab.render(raw("app", deployment("app", replicas=2)))
    scaled = lab.render(raw("app", deployment("app", replicas=2), autoscaler()))
    lab.up(scaled)
    live = lab.must_get(app)
    # Leaving the field out while nobody else owns it would have set it to the default, 1.
    assert live["spec"]["replicas"] == 2
    lab.settled(scaled)

    scaled_by_autoscaler(lab, app, 4)
    assert "kube-controller-manager" in owners_of_replicas(lab.must_get(app))
    lab.settled(scaled)
    moved = lab.render(raw("app", deployment("app", replicas=3), autoscaler()))
    made = lab.plan(moved)
    lab.apply(made, moved)
    assert lab.must_get(app)["spec"]["replicas"] == 4
    assert owners_of_replicas(lab.must_get(app)) == {"kube-controller-manager"}
    lab.settled(moved)

    back = lab.plan(plain)
    assert actions(back) == {"Deployment/app": "update", "HorizontalPodAutoscaler/app": "delete"}
    lab.apply(back, plain)
    assert lab.must_get(app)["spec"]["replicas"] == 2
    lab.settled(plain)


def test_a_foreign_autoscaler_is_yielded_to(lab: Lab, wanted: ManifestSet, app: ObjectRef) -> None:
    """An autoscaler that somebody else made drives the replicas; it is neither fought nor drift."""
    foreign = autoscaler()
    foreign["metadata"]["namespace"] = lab.namespace
    lab.write("create", foreign, "kubectl")
    scaled_by_autoscaler(lab, app, 4)
    lab.settled(wanted)
    assert lab.must_get(app)["spec"]["replicas"] == 4


def test_the_genuine_autoscaler_is_not_fought(lab: Lab, app: ObjectRef) -> None:
    """The controller of Kubernetes raises to its minimum; plans and drift leave that alone."""
    scaled = lab.render(raw("app", deployment("app", replicas=1), autoscaler(low=3)))
    lab.up(scaled)
    lab.until(lambda: lab.must_get(app)["spec"]["replicas"] == 3, "the autoscaler to scale")
    lab.settled(scaled)
    lab.up(lab.render(raw("app", deployment("app", replicas=2), autoscaler(low=3))))
    assert lab.must_get(app)["spec"]["replicas"] == 3


# --- foreign additions ------------------------------------------------------------------------


def with_policy(wanted: ManifestSet, foreign: str) -> ManifestSet:
    """Return the same with another policy about foreign fields."""
    policies = Policies(drift=DriftPolicy(foreign=foreign))
    return attrs.evolve(wanted, environment=attrs.evolve(wanted.environment, policies=policies))


def test_what_kubectl_adds_is_shown_as_foreign_and_kept(lab: Lab, wanted: ManifestSet) -> None:
    """Labels and annotations added by genuine kubectl are shown with manager and time, and stay."""
    lab.kubectl("label", "deployment/app", "team=blue")
    lab.kubectl("annotate", "deployment/app", "note/who=me")
    assert lab.plan(wanted).empty
    found = {i.path: i for i in lab.drift(wanted).items}
    assert set(found) == {"metadata.labels.team", "metadata.annotations[note/who]"}
    for one in found.values():
        assert one.state == "foreign"
        assert one.manager.startswith("kubectl")
        assert one.time
    assert lab.drift(wanted).found


def test_kubectl_edit_shows_up_whole(lab: Lab, wanted: ManifestSet, tmp_path: Any) -> None:
    """What a person adds in an editor, here a sidecar and a probe, is one addition each."""
    editor = tmp_path / "editor.py"
    editor.write_text(
        "#!/usr/bin/env python3\n"
        "import json, sys\n"
        "path = sys.argv[-1]\n"
        "obj = json.load(open(path))\n"
        "pod = obj['spec']['template']['spec']\n"
        "pod['containers'][0]['livenessProbe'] = {'tcpSocket': {'port': 80}}\n"
        "pod['containers'].append({'name': 'spy', 'image': 'example/spy:1'})\n"
        "obj['metadata']['labels']['team'] = 'red'\n"
        "json.dump(obj, open(path, 'w'))\n",
        encoding="utf-8",
    )
    editor.chmod(0o755)
    lab.kubectl("edit", "deployment/app", "--output=json", KUBE_EDITOR=str(editor))
    found = {i.path: i.manager for i in lab.drift(wanted).items}
    assert found == {
        "metadata.labels.team": "kubectl-edit",
        "spec.template.spec.containers[name=spy]": "kubectl-edit",
        "spec.template.spec.containers[name=main].livenessProbe": "kubectl-edit",
    }


def test_foreign_additions_go_where_the_policy_says_so(
    lab: Lab, wanted: ManifestSet, app: ObjectRef
) -> None:
    """With `drift.foreign: remove` the plan names each addition, and the apply takes it away."""
    lab.kubectl("label", "deployment/app", "team=blue", "tier=gold")
    sidecars = [{"name": f"spy{n}", "image": "example/spy:1"} for n in range(12)]
    lab.kubectl(
        "patch",
        "deployment/app",
        "--patch",
        lab.json({"spec": {"template": {"spec": {"containers": sidecars}}}}),
    )
    lab.settled_but_foreign(wanted)
    strict = with_policy(wanted, "remove")
    made = lab.plan(strict)
    change = item(made, "Deployment/app")
    assert {d.action for d in change.decisions} == {"remove"}
    assert len(change.decisions) == 14
    lab.apply(made, strict)
    live = lab.must_get(app)
    assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == ["main"]
    assert not {"team", "tier"} & set(live["metadata"]["labels"])
    lab.settled(strict)


def test_what_a_deployer_added_is_shown_and_never_taken_away(
    lab: Lab, wanted: ManifestSet, app: ObjectRef
) -> None:
    """Two masters of one object: even with `remove`, fields of another deployer stay."""
    lab.kubectl("label", "deployment/app", "chart=x", "--field-manager=helm")
    strict = with_policy(wanted, "remove")
    assert lab.plan(strict).empty
    assert lab.must_get(app)["metadata"]["labels"]["chart"] == "x"
    (found,) = lab.drift(strict).items
    assert (found.state, found.manager) == ("foreign", "helm")


def test_rollout_restart_is_not_undone(lab: Lab, wanted: ManifestSet, app: ObjectRef) -> None:
    """The annotation of `kubectl rollout restart` stays: removing it would restart pods again."""
    lab.kubectl("rollout", "restart", "deployment/app")
    strict = with_policy(wanted, "remove")
    lab.settled(strict)
    notes = lab.must_get(app)["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in notes


def test_keys_of_a_config_map_are_told_apart(lab: Lab) -> None:
    """A key that somebody adds to our ConfigMap is foreign; one that they change is drift."""
    wanted = lab.render(raw("app", config_map("settings", **{"a.conf": "1", "b": "2"})))
    lab.up(wanted)
    lab.patch(lab.ref("ConfigMap", "settings"), {"data": {"a.conf": "9", "c": "3"}}, "kubectl-edit")
    found = {(i.state, i.path, i.live) for i in lab.drift(wanted).items}
    assert found == {("drift", "data[a.conf]", "9"), ("foreign", "data.c", "3")}
    lab.up(wanted)
    assert lab.must_get(lab.ref("ConfigMap", "settings"))["data"] == {
        "a.conf": "1",
        "b": "2",
        "c": "3",
    }


def test_a_changed_port_is_one_difference_with_its_author(lab: Lab) -> None:
    """Server-side apply knows ports by number and protocol, people by name: drift joins the two."""
    web = deployment("web")
    main = web["spec"]["template"]["spec"]["containers"][0]
    main["ports"] = [{"name": "http", "containerPort": 80}, {"name": "admin", "containerPort": 81}]
    main["env"] = [{"name": "A", "value": "1"}]
    wanted = lab.render(raw("web", web))
    lab.up(wanted)
    pod = {"containers": [{"name": "main", "env": [{"name": "A", "value": "2"}]}]}
    lab.kubectl(
        "patch", "deployment", "web", "--patch", lab.json({"spec": {"template": {"spec": pod}}})
    )
    ports = [{"name": "http", "containerPort": 80, "protocol": "TCP", "hostPort": 8080}]
    pod = {"containers": [{"name": "main", "ports": ports}]}
    lab.kubectl(
        "patch", "deployment", "web", "--patch", lab.json({"spec": {"template": {"spec": pod}}})
    )
    path = "spec.template.spec.containers[name=main]"
    found = {(i.state, i.path, i.live) for i in lab.drift(wanted).items}
    assert found == {
        ("drift", f"{path}.env[name=A].value", "2"),
        ("foreign", f"{path}.ports[name=http].hostPort", "8080"),
    }


def test_the_order_of_a_list_counts(lab: Lab) -> None:
    """Containers that somebody reordered are drift: what starts first is not what we said."""
    pair = deployment("pair")
    pod = pair["spec"]["template"]["spec"]
    pod["initContainers"] = [{"name": n, "image": "example/i:1"} for n in ("one", "two")]
    wanted = lab.render(raw("pair", pair))
    lab.up(wanted)
    live = lab.must_get(lab.ref("Deployment", "pair", "apps/v1"))
    spec = live["spec"]["template"]["spec"]
    turned = list(reversed(spec["initContainers"]))
    lab.patch(
        lab.ref("Deployment", "pair", "apps/v1"),
        {"spec": {"template": {"spec": {"initContainers": turned}}}},
        "kubectl-edit",
    )
    made = lab.plan(wanted)
    assert item(made, "Deployment/pair").changes
    lab.apply(made, wanted)
    lab.settled(wanted)
    live = lab.must_get(lab.ref("Deployment", "pair", "apps/v1"))
    names = [c["name"] for c in live["spec"]["template"]["spec"]["initContainers"]]
    assert names == ["one", "two"]
