"""The proof on values: what is caught, what is not, and what is told of it."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import assume, given, settings, strategies as st
from tests.unit.catalogue.stacks import PROD
from tests.unit.engine.bundles import KAFKA, affects, changed, template_service

from infometis_sdk.catalogue.plugin import infometis_services
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.equivalence import prove_equivalent, subject
from infometis_sdk.engine.proving.evidence import Evidence
from infometis_sdk.model import (
    ComposedStack,
    Endpoint,
    Environment,
    EquivalenceReport,
    Image,
    Lock,
    ObjectRef,
    Origin,
    Parameter,
    Patch,
    Policies,
    Project,
    RegistryPolicy,
    Service,
)
from infometis_sdk.model.equivalence import LiveField, RunningImage
from infometis_sdk.project import load_package_service

DIGEST = "sha256:" + 64 * "1"
PINNED = changed(
    KAFKA, images={"main": Image(repository="apache/kafka", tag="4.3.1", digest=DIGEST)}
)
PUBLISHED = changed(
    PINNED,
    parameters={
        **PINNED.parameters,
        "host": Parameter(
            type="string",
            default="localhost",
            scope="border",
            affects=(affects("ConfigMap", "kafka-config", "data[server.properties]", "host"),),
        ),
    },
    files={"server.properties": PINNED.files["server.properties"] + "host={{ params.host }}\n"},
)
quick = settings(max_examples=25, deadline=None)


def stack(
    service: Service = PINNED, name: str = "dev", lock: Lock | None = None, **fields: Any
) -> ComposedStack:
    """Compose one service in an environment of that name."""
    values = fields.pop("project_values", {})
    defaults = fields.pop("defaults", {})
    project = Project(
        name="demo", services={service.name: service}, values=values, lock=lock or Lock()
    )
    return compose(project, Environment(name, **fields), platform_defaults=defaults)


def causes(report: EquivalenceReport) -> set[str]:
    """Return the causes of all differences."""
    return {found.cause for found in report.differences}


def test_the_same_core_is_equal_whatever_is_declared_to_differ() -> None:
    """Scale, platform and names differ, each with its cause, and the verdict is equal."""
    report = prove_equivalent(
        stack(),
        stack(
            name="uat",
            values={"kafka": {"replicas": 3, "memory": "4Gi"}},
            defaults={"storage_class": "fast"},
        ),
        strict=True,
    )
    assert (report.verdict, report.passed) == ("equal", True)
    assert causes(report) == {"parameter", "identity"}
    assert report.a.root == report.b.root
    told = {str(found): found for found in report.differences}
    replicas = told["StatefulSet/kafka spec.replicas"]
    assert (replicas.a, replicas.b, replicas.parameters) == ("1", "3", ("replicas",))
    heap = told["ConfigMap/kafka-config data[server.properties] heap"]
    assert (heap.a, heap.b, heap.scope) == ("1024m", "4096m", "scale")
    assert told["PodDisruptionBudget/kafka"].b == "present"


def test_the_line_that_set_a_value_is_told() -> None:
    """A reader goes straight from a difference to the file and line of the overlay."""
    source = Origin(layer="environment", file="environments/uat.yaml", line=7)
    uat = stack(
        name="uat", values={"kafka": {"replicas": 3}}, sources={"values.kafka.replicas": source}
    )
    report = prove_equivalent(stack(), uat)
    (found,) = [f for f in report.differences if str(f).endswith("spec.replicas")]
    assert found.set_b == "environment, environments/uat.yaml:7"
    assert found.set_a == "base, services/kafka/service.yaml"


def test_of_two_parameters_the_one_that_does_it_is_named() -> None:
    """Where several declare a place, each is tried alone."""
    loose = attrs.evolve(
        PINNED.parameters["tolerations"], affects=(affects("StatefulSet", "kafka", "spec"),)
    )
    service = changed(PINNED, parameters={**PINNED.parameters, "tolerations": loose})
    uat = stack(
        service,
        "uat",
        values={"kafka": {"replicas": 3, "tolerations": [{"operator": "Exists"}]}},
    )
    report = prove_equivalent(stack(service), uat)
    (found,) = [f for f in report.differences if str(f).endswith("spec.replicas")]
    assert found.parameters == ("replicas",)


def test_a_patch_answers_for_what_it_changes() -> None:
    """What a patch makes differ is told with the patch's own line."""
    here = Origin(layer="environment", file="environments/uat.yaml", line=9)
    patch = Patch(
        kind="StatefulSet",
        name="kafka",
        path="spec.template.spec.priorityClassName",
        value="high",
        origin=here,
    )
    report = prove_equivalent(stack(), stack(name="uat", patches=[patch]))
    (found,) = [f for f in report.differences if f.cause == "patch"]
    assert (found.a, found.b, found.set_b) == ("", "high", "environment, environments/uat.yaml:9")
    assert report.verdict == "equal"


def test_a_registry_prefix_changes_no_image() -> None:
    """Prefix, repository and digest are told apart: pulling from a mirror is no other image."""
    mirror = Policies(registry=RegistryPolicy(prefix="mirror.example/hub", pull_secrets=["pull"]))
    report = prove_equivalent(stack(), stack(name="uat", policies=mirror))
    assert report.verdict == "equal"
    told = {f.path: f.b for f in report.differences if f.cause == "registry"}
    assert told == {
        "containers[name=kafka].image": f"mirror.example/hub/apache/kafka:4.3.1@{DIGEST}",
        "imagePullSecrets": '["pull"]',
    }


def test_durability_is_flagged() -> None:
    """A proof covers the definition; what changes how data survives is pointed at."""
    durable = attrs.evolve(PINNED.parameters["replicas"], durability=True)
    service = changed(PINNED, parameters={**PINNED.parameters, "replicas": durable})
    report = prove_equivalent(
        stack(service), stack(service, "uat", values={"kafka": {"replicas": 3}})
    )
    assert {f.path for f in report.durability} == {"spec.replicas", ""}
    assert "changes durability" in str(report)


def test_a_tag_is_never_equal() -> None:
    """Without a digest the verdict is unverified at best, and strict does not let it pass."""
    loose = prove_equivalent(stack(KAFKA), stack(KAFKA, "uat"))
    assert (loose.verdict, loose.passed) == ("unverified", True)
    assert not attrs.evolve(loose, strict=True).passed
    lock = Lock(images={"apache/kafka:4.3.1": DIGEST})
    assert (
        prove_equivalent(stack(KAFKA, lock=lock), stack(KAFKA, "uat", lock=lock)).verdict == "equal"
    )


def test_two_locks_are_two_cores() -> None:
    """The same tag with other digests is another core, and the digests are told."""
    locks = [Lock(images={"apache/kafka:4.3.1": f"sha256:{digit * 64}"}) for digit in "12"]
    report = prove_equivalent(stack(KAFKA, lock=locks[0]), stack(KAFKA, "uat", lock=locks[1]))
    assert report.verdict == "different"
    (found,) = report.core
    assert (found.input, found.b) == ("images.main.digest", "sha256:" + 64 * "2")


def test_an_undeclared_difference_breaks_the_proof() -> None:
    """The two actual renders are held against the parameters that differ between them."""
    template = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n"
        "  x: {{ params.x if params.y == 2 else 'no' }}\n"
    )
    here = affects("ConfigMap", "a", "data.x")
    service = template_service(
        "a",
        template,
        parameters={
            "x": Parameter(type="string", default="d", scope="scale"),
            "y": Parameter(type="integer", default=1, scope="scale", affects=(here,)),
        },
    )
    # Against the defaults each render differs by y only, which declares the path.
    left = stack(service, values={"a": {"x": "1", "y": 2}})
    right = stack(service, "uat", values={"a": {"x": "2", "y": 2}})
    report = prove_equivalent(left, right)
    assert report.verdict == "different"
    (found,) = [f for f in report.differences if f.cause == "undeclared"]
    assert (str(found), found.a, found.b) == ("ConfigMap/a data.x", "1", "2")


def test_a_service_on_one_side_only() -> None:
    """A service that the other side lacks is another core, and named."""
    other = Project(name="demo", services={"kafka": PINNED, "web": Service(name="web")})
    report = prove_equivalent(stack(), compose(other, Environment("uat")))
    assert report.verdict == "different"
    assert [(f.service, f.input, f.a, f.b) for f in report.core] == [
        ("web", "service", "", "present")
    ]


def test_changed_lines_are_shown_with_their_place() -> None:
    """Whoever asks why two cores differ gets the lines, and where they stand."""
    files = {"server.properties": "heap={{ params.memory | mebibytes }}m\nacks=all\n"}
    report = prove_equivalent(stack(), stack(changed(PINNED, files=files), "uat"))
    (found,) = report.core
    assert found.input == "files/server.properties line 2"
    assert (found.a, found.b) == ("topic={{ params.topic }}", "acks=all")
    assert found.where_b == "services/kafka/files/server.properties:2"


def test_raw_secrets_are_masked() -> None:
    """A raw Secret that differs is told without its value."""

    def service(value: str) -> Service:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s"},
            "stringData": {"password": value},
        }
        return Service(name="raw", manifests=[secret])

    report = prove_equivalent(stack(service("hunter2")), stack(service("hunter3"), "uat"))
    assert report.verdict == "different"
    assert "hunter" not in str(report) + json.dumps(report.to_dict())


CORE_CHANGES = (
    lambda s, text: changed(s, version=f"9.{text}"),
    lambda s, text: changed(s, summary=f"other {text}"),
    lambda s, text: changed(
        s,
        templates={
            **s.templates,
            "extra.yaml.j2": f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x-{text}\n",
        },
    ),
    lambda s, text: changed(s, files={"server.properties": f"heap=1m\ntopic={text}\n"}),
    lambda s, text: changed(
        s, images={"main": Image(repository=f"apache/{text}", tag="4.3.1", digest=DIGEST)}
    ),
    lambda s, text: changed(
        s, parameters={**s.parameters, "topic": Parameter(type="string", default=text)}
    ),
    lambda s, text: changed(
        s,
        manifests=[
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "y"},
                "data": {"k": text},
            }
        ],
    ),
    lambda s, text: changed(s, endpoints={text: Endpoint(port=9092, protocol="tcp")}),
)


@quick
@given(st.sampled_from(CORE_CHANGES), st.from_regex(r"[a-z]{3,8}", fullmatch=True))
def test_any_change_of_the_core_is_caught(change: Any, text: str) -> None:
    """Descriptor, template, file, image, default or manifest: the roots differ, and why is told."""
    assume(text != "events")
    report = prove_equivalent(stack(), stack(change(PINNED, text), "uat"))
    assert report.verdict == "different"
    assert report.a.root != report.b.root
    assert report.core


@quick
@given(st.from_regex(r"[a-z]{1,8}", fullmatch=True))
def test_any_other_core_value_is_caught(text: str) -> None:
    """A core parameter that a project sets otherwise is another core, and is named."""
    assume(text != "events")
    report = prove_equivalent(stack(), stack(name="uat", project_values={"kafka": {"topic": text}}))
    assert report.verdict == "different"
    assert [(f.input, f.a, f.b) for f in report.core] == [("values.topic", "events", text)]


def values() -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for values of everything that is not core."""
    return st.fixed_dictionaries(
        {},
        optional={
            "replicas": st.integers(1, 9),
            "memory": st.integers(1, 64).map(lambda n: f"{n}Gi"),
            "tolerations": st.lists(st.just({"operator": "Exists"}), max_size=1),
            "storage_class": st.sampled_from(["fast", "slow"]),
            "host": st.sampled_from(["a.example.com", "b.example.com"]),
        },
    )


@quick
@given(values(), values())
def test_no_change_of_another_value_breaks_it(left: Any, right: Any) -> None:
    """Scale, platform and border may be anything, and every difference has its parameter."""
    report = prove_equivalent(
        stack(PUBLISHED, values={"kafka": left}),
        stack(PUBLISHED, "uat", values={"kafka": right}),
    )
    assert report.verdict == "equal"
    assert report.core == ()
    assert causes(report) <= {"parameter", "identity"}


def test_the_catalogue_is_equal_from_laptop_to_production() -> None:
    """Our own services: a stack of defaults and one of production differ in declared ways only."""
    services = {}
    for source in infometis_services():
        service = load_package_service(source)
        images = {
            name: attrs.evolve(image, digest=DIGEST) for name, image in service.images.items()
        }
        services[service.name] = changed(service, images=images)
    project = Project(name="demo", services=services)
    known = {name: given for name, given in PROD.items() if name in services}
    report = prove_equivalent(
        compose(project, Environment("dev")), compose(project, Environment("prod", values=known))
    )
    assert report.verdict == "equal", str(report)
    assert causes(report) <= {"parameter", "identity", "platform"}
    assert {f.scope for f in report.differences if f.parameters} == {"scale", "platform", "border"}
    assert report.durability


REF = ObjectRef(api_version="v1", kind="Service", namespace="n", name="kafka-headless")


def field(state: str, **more: Any) -> LiveField:
    """Return what was seen of one field of kafka."""
    return LiveField(side="dev", state=state, ref=REF, service="kafka", path="spec.x", **more)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("differs", "different"),
        ("missing", "different"),
        ("extra", "different"),
        ("foreign", "equal-with-foreign"),
        ("yielded", "equal"),
    ],
)
def test_what_the_clusters_show_decides(state: str, verdict: str) -> None:
    """Equal definitions are not enough; and of what others added, only strict is strict."""
    seen = Evidence(cluster_uid="u", checked=3, fields=(field(state, manager="kubectl-edit"),))
    left = subject(stack(), evidence=seen)
    right = subject(stack(name="uat"), evidence=Evidence(cluster_uid="v", checked=3))
    report = prove_equivalent(left, right)
    assert report.verdict == verdict
    assert report.passed is (verdict != "different")
    assert attrs.evolve(report, strict=True).passed is (verdict == "equal")
    assert f"{state}: dev Service/kafka-headless spec.x" in str(report)
    assert "by kubectl-edit" in str(report)


def test_running_images_decide_too() -> None:
    """What pods run may break what all else proves."""
    image = RunningImage(
        side="dev",
        service="kafka",
        container="StatefulSet/kafka/kafka",
        rendered=f"k@{DIGEST}",
        verdict="differs",
        detail="runs evil",
    )
    left = subject(stack(), evidence=Evidence(images=(image,)))
    report = prove_equivalent(left, subject(stack(name="uat"), evidence=Evidence()))
    assert report.verdict == "different"
    unknown = attrs.evolve(image, verdict="unknown", detail="no id")
    left = subject(stack(), evidence=Evidence(images=(unknown,)))
    assert prove_equivalent(left, stack(name="uat")).verdict == "unverified"


def test_the_kind_of_evidence_is_named() -> None:
    """Simulated and local evidence is called so, in the headline and in plain data."""
    seen = Evidence(simulated=True, local=True, notes=("its pods may not be listed",))
    report = prove_equivalent(subject(stack(), evidence=seen), stack(name="uat"))
    assert report.headline() == "dev and uat: equal (simulated, local)"
    assert "dev: its pods may not be listed" in str(report)
    assert "containers are simulated" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["a"]["simulated"] is True
    assert "equal (simulated, local)" in report._repr_html_()


def test_clocks_that_are_apart_are_told() -> None:
    """Times of two clusters cannot be read against each other where their clocks differ."""
    sides = [
        subject(stack(name=name), evidence=Evidence(fields=(field("foreign"),), clock=clock))
        for name, clock in (("dev", -400.0), ("uat", 0.0))
    ]
    (note,) = prove_equivalent(*sides).notes
    assert "clocks are apart" in note
    assert "dev is -400 s" in note
