from __future__ import annotations

import json
from typing import Any

from hypothesis import given, strategies as st
from tests.unit.border_traefik.scenes import (
    ACME,
    AUTH,
    HOME,
    SERVICES,
    objects,
    pods,
    rendered,
    scene,
    through,
)

from infometis_border_traefik import Traefik
from infometis_border_traefik.border import TraefikBorder
from infometis_border_traefik.writers.file import as_text
from infometis_sdk.engine.border.scene import Publisher
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.model import Environment, Project, RouteSettings


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


def test_pods_that_read_files_follow_their_secrets() -> None:
    """The file of a certificate is read once, so another certificate brings other pods."""
    stack = compose(
        Project(name="shop", services={"web": SERVICES["web"]}),
        Environment("dev", mode="shared", border=scene().border),
        publisher=Publisher(
            name="traefik", adapter=TraefikBorder(), settings=Traefik(configuration="file")
        ),
    )
    (pods_of,) = (m for m in render(stack).manifests if m.object["kind"] == "Deployment")
    assert pods_of.reads == ("border-tls",)


def test_a_file_asks_for_certificates_of_acme() -> None:
    """A router that names no resolver would get no certificate, and refuse every handshake."""
    settings = Traefik(configuration="file")
    made = rendered(settings=settings, tls=ACME, around={"mode": "shared"})
    document = json.loads(objects(made, "ConfigMap")["border-routes"]["data"]["routes.yaml"])
    assert document["http"]["routers"]["web-http-0"]["tls"]["certResolver"] == "acme"
