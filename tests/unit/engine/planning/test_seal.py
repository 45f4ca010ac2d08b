from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from infometis_sdk.engine.plan import digest_of, plain_plan
from infometis_sdk.engine.planning.plan_json import plan_from_json, plan_to_json
from infometis_sdk.engine.planning.seal import pod_template, seal, sealed, with_annotation
from infometis_sdk.engine.writing.credentials import keyed_hash
from infometis_sdk.model.plan import Change, Decision, Plan, PlanItem
from infometis_sdk.model.reference import ObjectRef

KEY = b"k" * 32
REF = ObjectRef(api_version="v1", kind="Secret", namespace="ns", name="token")
# The mark keeps a generated value from being a word that every plan holds anyway.
VALUES = st.text(st.characters(codec="utf-8"), max_size=20).map("Zq9~{}".format)


def b64(text: str) -> str:
    """Encode as Kubernetes does."""
    return base64.b64encode(text.encode()).decode()


def item(value: str, old: str, name: str) -> PlanItem:
    """Return an item about a Secret, with the values wherever a plan could show them."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "token", "labels": {"a": "b"}},
        "data": {name: b64(value)},
        "stringData": {"plain": value},
    }
    return PlanItem(
        action="update",
        ref=REF,
        payload=body,
        changes=(
            Change(path=f"data[{name}]", op="replace", old=b64(old), new=b64(value)),
            Change(path="stringData.plain", op="add", new=value),
            Change(path="data", op="add", new={name: b64(value)}),
            Change(path="metadata.labels.a", op="add", new="b"),
        ),
        decisions=(
            Decision(path=f"data.{name}", manager="m", action="overrule", why="w", live=b64(old)),
        ),
    )


@settings(max_examples=80, deadline=None)
@given(VALUES, VALUES, st.sampled_from(["key", "tls.crt"]), st.sampled_from([KEY, None]))
def test_a_sealed_plan_never_holds_a_secret(
    value: str, old: str, name: str, key: bytes | None
) -> None:
    """In payload, changes, decisions, JSON and every form of the report."""
    made = Plan(
        stack_id="s", environment="e", namespace="ns", items=(seal(item(value, old, name), key),)
    )
    texts = [
        plan_to_json(made),
        str(made),
        repr(made),
        made._repr_html_(),
        json.dumps(made.to_dict()),
    ]
    texts += [json.dumps(plain_plan(made)), repr(made.items[0])]
    for secret in (value, old):
        for form in (secret, b64(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            assert not any(form in text for text in texts)
    assert made.items[0].changes[3].new == "b"


@settings(max_examples=50, deadline=None)
@given(VALUES, VALUES)
def test_equal_values_look_equal(one: str, two: str) -> None:
    """By the same key, in payload and changes alike; another key, another hash."""
    shown = seal(item(one, two, "key"), KEY)
    assert (shown.changes[0].old == shown.changes[0].new) == (one == two)
    assert shown.payload["data"]["key"] == shown.changes[0].new == shown.changes[2].new["key"]
    assert shown.payload["data"]["key"] == keyed_hash(KEY, one.encode())
    assert seal(item(one, two, "key"), b"x" * 32).payload != shown.payload


def test_other_objects_are_left_as_they_are() -> None:
    """A ConfigMap holds no secret."""
    plain = PlanItem(
        action="update",
        ref=ObjectRef(api_version="v1", kind="ConfigMap", namespace="ns", name="c"),
        payload={"data": {"a": "visible"}},
    )
    assert seal(plain, KEY) is plain


def test_what_is_no_base64_is_hashed_as_it_is() -> None:
    """The API server will refuse it; until then it is as secret as any other."""
    assert sealed({"data": {"a": "not base64!"}}, KEY)["data"]["a"].startswith("hmac:")


# --- annotations of pods ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "CronJob", "Pod", "Job"])
def test_the_annotation_lands_on_the_pods(kind: str) -> None:
    """Whatever the kind, exactly the pods get it, and the original is not changed."""
    obj: dict[str, Any] = {"kind": kind, "metadata": {"name": "n"}, "spec": {"keep": 1}}
    made = with_annotation(obj, "a/b", "v")
    node: Any = made
    for step in pod_template(kind) or ():
        node = node[step]
    assert node["metadata"]["annotations"] == {"a/b": "v"}
    assert made["spec"]["keep"] == 1
    assert obj == {"kind": kind, "metadata": {"name": "n"}, "spec": {"keep": 1}}


def test_kinds_without_pods_are_left_as_they_are() -> None:
    """A Service has no pods of its own."""
    obj = {"kind": "Service", "metadata": {}}
    assert with_annotation(obj, "a", "b") is obj


# --- the digest of a plan ---------------------------------------------------------------------


def plan(payload: dict[str, Any], **more: Any) -> Plan:
    """Return a plan of one item."""
    one = PlanItem(
        action="create", ref=REF, payload=payload, changes=(Change(path="a", op="add", new=1),)
    )
    return Plan(stack_id="s", environment="e", namespace="ns", items=(one,), **more)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=4), st.integers() | st.text(max_size=4), min_size=1, max_size=4
    )
)
def test_the_digest_does_not_depend_on_order_or_time(payload: dict[str, Any]) -> None:
    """The same plan, its maps in another order, made at another time, through a file."""
    turned = dict(reversed(list(payload.items())))
    assert digest_of(plan(payload, created="a")) == digest_of(plan(turned, created="b"))
    again = plan_from_json(plan_to_json(plan(payload)))
    assert digest_of(again) == digest_of(plan(payload))


@pytest.mark.parametrize(
    "more",
    [
        {"unchanged": 1},
        {"scope": ("a",)},
        {"confirm": "why"},
        {"kept": ("x",)},
        {"cluster_uid": "u"},
        {"claims": ("c",)},
        {"core_digest": "d"},
        {"stages": (("a",),)},
        {"unfinished": "release 1 is pending"},
        {"credentials": {"s": {"k": "env:A"}}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_every_part_of_a_plan_is_in_its_digest(more: dict[str, Any]) -> None:
    """Nothing of what a plan does can be changed behind its digest."""
    assert digest_of(plan({"a": 1}, **more)) != digest_of(plan({"a": 1}))
