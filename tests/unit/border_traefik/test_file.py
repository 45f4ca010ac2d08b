from __future__ import annotations

import json
from typing import Any

from hypothesis import given, strategies as st
from tests.unit.border_traefik.scenes import (
    AUTH,
    HOME,
    objects,
    pods,
    rendered,
    through,
)

from infometis_border_traefik import Traefik
from infometis_border_traefik.writers.file import as_text
from infometis_sdk.model import (
    RouteSettings,
)


def test_a_file_says_the_same_as_custom_resources() -> None:
    """Every router with its rule, its priority and its way; Secrets are files."""
    given: dict[str, Any] = {
        "auth": AUTH,
        "routes": {
            "web.http": RouteSettings(auth="staff", sensitive_auth="chief"),
            "nifi.ui": RouteSettings(auth="open"),
            "kafka.out": RouteSettings(auth="open"),
        },
        "around": {"mode": "shared"},
    }
    names = ("web", "nifi", "kafka")
    made = rendered(*names, settings=Traefik(configuration="file"), **given)
    resources = rendered(*names, **given)
    text = objects(made, "ConfigMap")["border-routes"]["data"]["routes.yaml"]
    document = json.loads(text)
    for kind, section in (("IngressRoute", "http"), ("IngressRouteTCP", "tcp")):
        wanted = [
            (router["match"], router["priority"], through(router))
            for each in objects(resources, kind).values()
            for router in each["spec"]["routes"]
        ]
        found = [
            (router["rule"], router["priority"], router.get("middlewares", []))
            for router in document[section]["routers"].values()
        ]
        assert sorted(wanted) == sorted(found)
    assert not {"Role", "RoleBinding"} & {each["kind"] for each in made.objects}
    pod = pods(made, name=f"{HOME}/border-traefik")
    assert pod["automountServiceAccountToken"] is False
    mounted = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    assert {"border-tls", "border-auth-staff", "border-auth-chief", "nifi-tls"} == mounted


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner, max_size=3)))
def test_a_template_engine_finds_nothing_in_the_file(value: Any) -> None:
    """Traefik carries out what stands in double braces; no text of a user may."""
    text = as_text({"x": value})
    assert "{{" not in text
    assert {"x": value} == json.loads(text)
