"""What every border adapter promises, as tests that the author of a plugin subclasses.

.. code-block:: python

    class TestMine(BorderContract):
        spec = my_plugin.infometis_borders()[0]
        settings = MySettings(…)

The promises about features are tested as far as the adapter declares them.
"""

# ruff: noqa: S101 - these are tests, which ship so that others can subclass them

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest

from infometis_sdk.model.border import (
    OPEN,
    Auth,
    Border,
    BorderTls,
    Guarded,
    Member,
    Rate,
    Route,
    RouteSettings,
)
from infometis_sdk.model.external import ExternalService
from infometis_sdk.model.run import Run
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import Endpoint
from infometis_sdk.ports.border import (
    FEATURES,
    BorderAdapter,
    BorderManifests,
    BorderSpec,
    BorderVerify,
    Reach,
    Scene,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ("BorderContract", "route", "scene")

_SECRET_KINDS = frozenset({"authorities", "certificate", "users"})
_CLUSTER_SCOPED = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "IngressClass",
        "GatewayClass",
        "Namespace",
    }
)
_PASSWORD = SecretRef.parse("env:BORDER_CONTRACT_PASSWORD")
_AUTHORITY = SecretRef.parse("file:border-contract-authority.pem")
_AUTH = {
    "basic": Auth(type="basic", users={"ada": _PASSWORD}),
    "forward": Auth(type="forward", address="http://auth.contract.svc:4180/check"),
    "mtls": Auth(type="mtls", ca=_AUTHORITY),
    "mtls-names": Auth(type="mtls", ca=_AUTHORITY, names=("ada.contract.test",)),
}


def route(name: str = "hello.http", **changes: Any) -> Route:  # noqa: ANN401
    """Return a route to an endpoint of HTTP, with a host of its own, but for the changes."""
    service = name.partition(".")[0]
    plain: dict[str, Any] = {
        "name": name,
        "service": service,
        "backend": service,
        "port": 8080,
        "endpoint": Endpoint(port=8080, public=True),
        "host": f"{service}.contract.test",
        "public_port": 443,
    }
    return Route(**{**plain, **changes})


def scene(*routes: Route, settings: Any = None, **changes: Any) -> Scene:  # noqa: ANN401
    """Return a scene of such routes, of an environment with a development certificate."""
    plain: dict[str, Any] = {
        "project": "contract",
        "environment": "dev",
        "stack_id": "contract-dev",
        "namespace": "contract-dev",
        "border": Border(type="any", domain="contract.test", anonymous=True),
        "settings": settings,
        "routes": routes,
    }
    return Scene(**{**plain, **changes})


class BorderContract:
    """The promises; a subclass names the adapter's record and an object of its settings.

    Attributes:
        spec: as the plugin registers it.
        settings: with which the adapter works.

    """

    __test__ = False
    spec: ClassVar[BorderSpec]
    settings: ClassVar[Any] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init_subclass__(**kwargs)
        cls.__test__ = True

    # ------------------------------------------------------------------ fixtures

    @pytest.fixture
    def adapter(self) -> BorderAdapter:
        """Make the adapter under test."""
        return self.spec.factory()

    @pytest.fixture
    def render(self, adapter: BorderAdapter) -> Callable[[Scene], BorderManifests]:
        """Render a scene with the settings, after the adapter found nothing wrong with it."""

        def rendered(given: Scene) -> BorderManifests:
            given = attrs.evolve(given, settings=self.settings)
            assert adapter.faults(given) == ()
            return adapter.render(given)

        return rendered

    # ------------------------------------------------------------------ the record

    def test_the_record_names_settings_that_files_can_give(self) -> None:
        """A name that is a DNS label, one line of summary, settings of an attrs class."""
        assert self.spec.name == self.spec.name.lower().strip() != "none"
        assert "\n" not in self.spec.summary
        assert self.spec.summary
        assert attrs.has(self.spec.settings)
        assert isinstance(self.settings, self.spec.settings)

    def test_features_are_known_words(self, adapter: BorderAdapter) -> None:
        """A word that the SDK does not know would never be asked for."""
        assert adapter.features <= set(FEATURES)

    # ------------------------------------------------------------------ render

    def test_render_is_pure(self, adapter: BorderAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same scene gives the same, and nothing is asked of the network."""

        def refuse(*_: object) -> None:
            pytest.fail("render asked the network")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        given = scene(route(), route("other.http"), settings=self.settings)
        first, again = adapter.render(given), self.spec.factory().render(given)
        assert first == again

    def test_the_order_of_routes_says_nothing(
        self, render: Callable[[Scene], BorderManifests]
    ) -> None:
        """Two orders give the same objects."""
        one, other = route(), route("other.http")
        assert _keyed(render(scene(one, other))) == _keyed(render(scene(other, one)))

    def test_objects_are_whole_and_no_two_share_a_name(
        self, render: Callable[[Scene], BorderManifests]
    ) -> None:
        """Each has apiVersion, kind and a name, holds plain data, and stands there once."""
        made = render(scene(route(), route("other.http")))
        assert made.objects
        for obj in made.objects:
            assert obj["apiVersion"]
            assert obj["kind"]
            assert obj["metadata"]["name"]
            assert json.loads(json.dumps(obj)) == obj
        assert len(_keyed(made)) == len(made.objects)

    def test_every_route_is_published(self, render: Callable[[Scene], BorderManifests]) -> None:
        """Its host and its backend stand in the objects, and only while it is there."""
        one, other = route(), route("other.http")
        both, alone = _text(render(scene(one, other))), _text(render(scene(one)))
        for published in (one, other):
            assert published.host in both
            assert published.backend in both
        assert other.host not in alone

    def test_the_boundary_learns_who_lets_the_outside_in(
        self, render: Callable[[Scene], BorderManifests]
    ) -> None:
        """Without peers every NetworkPolicy would shut the border out."""
        assert render(scene(route())).peers

    def test_two_stacks_on_one_cluster_do_not_meet(
        self, render: Callable[[Scene], BorderManifests]
    ) -> None:
        """What is not shared on purpose has another name, or another namespace, in each."""
        shared = {"CustomResourceDefinition", "IngressClass", "GatewayClass"}
        # The engine makes names unique that it knows all references to.
        renamed = {"ClusterRole", "ClusterRoleBinding"}
        keys = []
        for name in ("contract-dev", "contract-uat"):
            given = scene(route(), stack_id=name, namespace=name)
            keys.append(
                {
                    (obj["kind"], obj["metadata"].get("namespace", name), obj["metadata"]["name"])
                    for obj in render(given).objects
                    if obj["kind"] not in shared | renamed | {"Namespace"}
                }
            )
        assert keys[0].isdisjoint(keys[1])

    def test_a_guest_makes_nothing_beyond_its_namespace(self, adapter: BorderAdapter) -> None:
        """In shared mode there are no objects of the whole cluster, or the adapter says no."""
        given = scene(route(), mode="shared", settings=self.settings)
        if adapter.faults(given):
            return
        made = adapter.render(given)
        assert not {obj["kind"] for obj in made.objects} & _CLUSTER_SCOPED
        spaces = {obj["metadata"].get("namespace", given.namespace) for obj in made.objects}
        assert spaces == {given.namespace}

    # ------------------------------------------------------------------ secrets

    def test_secrets_are_named_and_never_rendered(
        self, adapter: BorderAdapter, render: Callable[[Scene], BorderManifests]
    ) -> None:
        """What a Secret holds is known at apply only; references stand in its record alone."""
        for feature in adapter.features:
            made = render(_feature_scenes()[feature][0])
            assert all(secret.kind in _SECRET_KINDS for secret in made.secrets)
            assert not [obj for obj in made.objects if obj["kind"] == "Secret"]
            for reference in (_PASSWORD, _AUTHORITY):
                assert reference.target not in _text(made)

    def test_a_development_certificate_is_for_the_published_hosts(
        self, adapter: BorderAdapter, render: Callable[[Scene], BorderManifests]
    ) -> None:
        """Each host that TLS is terminated for is on it, or browsers would warn."""
        if "tls" not in adapter.features:
            pytest.skip("the adapter declares no TLS")
        made = render(scene(route(), route("other.http")))
        hosts = {h for s in made.secrets if s.kind == "certificate" for h in s.hosts}
        assert {"hello.contract.test", "other.contract.test"} <= hosts
        assert "PRIVATE KEY" not in _text(made)

    # ------------------------------------------------------------------ features

    @pytest.mark.parametrize("feature", sorted(FEATURES))
    def test_a_declared_feature_does_something(
        self, feature: str, adapter: BorderAdapter, render: Callable[[Scene], BorderManifests]
    ) -> None:
        """A scene that asks for it renders to something else than one that does not."""
        if feature not in adapter.features:
            pytest.skip(f"the adapter does not declare {feature!r}")
        asking, plain = _feature_scenes()[feature]
        made, without = render(asking), render(plain)
        assert (_keyed(made), made.secrets) != (_keyed(without), without.secrets)

    # ------------------------------------------------------------------ abilities

    def test_what_cannot_be_asked_is_unproven(self, adapter: BorderAdapter) -> None:
        """Where nothing leads to the border, no promise passes."""
        if not isinstance(adapter, BorderVerify):
            pytest.skip("the adapter proves nothing by itself")
        given = scene(route(), settings=self.settings)
        proofs = adapter.verify(given, _Nobody(), Reach(), Run.within(60))  # type: ignore[arg-type]
        assert {proof.route for proof in proofs} >= {"hello.http"}
        assert {proof.state for proof in proofs} <= {"unproven", "failed"}


class _Nobody:
    """A cluster that nobody is at home in: every question fails as an unreachable one does."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        from infometis_sdk.errors import UnreachableError

        def ask(*_: object, **__: object) -> None:
            msg = f"nobody answers {name}"
            raise UnreachableError(msg, status=0)

        return ask


def _keyed(made: BorderManifests) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    return {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj
        for obj in made.objects
    }


def _text(made: BorderManifests) -> str:
    return json.dumps([dict(obj) for obj in made.objects])


def _feature_scenes() -> dict[str, tuple[Scene, Scene]]:
    """Return, for each feature, a scene that asks for it and one that does not."""
    found = {}
    for feature, asking, *plain in _all_scenes():
        simplest = scene(*(route(each.name) for each in asking.routes))
        found[feature] = (asking, plain[0] if plain else simplest)
    assert found.keys() == FEATURES.keys()
    return found


def _settings(**words: Any) -> Route:  # noqa: ANN401
    return route(settings=RouteSettings(**words))


def _with_tls(**words: Any) -> Scene:  # noqa: ANN401
    border = Border(type="any", domain="contract.test", anonymous=True, tls=BorderTls(**words))
    return scene(route(), border=border)


def _with_auth(name: str) -> Scene:
    border = Border(type="any", domain="contract.test", auth={"who": _AUTH[name]})
    return scene(route(auth="who"), border=border)


def _all_scenes() -> Iterator[tuple[Any, ...]]:
    """Yield a feature, a scene that asks for it, and where need be the one without it."""
    from infometis_sdk.model.border import Acme, CertIssuer

    for name in _AUTH:
        yield name, _with_auth(name)
    acme = Acme(email="ada@contract.test")
    yield "acme", _with_tls(source="acme", acme=acme)
    yield "cert-manager", _with_tls(source="cert-manager", issuer=CertIssuer(name="ca"))
    secret = {"source": "secret", "secret": "given"}  # the name of one
    yield "hsts", _with_tls(**secret, hsts=3600), _with_tls(**secret)
    yield "tls-minimum", _with_tls(minimum="1.3")
    yield "redirect", _with_tls(redirect=True), _with_tls(redirect=False)
    plain = scene(route(tls="none", public_port=80), border=_with_tls(source="none").border)
    yield "tls", _with_tls(**secret), plain
    yield "allow", scene(_settings(allow=("192.0.2.0/24",)))
    limited = RouteSettings(body_limit="1Mi")
    yield "body-limit", scene(route(settings=limited, body_bytes=1 << 20))
    yield "in-flight", scene(_settings(in_flight=3))
    yield "middlewares", scene(_settings(middlewares=("mine",)))
    yield "rate", scene(_settings(rate=Rate(average=5)))
    yield "request-headers", scene(_settings(request_headers={"X-A": "b"}))
    yield "response-headers", scene(_settings(response_headers={"X-A": "b"}))
    yield "retries", scene(_settings(retries=2))
    yield "timeout", scene(_settings(timeout=5.0))
    below = {"host": "contract.test", "path": "/hello"}
    yield "paths", scene(route(**below)), scene(route(host="contract.test"))
    yield "strip", scene(route(**below, strip=True)), scene(route(**below))
    who = Border(type="any", domain="contract.test", auth={"who": _AUTH["basic"]})
    guarded = Guarded(paths=("/admin",), methods=("POST",), auth="who")
    yield "methods", scene(route(auth=OPEN, guarded=(guarded,)), border=who)
    kafka = Endpoint(port=9094, public=True, protocol="kafka")
    member = Member(host="kafka-0.contract.test", service="kafka-0")
    yield "kafka", scene(route("kafka.out", endpoint=kafka, port=9094, members=(member,)))
    tcp = Endpoint(port=5432, public=True, protocol="tcp")
    yield (
        "tcp",
        scene(route("db.sql", endpoint=tcp, port=5432, host="", tls="none", public_port=5432)),
    )
    yield "sticky", scene(route(endpoint=Endpoint(port=80, public=True, sticky=True)))
    https = Endpoint(port=8443, public=True, protocol="https")
    yield "passthrough", scene(route(endpoint=https, port=8443, tls="passthrough"))
    yield "reencrypt", scene(route(endpoint=https, port=8443))
    far = ExternalService(
        name="orders",
        host="orders.example.org",
        port=443,
        target_port=443,
        protocol="https",
        originate=False,
        server_name="orders.example.org",
    )
    yield "egress", scene(route(), egress=(far,))
