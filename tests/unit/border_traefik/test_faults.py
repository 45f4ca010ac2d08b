from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from tests.unit.border_traefik.scenes import (
    ACME,
    AUTH,
    SERVICES,
    objects,
    rendered,
    scene,
)

from infometis_border_traefik import Traefik
from infometis_border_traefik.border import TraefikBorder
from infometis_sdk.model import (
    Acme,
    BorderTls,
    Endpoint,
    RouteSettings,
    Service,
)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"settings": Traefik(image="traefik:v3.6.0")}, "border.traefik.image"),
        ({"settings": Traefik(replicas=0)}, "border.traefik.replicas"),
        ({"settings": Traefik(log_level="LOUD")}, "border.traefik.log_level"),
        ({"settings": Traefik(configuration="xml")}, "border.traefik.configuration"),
        ({"settings": Traefik(configuration="file")}, "border.traefik.configuration"),
        (
            {"settings": Traefik(trusted_proxies=["10.0.0.1/8"])},
            "border.traefik.trusted_proxies[0]",
        ),
        ({"settings": Traefik(proxy_protocol=True)}, "border.traefik.proxy_protocol"),
        (
            {"settings": Traefik(encoded_characters=["%2F"])},
            "border.traefik.encoded_characters[0]",
        ),
        ({"settings": Traefik(use_existing=True)}, "border.traefik.namespace"),
        ({"settings": Traefik(replicas=2), "tls": ACME}, "border.traefik.replicas"),
        (
            {
                "tls": BorderTls(
                    source="acme",
                    acme=Acme(email="a@b.example", server="https://acme-v02.api.letsencrypt.org/d"),
                ),
                "https_port": 8443,
            },
            "border.https_port",
        ),
        (
            {
                "published_by": "load-balancer",
                "around": {"capabilities": {"load_balancer": "absent"}},
            },
            "border.published_by",
        ),
        (
            {
                "around": {
                    "capabilities": {"host_ports": "declared"},
                    "host_ports": {8080: 80, 443: 443},
                }
            },
            "border.http_port",
        ),
        ({"settings": Traefik(replicas=3, max_replicas=2)}, "border.traefik.max_replicas"),
        ({"settings": Traefik(cpu=0)}, "border.traefik.cpu"),
        ({"settings": Traefik(max_replicas=3, requests={})}, "border.traefik.requests"),
        (
            {
                "settings": Traefik(configuration="file"),
                "around": {"mode": "shared"},
                "routes": {"web.http": RouteSettings(middlewares=["mine"])},
            },
            "border.routes.web.http.middlewares",
        ),
    ],
)
def test_what_traefik_cannot_do_is_told(given: dict[str, Any], path: str) -> None:
    """Each fault stands at the words that ask for it, and is the only one."""
    found = TraefikBorder().faults(scene(**given))
    assert [path] == [fault.path for fault in found]
    assert all(fault.legal for fault in found)


@pytest.mark.parametrize(
    ("name", "settings", "path"),
    [
        ("kafka", RouteSettings(auth="chief"), "border.routes.kafka.out.auth"),
        ("db", RouteSettings(port=60000, tls="none"), "border.routes.db.sql.port"),
    ],
)
def test_connections_cannot_have_everything(name: str, settings: RouteSettings, path: str) -> None:
    """No names of certificates without HTTP, and no port that a pod cannot have."""
    key = path.removeprefix("border.routes.").rpartition(".")[0]
    found = TraefikBorder().faults(
        scene(name, routes={key: settings}, auth=AUTH, tls=BorderTls(required=False))
    )
    assert [path] == [fault.path for fault in found]


def test_a_scene_of_defaults_is_right() -> None:
    """Nothing need be said for development."""
    assert TraefikBorder().faults(scene()) == ()


def test_rendering_is_the_same_for_the_same_scene() -> None:
    """Byte for byte, in whatever order the words of the environment came."""
    there = rendered(*SERVICES, routes={"db.sql": RouteSettings(publish=False)})
    again = rendered(*reversed(SERVICES), routes={"db.sql": RouteSettings(publish=False)})
    assert json.dumps(there.objects) == json.dumps(again.objects)


def test_five_hundred_routes_need_five_hundred_objects() -> None:
    """No step looks at all routes for each route, and each route has its own object."""
    many = {
        f"s{number}": Service(name=f"s{number}", endpoints={"http": Endpoint(port=80, public=True)})
        for number in range(500)
    }
    made = rendered(*many, services=many)
    assert len(objects(made, "IngressRoute")) == 500 + 3
    assert len(made.secrets[0].hosts) == 500
    assert attrs.asdict(made.secrets[0])["kind"] == "certificate"
