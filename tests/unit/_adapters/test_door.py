"""The parts of the door that need no cluster."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from infometis_sdk._adapters.advice import advice
from infometis_sdk._adapters.asked import Asked
from infometis_sdk._adapters.credentials import Credentials
from infometis_sdk._adapters.kinds import Kinds, declared
from infometis_sdk._adapters.kubeconfig import Connection
from infometis_sdk._adapters.proxies import proxy_for
from infometis_sdk._adapters.refusals import mask, refusal
from infometis_sdk._adapters.session import Channel
from infometis_sdk._adapters.transport import Answer
from infometis_sdk._adapters.writing import request_of, secrets_of
from infometis_sdk.errors import InvalidError, UnknownKindError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Resource, Write

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRETS = Resource(api_version="v1", kind="Secret", plural="secrets", namespaced=True)
REF = ObjectRef(api_version="v1", kind="Secret", namespace="demo", name="s")


def test_nothing_heavy_before_the_first_request() -> None:
    """Opening a cluster loads neither the Kubernetes client nor urllib3, and reads no file."""
    program = (
        "import sys; from pathlib import Path;"
        "from infometis_sdk._adapters.kubernetes_api import open_cluster;"
        "from infometis_sdk.ports.platform import Access;"
        "open_cluster(Access(kubeconfig=Path('/nowhere')));"
        "print([m for m in ('kubernetes', 'urllib3', 'requests', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# --- writes -------------------------------------------------------------------------------------


def _call(**more: Any) -> Any:
    write = Write(**{"verb": "apply", "ref": REF, "body": {"a": 1}, **more})
    asked = Asked(verb=write.verb, resource=SECRETS, namespace="demo", ref=REF)
    return request_of(write, SECRETS, asked)


def test_apply_request() -> None:
    """Server-side apply, strict, with manager and force."""
    call = _call(manager="infometis.x", force=True, dry_run=True)
    assert call.method == "PATCH"
    assert call.content_type == "application/apply-patch+yaml"
    assert call.target == (
        "/api/v1/namespaces/demo/secrets/s"
        "?dryRun=All&fieldValidation=Strict&fieldManager=infometis.x&force=true"
    )
    assert call.body == b'{"a":1}'


def test_delete_request() -> None:
    """A deletion carries everything in its body: the API server ignores the query beside one."""
    call = _call(
        verb="delete", body=None, uid="u", resource_version="7", propagation="Orphan", dry_run=True
    )
    assert (call.method, call.target) == ("DELETE", "/api/v1/namespaces/demo/secrets/s")
    assert json.loads(call.body) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "dryRun": ["All"],
        "preconditions": {"uid": "u", "resourceVersion": "7"},
        "propagationPolicy": "Orphan",
    }


@pytest.mark.parametrize(
    ("write", "repeatable"),
    [
        ({"verb": "apply"}, True),
        ({"verb": "replace"}, True),
        ({"verb": "merge-patch"}, True),
        ({"verb": "delete", "body": None}, True),
        ({"verb": "create"}, False),
        ({"verb": "create", "dry_run": True}, True),
        ({"verb": "json-patch", "body": []}, False),
        ({"verb": "json-patch", "body": [], "uid": "u"}, False),
        ({"verb": "json-patch", "body": [], "resource_version": "7"}, True),
    ],
)
def test_what_may_be_sent_twice(write: dict[str, Any], *, repeatable: bool) -> None:
    """Only what comes to the same when it is done twice is repeated in doubt."""
    assert _call(**write).repeatable is repeatable


def test_odd_names_are_quoted() -> None:
    """A name cannot leave its place in the path."""
    ref = ObjectRef(api_version="v1", kind="Secret", namespace="demo", name="../x?y")
    write = Write(verb="apply", ref=ref, body={})
    call = request_of(write, SECRETS, Asked(verb="apply", resource=SECRETS, ref=ref))
    assert call.target.startswith("/api/v1/namespaces/demo/secrets/..%2Fx%3Fy?")


def test_what_is_no_json() -> None:
    """NaN and objects are refused, not sent as something else."""
    for value in (float("nan"), object()):
        with pytest.raises((TypeError, ValueError)):
            _call(body={"a": value})


def test_unknown_verb() -> None:
    """A verb that does not exist names those that do."""
    with pytest.raises(InvalidError, match="no verb 'upsert'") as caught:
        _call(verb="upsert")
    assert "merge-patch" in caught.value.hint


# --- refusals -----------------------------------------------------------------------------------


def _answer(status: int, message: str, causes: Iterable[dict[str, str]] = ()) -> Answer:
    body = {
        "kind": "Status",
        "message": message,
        "reason": "R",
        "details": {"causes": list(causes)},
    }
    connection = Connection(source="context 'x' of config", server="https://c.invalid")
    channel = Channel(
        pool=None,  # type: ignore[arg-type] # nothing is sent
        prefix="",
        compressed=False,
        connection=connection,
        credentials=Credentials(authorization="Bearer t0ken-of-ours"),
    )
    return Answer(status=status, data=json.dumps(body).encode(), headers={}, channel=channel)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=4, max_size=30)


@given(secret=TEXT.map(lambda text: f"§{text}§"))
def test_no_value_of_a_secret_is_shown(secret: str) -> None:
    """Whatever the API server quotes of a Secret's values, and however, is masked."""
    encoded = base64.b64encode(secret.encode()).decode()
    said = f"{secret} {json.dumps(secret)} {encoded} Bearer t0ken-of-ours"
    asked = Asked(verb="apply", resource=SECRETS, namespace="demo", ref=REF)
    for body in ({"stringData": {"k": secret}}, {"data": {"k": encoded}}):
        secrets = secrets_of(Write(verb="apply", ref=REF, body=body))
        causes = [{"field": "data.k", "message": said}]
        for code in (400, 403, 409, 422, 500):
            error = refusal(_answer(code, said, causes), asked, secrets)
            shown = f"{error} {error.causes}"
            for each in (secret, json.dumps(secret)[1:-1], encoded, "t0ken-of-ours"):
                assert each not in shown


def test_long_messages_keep_both_ends() -> None:
    """What matters in a long message stands at its ends."""
    text = mask("start " + "x" * 10_000 + " end", ())
    assert text.startswith("start ")
    assert text.endswith(" end")
    assert len(text) < 2100


def test_whole_objects_are_not_quoted() -> None:
    """A refusal that quotes the whole live object, escaped, is cut to what it says."""
    whole = json.dumps(json.dumps({"data": {"p": "c2VjcmV0LXZhbHVl"}, "b": 'with "quotes"'}))
    said = f'Invalid value: {whole}: strict decoding error: unknown field "dat"'
    asked = Asked(verb="merge-patch", resource=SECRETS, namespace="demo", ref=REF)
    error = refusal(_answer(422, said, [{"field": "patch", "message": said}]), asked)
    assert "c2VjcmV0LXZhbHVl" not in str(error) + str(error.causes)
    assert 'unknown field "dat"' in error.message


@pytest.mark.parametrize("value", ['"live-s3cret"', '{"a":"live-s3cret"}', '["live-s3cret"]'])
def test_live_values_of_secrets_are_not_quoted(value: str) -> None:
    """What the API server calls an invalid value of a Secret may be its live value."""
    said = f"Invalid value: {value}: must be shorter"
    asked = Asked(verb="merge-patch", resource=SECRETS, namespace="demo", ref=REF)
    error = refusal(_answer(422, said, [{"field": "data[p]", "message": said}]), asked)
    assert "s3cret" not in str(error) + str(error.causes)
    assert "must be shorter" in error.message


def test_answers_that_are_no_status() -> None:
    """A gateway's HTML is shown in part, not parsed."""
    answer = _answer(502, "")
    html = Answer(status=502, data=b"<html>bad gateway</html>", headers={}, channel=answer.channel)
    error = refusal(html, Asked(verb="get", path="/version"))
    assert error.message == "reading /version: <html>bad gateway</html>"


def test_advice_for_every_status() -> None:
    """No status without advice, but the ones that speak for themselves."""
    asked = Asked(verb="get", path="/x")
    for code in (400, 401, 403, 409, 413, 422, 429, 500, 502, 503, 504):
        assert advice(code, asked, "said", "", b"")


# --- kinds --------------------------------------------------------------------------------------


def _foo(version: str = "x.io/v1", kind: str = "Foo") -> Resource:
    return Resource(api_version=version, kind=kind, plural=f"{kind.lower()}s", namespaced=True)


def test_built_in_kinds_need_no_discovery() -> None:
    """The table answers for built-in kinds; nobody is asked."""

    def never(version: str) -> None:
        raise AssertionError(version)

    kinds = Kinds()
    assert kinds.find("apps/v1", "StatefulSet", never).plural == "statefulsets"
    assert not kinds.find("v1", "Namespace", never).namespaced


def test_discovery_is_remembered_and_misses_are_not() -> None:
    """What was found stays; what was not found is looked for again."""
    asked: list[str] = []
    answers: list[list[Resource] | None] = [None, [_foo()], [_foo(), _foo(kind="Bar")]]

    def discover(version: str) -> list[Resource] | None:
        asked.append(version)
        return answers.pop(0)

    kinds = Kinds()
    with pytest.raises(UnknownKindError, match=r"serves no API x\.io/v1"):
        kinds.find("x.io/v1", "Foo", discover)
    assert kinds.find("x.io/v1", "Foo", discover) == _foo()
    assert kinds.find("x.io/v1", "Foo", discover) == _foo()
    assert kinds.find("x.io/v1", "Bar", discover).plural == "bars"
    assert len(asked) == 3


def test_a_miss_in_many_threads_is_one_question() -> None:
    """Threads that miss the same kind at once wait for one discovery."""
    asked: list[str] = []
    gate = threading.Barrier(8)

    def discover(version: str) -> list[Resource]:
        asked.append(version)
        time.sleep(0.1)  # as long as a request takes, so that the others come meanwhile
        return [_foo()]

    kinds = Kinds()
    found: list[Resource] = []

    def look() -> None:
        gate.wait(10)
        found.append(kinds.find("x.io/v1", "Foo", discover))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [_foo()] * 8
    assert asked == ["x.io/v1"]


def test_declared_versions() -> None:
    """Served versions of a definition are kinds; others are not; a half-made one is none."""
    spec = {
        "group": "x.io",
        "scope": "Cluster",
        "names": {"kind": "Foo", "plural": "foos"},
        "versions": [{"name": "v1", "served": True}, {"name": "v0", "served": False}],
    }
    found = tuple(declared({"spec": spec}))
    assert [(r.api_version, r.namespaced) for r in found] == [("x.io/v1", False)]
    assert tuple(declared({})) == ()


# --- proxies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://c.example:6443", {}, ""),
        ("https://c.example:6443", {"HTTP_PROXY": "http://p"}, ""),
        ("http://c.example", {"http_proxy": "http://p"}, "http://p"),
        ("https://c.example", {"https_proxy": "http://p", "HTTPS_PROXY": "http://q"}, "http://p"),
        ("https://c.example", {"ALL_PROXY": "p:3128"}, "http://p:3128"),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p"}, ""),
        ("https://localhost", {"HTTPS_PROXY": "http://p"}, ""),
        ("https://[::1]:6443", {"HTTPS_PROXY": "http://p"}, ""),
        ("https://c.example", {"HTTPS_PROXY": "http://p", "NO_PROXY": "*"}, ""),
        ("https://c.example", {"HTTPS_PROXY": "http://p", "no_proxy": "a, .example"}, ""),
        ("https://c.example", {"HTTPS_PROXY": "http://p", "NO_PROXY": "*.example"}, ""),
        ("https://c.example", {"HTTPS_PROXY": "http://p", "NO_PROXY": "xample"}, "http://p"),
        ("https://c.example:6443", {"HTTPS_PROXY": "http://p", "NO_PROXY": "c.example:6443"}, ""),
        ("https://c.example:1", {"HTTPS_PROXY": "http://p", "NO_PROXY": "c.example:2"}, "http://p"),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://11.1.2.3", {"HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, "http://p"),
    ],
)
def test_proxy_rules(url: str, environ: dict[str, str], proxy: str) -> None:
    """The environment variables mean what they mean to Kubernetes' own tools."""
    assert proxy_for(url, environ) == proxy
