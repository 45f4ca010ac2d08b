"""The life of a border on the genuine API server, with the example adapter."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from cryptography import x509

import infometis_sdk as im
from infometis_sdk._adapters.development_ca import certificate
from infometis_sdk.engine.planning.plan_json import plan_from_json, plan_to_json
from infometis_sdk.errors import ProjectError, RefusedError, StalePlanError, UnknownPluginError
from infometis_sdk.model import Border, BorderTls, ObjectRef, RouteSettings, Run, SecretRef
from infometis_sdk.ports.cluster import Write
from infometis_sdk.workspace.publishing import trusted_authority

if TYPE_CHECKING:
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

_EXAMPLE = Path(__file__).parents[3] / "examples/border_ingress/src"
NAME = "border-certificate"


@pytest.fixture(scope="module")
def ingress() -> Any:
    """The example adapter, imported as a third party's."""
    sys.path.insert(0, str(_EXAMPLE))
    try:
        import infometis_border_ingress  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(_EXAMPLE))
    return infometis_border_ingress


class Scene:
    """A stack with one public service behind the example border."""

    def __init__(self, access: Access, ingress: Any, namespace: str, folder: Path) -> None:
        self._access = access
        self._ingress = ingress
        self.namespace = namespace
        self.folder = folder

    def stack(self, **border: Any) -> im.Stack:
        """Return the stack with such a border."""
        hello = im.Service.web("hello", image="example/hello:1.0", port=8080, public=True)
        full = Border(
            type="ingress",
            anonymous=True,
            settings=self._ingress.Ingress(ingress_class="mine", namespace="ingress"),
            tls=border.pop("tls", BorderTls(redirect=False)),
            **border,
        )
        dev = im.Environment(
            "dev",
            platform={"type": "existing", "kubeconfig": str(self._access.kubeconfig)},
            namespace=self.namespace,
            stack_id=self.namespace[-30:].strip("-"),
            border=full,
        )
        project = im.Project(
            name="demo",
            id=self.namespace[-12:].strip("-"),
            services={"hello": hello},
            environments={"dev": dev},
            root=self.folder,
        )
        plugins = [self._ingress]
        return im.Workspace(project, plugins=plugins, state_dir=self.folder / "state")["dev"]

    def secret(self, cluster: Cluster) -> dict[str, bytes]:
        """Return the data of the certificate's Secret; empty where there is none."""
        ref = ObjectRef(api_version="v1", kind="Secret", namespace=self.namespace, name=NAME)
        live = cluster.get(ref, Run.within(60)) or {}
        return {key: base64.b64decode(value) for key, value in live.get("data", {}).items()}


@pytest.fixture
def scene(embedded_access: Access, ingress: Any, namespace_name: str, tmp_path: Path) -> Scene:
    """Give a stack's makings in a namespace of its own."""
    return Scene(embedded_access, ingress, namespace_name, tmp_path)


def hosts(pem: bytes) -> list[str]:
    """Return the names on a certificate."""
    leaf = x509.load_pem_x509_certificate(pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.DNSName)


def test_a_border_comes_with_the_stack_and_goes_with_it(scene: Scene) -> None:
    """Its objects are planned, applied, looked at and taken away like all others."""
    dev = scene.stack()
    first = dev.up()
    ref = ObjectRef(
        api_version="networking.k8s.io/v1",
        kind="Ingress",
        namespace=scene.namespace,
        name="hello-http",
    )
    live = dev.cluster().get(ref, Run.within(60))
    assert first.changed
    assert live is not None
    assert live["spec"]["rules"][0]["host"] == "hello.localhost"
    assert hosts(scene.secret(dev.cluster())["tls.crt"]) == ["hello.localhost"]
    assert not dev.up().changed
    dev.down(delete_data=True)
    assert dev.cluster().get(ref, Run.within(60)) is None
    assert scene.secret(dev.cluster()) == {}


def test_nothing_is_said_to_answer_where_containers_are_simulated(scene: Scene) -> None:
    """No URL is shown, and no promise passes."""
    dev = scene.stack()
    report = dev.up()
    assert dict(report.health.urls) == {}
    assert dict(dev.urls()) == {}
    proofs = dev.verify_border().proofs
    assert [(proof.route, proof.state) for proof in proofs] == [("hello.http", "unproven")]


def test_a_change_behind_our_back_is_drift(scene: Scene) -> None:
    """Whoever opens another way in is found out."""
    dev = scene.stack()
    dev.up()
    patch = {"spec": {"rules": [{"host": "evil.localhost"}]}}
    ref = ObjectRef(
        api_version="networking.k8s.io/v1",
        kind="Ingress",
        namespace=scene.namespace,
        name="hello-http",
    )
    write = Write(verb="merge-patch", ref=ref, body=patch, manager="kubectl-edit")
    dev.cluster().write(write, Run.within(60))
    (item,) = [i for i in dev.drift().items if i.state == "drift"][:1]
    assert (item.ref.kind, item.manager) == ("Ingress", "kubectl-edit")
    dev.heal()
    assert not dev.drift().found


def test_a_certificate_follows_its_source(scene: Scene) -> None:
    """A plan tells that it is renewed, and holds a keyed hash alone; then nothing is left to do."""
    for number in ("one", "two"):
        folder = scene.folder / number
        certificate(scene.folder / f"authority-{number}", "localhost", ["hello.localhost"], folder)
    given = scene.folder / "given"
    (scene.folder / "one").rename(given)
    tls = BorderTls(
        source="files",
        certificate=SecretRef.parse("file:given/tls.crt"),
        key=SecretRef.parse("file:given/tls.key"),
        redirect=False,
    )
    dev = scene.stack(tls=tls)
    dev.up()
    before = scene.secret(dev.cluster())
    for name in ("tls.crt", "tls.key"):
        (given / name).write_bytes((scene.folder / "two" / name).read_bytes())
    plan = dev.plan()
    assert (plan.empty, list(plan.renewals)) == (False, [NAME])
    assert "renewed, since its source changed: Secret/border-certificate" in str(plan)
    text = plan_to_json(plan)
    assert "PRIVATE KEY" not in text
    assert plan_from_json(text) == plan
    dev.apply(plan)
    after = scene.secret(dev.cluster())
    assert before != after
    assert after["tls.crt"].strip() == (given / "tls.crt").read_bytes().strip()
    assert dev.plan().empty
    assert not dev.up().changed


def test_a_source_that_changed_after_the_plan_makes_it_stale(scene: Scene) -> None:
    """What was shown is what is done, or nothing is."""
    for number in ("given", "two", "three"):
        certificate(scene.folder / number, "localhost", ["hello.localhost"], scene.folder / number)
    tls = BorderTls(
        source="files",
        certificate=SecretRef.parse("file:given/tls.crt"),
        key=SecretRef.parse("file:given/tls.key"),
        redirect=False,
    )
    dev = scene.stack(tls=tls)
    dev.up()

    def take(number: str) -> None:
        for name in ("tls.crt", "tls.key"):
            (scene.folder / "given" / name).write_bytes((scene.folder / number / name).read_bytes())

    take("two")
    plan = dev.plan()
    take("three")
    before = scene.secret(dev.cluster())
    with pytest.raises(StalePlanError, match="the source of the Secret border-certificate"):
        dev.apply(plan)
    assert scene.secret(dev.cluster()) == before


def test_a_source_that_is_known_elsewhere_only_changes_nothing(scene: Scene) -> None:
    """Whoever lacks the files may still plan, and leaves the certificate alone."""
    certificate(scene.folder, "localhost", ["hello.localhost"], scene.folder / "given")
    tls = BorderTls(
        source="files",
        certificate=SecretRef.parse("file:given/tls.crt"),
        key=SecretRef.parse("file:given/tls.key"),
        redirect=False,
    )
    dev = scene.stack(tls=tls)
    dev.up()
    (scene.folder / "given" / "tls.key").unlink()
    assert dev.plan().empty


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        ("key", "its key belongs to another certificate"),
        ("host", "it is not made out for hello.localhost"),
        ("garbage", "it holds no certificate that can be read"),
    ],
)
def test_a_certificate_that_will_not_do_is_refused_before_the_first_write(
    scene: Scene, spoil: str, found: str
) -> None:
    """With its file, what is wrong and the cure; nothing is made."""
    name = "other.localhost" if spoil == "host" else "hello.localhost"
    for folder in ("given", "two"):
        certificate(scene.folder / folder, "localhost", [name], scene.folder / folder)
    if spoil == "key":
        (scene.folder / "given/tls.key").write_bytes((scene.folder / "two/tls.key").read_bytes())
    if spoil == "garbage":
        (scene.folder / "given/tls.crt").write_text("garbage")
    tls = BorderTls(
        source="files",
        certificate=SecretRef.parse("file:given/tls.crt"),
        key=SecretRef.parse("file:given/tls.key"),
        redirect=False,
    )
    dev = scene.stack(tls=tls)
    with pytest.raises(RefusedError) as caught:
        dev.up()
    assert f"file:given/tls.crt, file:given/tls.key: {found}" in caught.value.message
    assert scene.secret(dev.cluster()) == {}


def test_another_host_makes_another_development_certificate(scene: Scene) -> None:
    """The names of the routes are those on the certificate, without anybody's doing."""
    scene.stack().up()
    routes = {"hello.http": RouteSettings(host="hi.localhost")}
    dev = scene.stack(routes=routes)
    assert list(dev.plan().renewals) == [NAME]
    dev.up()
    assert hosts(scene.secret(dev.cluster())["tls.crt"]) == ["hi.localhost"]


def test_what_the_adapter_cannot_do_is_refused_before_the_first_write(scene: Scene) -> None:
    """Named with its place and with what it can do."""
    dev = scene.stack(routes={"hello.http": RouteSettings(retries=3)})
    with pytest.raises(ProjectError) as caught:
        dev.up()
    (fault,) = caught.value.faults
    assert fault.path == "border.routes.hello.http.retries"
    assert fault.legal == "paths, tls"


def test_an_adapter_that_nobody_offers_is_refused(scene: Scene) -> None:
    """With the nearest one that somebody offers."""
    there = scene.stack()
    other = attrs.evolve(
        there.environment, border=attrs.evolve(there.environment.border, type="ingres")
    )
    project = attrs.evolve(there.workspace.project, environments={"dev": other})
    with pytest.raises(UnknownPluginError) as caught:
        there.workspace.with_project(project)["dev"].plan()
    assert "did you mean 'ingress'?" in caught.value.hint


def test_trust_is_offered_only_for_certificates_of_ours(scene: Scene) -> None:
    """Whoever brings certificates has an authority already."""
    assert trusted_authority(scene.stack()).certificate.is_file()
    with pytest.raises(RefusedError, match="come from no development authority"):
        trusted_authority(scene.stack(tls=BorderTls(source="none", required=False)))
