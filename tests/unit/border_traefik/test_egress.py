from __future__ import annotations

import json
from typing import Any

from tests.unit.border_traefik.scenes import (
    HOME,
    objects,
    pods,
    rendered,
    spec,
)

from infometis_sdk.model.external import ExternalService


def external(name: str, **given: Any) -> ExternalService:
    """Return a system outside."""
    full = {
        "name": name,
        "host": f"{name}.example",
        "port": 443,
        "target_port": 8443,
        "protocol": "https",
        "originate": True,
        "server_name": f"{name}.example",
        **given,
    }
    return ExternalService(**full)


def test_systems_outside_are_found_under_their_names() -> None:
    """A Service each, which leads to one proxy that verifies whom it speaks to."""
    made = rendered(
        around={
            "egress": (
                external("api", secret="external-api", ca_key="ca.crt"),
                external("db", protocol="tcp", port=5432, target_port=5433, originate=False),
                external("queue", protocol="kafka"),
            )
        }
    )
    document = json.loads(objects(made, "ConfigMap")["border-egress"]["data"]["routes.yaml"])
    assert document["http"]["services"]["api"] == {
        "loadBalancer": {
            "passHostHeader": False,
            "servers": [{"url": "https://api.example:8443"}],
            "serversTransport": "api",
        }
    }
    assert document["http"]["serversTransports"]["api"] == {
        "rootCAs": ["/etc/traefik/secrets/api/ca.crt"],
        "serverName": "api.example",
    }
    assert document["tcp"]["services"]["db"] == {
        "loadBalancer": {"servers": [{"address": "db.example:5433", "tls": False}]}
    }
    assert document["tcp"]["serversTransports"]["queue"] == {"tls": {"serverName": "queue.example"}}
    pod = pods(made, name="border-egress")
    listening = {port["name"] for port in pod["containers"][0]["ports"]}
    for name in ("api", "db", "queue"):
        (port,) = spec(made, "Service", name)["ports"]
        assert port["targetPort"] in listening
    assert pod["automountServiceAccountToken"] is False
    assert [dict(peer.pods) for peer in made.egress] == [
        {"app.kubernetes.io/instance": HOME, "app.kubernetes.io/name": "border-egress"}
    ]


def test_without_systems_outside_there_is_no_proxy() -> None:
    """Nothing runs that nobody needs."""
    made = rendered()
    assert made.egress == ()
    assert "border-egress" not in objects(made, "Deployment")
