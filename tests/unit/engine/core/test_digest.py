"""The core digest: what moves it, and what does not."""

from __future__ import annotations

import unicodedata
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.unit.engine.bundles import KAFKA, changed, config_map, stack_of

from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.core.digest import service_digest, stack_digest
from infometis_sdk.model import (
    Endpoint,
    Environment,
    Image,
    Lock,
    Origin,
    Parameter,
    Policies,
    Project,
    RegistryPolicy,
    Service,
)

DIGEST = "sha256:" + "a" * 64


def digest(service: Service = KAFKA, *, lock: Lock = Lock(), **layers: Any) -> str:  # noqa: B008 - frozen
    """Return the digest of one service in an environment."""
    values = layers.pop("project", {})
    project = Project(name="demo", services={service.name: service}, values=values)
    stack = compose(project, Environment("dev", **layers))
    return service_digest(stack.services[0], lock)


BASE = digest()


OTHERS: dict[str, dict[str, Any]] = {
    "version": {"version": "4.3.2"},
    "tag": {"images": {"main": Image(repository="apache/kafka", tag="4.3.2")}},
    "repository": {"images": {"main": Image(repository="other/kafka", tag="4.3.1")}},
    "digest": {"images": {"main": Image(repository="apache/kafka", tag="4.3.1", digest=DIGEST)}},
    "template": {"templates": {**KAFKA.templates, "config.yaml.j2": "# other\n"}},
    "new template": {"templates": {**KAFKA.templates, "new.yaml.j2": ""}},
    "file": {"files": {"server.properties": "x=1\n"}},
    "endpoint": {"endpoints": {"client": Endpoint(port=9092)}},
    "needs": {"credentials": {}},
    "raw": {"manifests": [config_map("raw")]},
    "core default": {
        "parameters": {**KAFKA.parameters, "topic": Parameter(type="string", default="x")}
    },
    "new parameter": {
        "parameters": {**KAFKA.parameters, "new": Parameter(type="string", default="x")}
    },
    "scale default": {
        "parameters": {
            **KAFKA.parameters,
            "replicas": attrs.evolve(KAFKA.parameters["replicas"], default=2),
        }
    },
}


@pytest.mark.parametrize("what", OTHERS)
def test_every_core_input_moves_it(what: str) -> None:
    """Descriptor, templates, files, raw manifests, defaults and images are core."""
    assert digest(changed(KAFKA, **OTHERS[what])) != BASE


def test_core_values_and_locked_images_move_it() -> None:
    """A core value of the project, and the digest that a lock gives an image, are core."""
    assert digest(project={"kafka": {"topic": "other"}}) != BASE
    locked = digest(lock=Lock(images={"apache/kafka:4.3.1": DIGEST}))
    assert locked != BASE
    assert locked != digest(lock=Lock(images={"apache/kafka:4.3.1": DIGEST.replace("a", "b")}))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "replicas": st.integers(1, 99),
            "memory": st.sampled_from(["2Gi", "3Gi", "512Mi"]),
            "tolerations": st.lists(
                st.fixed_dictionaries({"key": st.text(max_size=3)}), max_size=2
            ),
            "storage_class": st.none() | st.text(max_size=3),
        },
    ),
    st.sampled_from(["independent", "shared"]),
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
)
def test_nothing_else_moves_it(values: dict[str, Any], mode: str, name: str) -> None:
    """Values of scale and platform, mode, namespace, registry: no part of the core."""
    policies = Policies(registry=RegistryPolicy(prefix=name))
    more: dict[str, Any] = {"mode": mode, "namespace": name, "stack_id": name, "policies": policies}
    assert digest(values={"kafka": values}, **more) == BASE


def test_where_it_was_read_from_does_not_matter() -> None:
    """The same service from another place, in another order of writing, is the same."""
    moved = changed(
        KAFKA,
        origin=Origin(layer="base", file="else/where.yaml", line=9),
        lines={"name": 3},
        templates=dict(sorted(KAFKA.templates.items(), reverse=True)),
        parameters=dict(sorted(KAFKA.parameters.items(), reverse=True)),
    )
    assert digest(moved) == BASE


def test_text_is_hashed_in_one_form() -> None:
    """Line ends and the composition of characters are no difference."""
    one = changed(KAFKA, files={"a.txt": "\u00e9\nb\n"}, summary="\u00e9")
    two = changed(
        KAFKA,
        files={"a.txt": unicodedata.normalize("NFD", "\u00e9") + "\r\nb\r\n"},
        summary=unicodedata.normalize("NFD", "\u00e9"),
    )
    assert digest(one) == digest(two)


def test_stack_digest_is_free_of_order() -> None:
    """The digest of a stack is over the sorted digests of its services."""
    other = Service(name="alpha")
    assert stack_digest(stack_of(KAFKA, other)) == stack_digest(stack_of(other, KAFKA))
    assert stack_digest(stack_of(KAFKA)).digest != stack_digest(stack_of(KAFKA, other)).digest


def test_verified_only_with_every_image_pinned() -> None:
    """A tag that no lock resolves leaves the result unverified."""
    project = Project(name="demo", services={"kafka": KAFKA})
    assert not stack_digest(compose(project, Environment("dev"))).verified
    lock = Lock(images={"apache/kafka:4.3.1": DIGEST})
    locked = Project(name="demo", services={"kafka": KAFKA}, lock=lock)
    assert stack_digest(compose(locked, Environment("dev"))).verified


def test_the_digest_itself_is_stable() -> None:
    """An upgrade of the SDK alone moves no digest; another value here is another format."""
    plain = Service(
        name="a",
        version="1",
        images={"main": Image(repository="example/a", tag="1")},
        parameters={"n": Parameter(type="integer", default=1, scope="scale", min=1)},
        endpoints={"http": Endpoint(port=80)},
        templates={"a.yaml.j2": "a: 1\n"},
        manifests=[config_map("raw")],
    )
    assert service_digest(stack_of(plain).services[0], Lock()) == GOLDEN


GOLDEN = "sha256:c937bfa628a49bc0919c79a7c39dfe37d5c6d782f7793ba423d63348f5d1fc41"
