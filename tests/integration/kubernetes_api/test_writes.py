"""Every write, on the genuine API server."""

from __future__ import annotations

import base64
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.kubernetes_api.objects import apply, config_map, write

from infometis_sdk.errors import ConflictError, InvalidError, NotFoundError, UnknownKindError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from infometis_sdk._adapters.kubernetes_api import KubernetesCluster
    from infometis_sdk.model.run import Run

pytestmark = pytest.mark.integration

ELSEWHERE = "11111111-1111-1111-1111-111111111111"


def test_apply_says_what_was_new(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """The first apply creates, the second one does not, and both return the object."""
    body = config_map(namespace, a="1")
    first = cluster.write(apply(body), run)
    second = cluster.write(apply(body), run)
    assert first.created
    assert not second.created
    assert first.object == second.object
    assert first.object["data"] == {"a": "1"}
    assert [m["manager"] for m in first.object["metadata"]["managedFields"]] == ["t"]


def test_apply_takes_any_mapping(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """Frozen mappings can be sent as they are, and no write changes what it was given."""
    body = config_map(namespace, a="ünïcode\n\u2028")
    frozen = MappingProxyType({**body, "metadata": MappingProxyType(body["metadata"])})
    live = cluster.write(
        Write(verb="apply", ref=ObjectRef.of(body), body=frozen, manager="t"), run
    ).object
    again = cluster.write(
        Write(
            verb="apply",
            ref=ObjectRef.of(body),
            body=frozen,
            manager="t",
            uid=live["metadata"]["uid"],
        ),
        run,
    )
    assert again.object["data"] == {"a": "ünïcode\n\u2028"}
    assert "uid" not in body["metadata"]


def test_dry_run_changes_nothing(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """A dry run answers as the real write would and leaves everything as it is."""
    body = config_map(namespace, a="1")
    ref = ObjectRef.of(body)
    assert cluster.write(apply(body, dry_run=True), run).created
    assert cluster.get(ref, run) is None
    cluster.write(apply(body), run)
    for trial in (
        write("replace", config_map(namespace, a="2"), dry_run=True),
        write("merge-patch", {**body, "data": {"a": "2"}}, dry_run=True),
        write("delete", body, dry_run=True),
    ):
        cluster.write(trial, run)
    live = cluster.get(ref, run)
    assert live is not None
    assert live["data"] == {"a": "1"}


def test_conflict_names_fields_and_holder(
    cluster: KubernetesCluster, namespace: str, run: Run
) -> None:
    """Fields that somebody else holds are a conflict with cause, field and holder; force wins."""
    cluster.write(apply(config_map(namespace, a="1", b="1"), manager="other"), run)
    ours = config_map(namespace, a="2", b="2")
    with pytest.raises(ConflictError) as caught:
        cluster.write(apply(ours), run)
    error = caught.value
    assert (error.status, error.reason) == (409, "Conflict")
    assert error.ref == ObjectRef.of(ours)
    assert {(c["field"], c["reason"], c["message"]) for c in error.causes} == {
        (".data.a", "FieldManagerConflict", 'conflict with "other"'),
        (".data.b", "FieldManagerConflict", 'conflict with "other"'),
    }
    assert ".data.a" in error.message
    assert "other" in error.message
    assert cluster.write(apply(ours, force=True), run).object["data"] == {"a": "2", "b": "2"}


def test_create_meets_what_is_there(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """Create is for what is not there."""
    body = config_map(namespace)
    assert cluster.write(write("create", body), run).created
    with pytest.raises(ConflictError) as caught:
        cluster.write(write("create", body), run)
    assert caught.value.reason == "AlreadyExists"


@pytest.mark.parametrize("verb", ["apply", "replace", "merge-patch", "json-patch", "delete"])
@pytest.mark.parametrize("guard", [{"uid": ELSEWHERE}, {"resource_version": "1"}])
def test_preconditions(
    cluster: KubernetesCluster, namespace: str, run: Run, verb: str, guard: dict[str, Any]
) -> None:
    """Where uid or resourceVersion moved, every verb ends in ConflictError and changes nothing."""
    body = config_map(namespace, a="1")
    before = cluster.write(apply(body), run).object
    with pytest.raises(ConflictError):
        cluster.write(_changing(verb, body, **guard), run)
    assert cluster.get(ObjectRef.of(body), run) == before


@pytest.mark.parametrize("verb", ["apply", "replace", "merge-patch", "json-patch", "delete"])
def test_preconditions_that_hold(
    cluster: KubernetesCluster, namespace: str, run: Run, verb: str
) -> None:
    """Where uid and resourceVersion are those of the object, the write is done."""
    body = config_map(namespace, a="1")
    meta = cluster.write(apply(body), run).object["metadata"]
    guard = {"uid": meta["uid"], "resource_version": meta["resourceVersion"]}
    cluster.write(_changing(verb, body, **guard), run)
    live = cluster.get(ObjectRef.of(body), run)
    assert (live or {"data": None})["data"] == (None if verb == "delete" else {"a": "2"})


def _changing(verb: str, body: dict[str, Any], **more: Any) -> Write:
    changed = {**body, "data": {"a": "2"}}
    payload: Any = {
        "delete": None,
        "merge-patch": {"data": {"a": "2"}},
        "json-patch": [{"op": "replace", "path": "/data/a", "value": "2"}],
    }.get(verb, changed)
    return Write(verb=verb, ref=ObjectRef.of(body), body=payload, manager="t", **more)


def test_apply_with_uid_makes_nothing_new(
    cluster: KubernetesCluster, namespace: str, run: Run
) -> None:
    """An object that was deleted meanwhile is not made again by a write that names its uid."""
    body = config_map(namespace, a="1")
    with pytest.raises(ConflictError):
        cluster.write(apply(body, uid=ELSEWHERE), run)
    assert cluster.get(ObjectRef.of(body), run) is None


def test_subresources(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """Scale and status are written through their own paths."""
    body = _deployment(namespace, replicas=0)
    cluster.write(apply(body), run)
    scaled = cluster.write(
        Write(
            verb="merge-patch",
            ref=ObjectRef.of(body),
            body={"spec": {"replicas": 2}},
            subresource="scale",
            manager="t",
        ),
        run,
    )
    assert scaled.object["kind"] == "Scale"
    live = cluster.get(ObjectRef.of(body), run)
    assert live is not None
    assert live["spec"]["replicas"] == 2


def test_delete_waits_for_dependants(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """The propagation policy reaches the API server: in the foreground, the object stays."""
    body = _deployment(namespace, replicas=0)
    cluster.write(apply(body), run)
    answer = cluster.write(write("delete", body, propagation="Foreground"), run)
    assert answer.object["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_delete_of_nothing(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """What is not there cannot be deleted."""
    with pytest.raises(NotFoundError) as caught:
        cluster.write(write("delete", config_map(namespace)), run)
    assert caught.value.status == 404


def test_all_causes_of_an_invalid_object(
    cluster: KubernetesCluster, namespace: str, run: Run
) -> None:
    """All faults that the API server finds are in the message and in the causes."""
    body = _deployment(namespace, replicas=-1)
    body["spec"]["template"]["spec"]["containers"][0]["name"] = "A_"
    with pytest.raises(InvalidError) as caught:
        cluster.write(apply(body), run)
    fields = {cause["field"] for cause in caught.value.causes}
    assert fields == {"spec.replicas", "spec.template.spec.containers[0].name"}
    assert all(name in caught.value.message for name in fields)
    assert "2 faults" in caught.value.message


@pytest.mark.parametrize("verb", ["apply", "create", "replace", "merge-patch"])
def test_unknown_fields_are_refused(
    cluster: KubernetesCluster, namespace: str, run: Run, verb: str
) -> None:
    """A misspelt field is an error that names it, not a warning, and is not tried again."""
    body = _deployment(namespace, replicas=0)
    if verb in ("replace", "merge-patch"):
        cluster.write(apply(body), run)
    body["spec"]["replcas"] = 1
    with pytest.raises(InvalidError, match="replcas") as caught:
        cluster.write(write(verb, body), run)
    assert "spelling" in caught.value.hint


def test_immutable_field(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """A field that cannot change says so, and what follows from that."""
    cluster.write(apply(_deployment(namespace, replicas=0)), run)
    body = _deployment(namespace, replicas=0)
    body["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    body["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(InvalidError, match=r"spec\.selector") as caught:
        cluster.write(apply(body, force=True), run)
    assert "made anew" in caught.value.hint


def test_secrets_stay_out_of_messages(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """An API server that quotes a Secret's values does not get them into our messages."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": namespace},
        "stringData": {"p": ["hunter2-hunter2"]},
    }
    with pytest.raises(InvalidError, match=r"\.stringData\.p") as caught:
        cluster.write(apply(body), run)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.causes)


def test_live_secrets_stay_out_of_messages(
    cluster: KubernetesCluster, namespace: str, run: Run
) -> None:
    """A refusal that quotes the live Secret does not show values that we never sent."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": namespace},
        "stringData": {"p": "hunter2-hunter2"},
    }
    cluster.write(apply(body), run)
    patch = Write(verb="merge-patch", ref=ObjectRef.of(body), body={"dat": {}}, manager="t")
    with pytest.raises(InvalidError, match="dat") as caught:
        cluster.write(patch, run)
    text = str(caught.value) + repr(caught.value.causes)
    assert "hunter2" not in text
    assert base64.b64encode(b"hunter2-hunter2").decode() not in text


def test_missing_namespace(cluster: KubernetesCluster, run: Run) -> None:
    """An object for a namespace that is not there says so."""
    with pytest.raises(NotFoundError, match="no-such-namespace") as caught:
        cluster.write(apply(config_map("no-such-namespace")), run)
    assert "create it first" in caught.value.hint


def test_namespaced_object_without_namespace(cluster: KubernetesCluster, run: Run) -> None:
    """A forgotten namespace is found before anything is sent."""
    with pytest.raises(InvalidError, match="ConfigMap/a names no namespace"):
        cluster.write(apply(config_map("")), run)
    with pytest.raises(InvalidError, match="ConfigMap/a names no namespace"):
        cluster.get(ObjectRef.of(config_map("")), run)


def test_unknown_kind(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """A kind that is not served, in a group that is and in one that is not."""
    for version, kind in (("apps/v1", "Deploymnet"), ("nobody.example/v1", "Foo")):
        body = {**config_map(namespace), "apiVersion": version, "kind": kind}
        with pytest.raises(UnknownKindError, match=kind):
            cluster.write(apply(body), run)
    with pytest.raises(UnknownKindError) as caught:
        cluster.resource("apps/v1", "Deploymnet", run)
    assert "do you mean Deployment" in caught.value.hint


def test_too_large(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """An object above the API server's limit is refused with the cure."""
    with pytest.raises(InvalidError) as caught:
        cluster.write(apply(config_map(namespace, a="x" * 4_000_000)), run)
    assert caught.value.status == 413
    assert "split" in caught.value.hint


def test_warnings(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """What the API server warns of is handed on, unquoted."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "i",
                    "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                }
            ]
        },
    }
    warnings = cluster.write(write("create", body, dry_run=True), run).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith('spec.containers[0].env[1]: hides previous definition of "A"')


def _deployment(namespace: str, *, replicas: int) -> dict[str, Any]:
    labels = {"app": "a"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {"containers": [{"name": "c", "image": "example.invalid/c:1"}]},
            },
        },
    }
