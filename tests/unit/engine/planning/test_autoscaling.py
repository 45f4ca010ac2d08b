"""Replicas of workloads that an autoscaler drives, on values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from infometis_sdk.engine.planning.autoscaling import (
    autoscaled_keys,
    takes_pods_away,
    what_counts,
    with_live_replicas,
    without_scaled_replicas,
)
from infometis_sdk.engine.planning.guards import guard, unsurvivable
from infometis_sdk.engine.reading.live import Live
from infometis_sdk.errors import ForbiddenError, UnknownKindError, UnreachableError
from infometis_sdk.model import (
    Change,
    Environment,
    Manifest,
    ManifestSet,
    Run,
    Scaling,
    Service,
    ServiceRecord,
)
from infometis_sdk.model.stack import ComposedService

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.ports.cluster import Cluster

OURS = "infometis.demo"
KEY = ("apps", "Deployment", "ns", "web")


def deployment(replicas: int | None = 3, *owners: tuple[str, str], **spec: Any) -> dict[str, Any]:
    """Return a live Deployment; ``owners`` of its replicas are (manager, subresource)."""
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    count = {} if replicas is None else {"replicas": replicas}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "ns",
            "managedFields": [
                {"manager": manager, "subresource": sub, "operation": "Update", "fieldsV1": fields}
                for manager, sub in owners
            ],
        },
        "spec": {**count, "template": {}, **spec},
    }


def scaler(name: str = "web", target: str = "web", **spec: Any) -> dict[str, Any]:
    """Return an autoscaler."""
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"scaleTargetRef": ref, "maxReplicas": 5, **spec},
    }


class Api:
    """Answers a LIST of autoscalers, and counts how often it was asked."""

    def __init__(self, *answer: Mapping[str, Any], error: Exception | None = None) -> None:
        self.asked, self._answer, self._error = 0, answer, error

    def list(self, *_: Any, **__: Any) -> tuple[Mapping[str, Any], ...]:
        """Answer, or fail."""
        self.asked += 1
        if self._error:
            raise self._error
        return self._answer


def keys(api: Api, live: dict[str, Any], *desired: dict[str, Any], **options: Any) -> set[Any]:
    """Return which workloads are driven."""
    manifests = ManifestSet(
        stack_id="demo",
        environment=Environment("dev"),
        namespace="ns",
        manifests=[Manifest(object=obj) for obj in desired],
    )
    cluster: Cluster = api  # type: ignore[assignment]
    return autoscaled_keys(cluster, manifests, Live(objects={KEY: live}), Run.within(5), **options)


@pytest.mark.parametrize("program", ["kube-controller-manager", "k3s", "kubelite"])
def test_a_live_autoscaler_is_looked_for_where_its_controller_wrote(program: str) -> None:
    """Distributions that run all controllers in one program count too."""
    api = Api(scaler())
    assert keys(api, deployment(3, (program, "scale"))) == {KEY}
    assert keys(Api(), deployment(3, (program, "scale"))) == set()


def test_a_clean_check_asks_for_none() -> None:
    """A desired autoscaler, and a workload that nobody scaled, cost no request."""
    api = Api(scaler())
    assert keys(api, deployment(3, ("kube-controller-manager", "scale")), scaler()) == {KEY}
    assert keys(api, deployment(3, ("kubectl", "scale"), (OURS, ""))) == set()
    assert api.asked == 0


def test_one_that_goes_drives_nothing() -> None:
    """Only what this very plan deletes is taken out: whatever stays goes on driving."""
    live = deployment(3, ("kube-controller-manager", "scale"))
    gone = ("autoscaling", "HorizontalPodAutoscaler", "ns", "web")
    assert keys(Api(scaler()), live, going={gone}) == set()
    assert keys(Api(scaler("other")), live, going={gone}) == {KEY}


def test_who_may_not_look_does_not_fight() -> None:
    """A guest without the right takes one to be there; where the kind is unknown there is none."""
    live = deployment(3, ("kube-controller-manager", "scale"))
    assert keys(Api(error=ForbiddenError("no", status=403)), live) == {KEY}
    assert keys(Api(error=UnknownKindError("no", status=404)), live) == set()
    with pytest.raises(UnreachableError):
        keys(Api(error=UnreachableError("away")), live)


def sent(have: dict[str, Any] | None, *, autoscaled: bool = True) -> Any:
    """Return the number of pods that is sent where 2 are desired; ``None`` for none."""
    obj = deployment(2)
    return without_scaled_replicas(obj, have, OURS, autoscaled=autoscaled)["spec"].get("replicas")


def test_replicas_are_handed_over_and_never_lost() -> None:
    """The parameter at first, then the live number while it is ours alone, then none."""
    assert sent(None) == 2
    assert sent(deployment(4, (OURS, ""))) == 4
    assert sent(deployment(4, (OURS, ""), ("kube-controller-manager", "scale"))) is None
    assert sent(deployment(4, ("kube-controller-manager", "scale")), autoscaled=False) == 2


def test_a_workload_made_again_keeps_its_pods() -> None:
    """What is left to the autoscaler would otherwise begin with one pod."""
    assert with_live_replicas(deployment(None), deployment(7))["spec"]["replicas"] == 7
    assert with_live_replicas(deployment(2), deployment(7))["spec"]["replicas"] == 2


@given(before=st.integers(0, 99), after=st.integers(0, 99), image=st.sampled_from("ab"))
def test_scaling_makes_no_plan_stale_that_sends_no_number(
    before: int, after: int, image: str
) -> None:
    """Only another number is overlooked, and only where none is sent."""
    owner = ("kube-controller-manager", "scale")
    old = deployment(before, owner, image="a")
    new = deployment(after, owner, image=image)
    silent = what_counts(deployment(None), old) == what_counts(deployment(None), new)
    assert silent is (image == "a")
    telling = what_counts(deployment(2), old) == what_counts(deployment(2), new)
    assert telling is (image == "a" and before == after)


def test_a_first_scale_makes_no_plan_stale_either() -> None:
    """Who scaled does not count where no number is sent."""
    old = deployment(1, ("kubectl", "scale"))
    new = deployment(1, ("kubectl", "scale"), ("kube-controller-manager", "scale"))
    assert what_counts(deployment(None), old) == what_counts(deployment(None), new)
    assert what_counts(deployment(1), old) != what_counts(deployment(1), new)


# --- what a service does not survive ----------------------------------------------------------


@pytest.mark.parametrize(
    ("pods", "down", "refused"),
    [(6, "Disabled", True), (5, "Disabled", False), (6, "Max", False), (None, "Disabled", False)],
)
def test_a_maximum_below_what_runs(pods: int | None, down: str, *, refused: bool) -> None:
    """The controller obeys the maximum even where scaling down is off, so that is refused."""
    wanted = scaler(behavior={"scaleDown": {"selectPolicy": down}})
    objects = {} if pods is None else {KEY: deployment(pods)}
    assert bool(takes_pods_away(wanted, Live(objects=objects))) is refused


DB = Service.stateful("db", image="example/db:1", port=80)
WEB = Service.web("web", image="example/web:1", port=80)


@pytest.mark.parametrize(
    ("service", "kind", "old", "new", "refused"),
    [
        (DB, "StatefulSet", 5, 3, True),
        (DB, "StatefulSet", 3, 5, False),
        (DB, "Deployment", 5, 3, False),  # no parameter sets that one
        (WEB, "Deployment", 5, 3, False),
    ],
)
def test_live_pods_are_not_taken_away_without_a_drain(
    service: Service, kind: str, old: int, new: int, *, refused: bool
) -> None:
    """Whoever added them: what counts is how many there are, not what was deployed last."""
    obj = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": service.name}}
    composed = ComposedService(service=service, values={})
    change = Change(path="spec.replicas", op="replace", old=old, new=new)
    manifest = Manifest(object=obj, service=service.name)
    found = list(unsurvivable(manifest, [change], {service.name: composed}))
    assert bool(found) is refused
    if refused:
        assert "cannot shrink from 5 to 3 without a drain" in found[0]
        assert "db.replicas: 5 keeps them" in found[0]


def test_the_parameter_of_a_scaled_service_moves_nothing() -> None:
    """Where an autoscaler has the pods, a smaller parameter is no scale-in."""
    rule = Scaling(workload="StatefulSet/db", directions=["out"])
    service = Service(name="db", parameters=DB.parameters, scaling=rule)
    record = {"db": ServiceRecord(version="0", values={"replicas": 5})}
    wanted = {"db": ComposedService(service=service, values={"replicas": 3})}
    assert len(list(guard(record, wanted))) == 1
    assert list(guard(record, wanted, scaled={"db"})) == []
