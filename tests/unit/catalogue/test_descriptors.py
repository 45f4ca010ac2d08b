"""What the catalogue's descriptors say of themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.unit.catalogue.stacks import PROD, objects, services

from infometis_sdk.engine.inputs.check_templates import template_faults
from infometis_sdk.engine.inputs.descriptor import faults_of

if TYPE_CHECKING:
    from infometis_sdk.model import Parameter, Service

NAMES = ("elasticsearch", "grafana", "kafka", "nifi")
PARAMETERS = [
    pytest.param(parameter, id=f"{service.name}.{name}")
    for service in services().values()
    for name, parameter in service.parameters.items()
]


@pytest.fixture(params=NAMES)
def service(request: pytest.FixtureRequest) -> Service:
    """Give each service of the catalogue in turn."""
    return services()[request.param]


def test_the_four_core_services_are_there() -> None:
    """The catalogue registers the four core services."""
    assert set(services()) == set(NAMES)


def test_a_descriptor_has_no_faults(service: Service) -> None:
    """Descriptor, templates and files pass the checks that third-party services get."""
    assert not faults_of(service)
    assert not template_faults(service)


def test_images_are_pinned_to_the_version(service: Service) -> None:
    """The version of a service is the tag of its image; nobody runs `latest`."""
    assert [image.tag for image in service.images.values()] == [service.version]
    assert re.fullmatch(r"\d+\.\d+\.\d+", service.version)


def test_data_stores_do_not_go_back(service: Service) -> None:
    """No service goes back to an older version, and each says why and from which it can come."""
    assert service.upgrade.downgrade == "never"
    assert service.upgrade.accepts
    assert service.upgrade.why


def test_what_is_said_of_endpoints_holds(service: Service) -> None:
    """Each endpoint is a port of a Kubernetes Service, and is explained."""
    ports = {
        (obj["metadata"]["name"], port["port"])
        for obj in objects()
        if obj["kind"] == "Service"
        for port in obj["spec"]["ports"]
    }
    for endpoint in service.endpoints.values():
        assert (endpoint.service or service.name, endpoint.port) in ports
        assert endpoint.doc
        assert all(operation.doc for operation in endpoint.sensitive)


def test_web_endpoints_name_their_sensitive_operations(service: Service) -> None:
    """Whatever the border may publish says which operations need more than a visitor's rights."""
    for endpoint in service.endpoints.values():
        web = endpoint.protocol in ("http", "https")
        assert bool(endpoint.sensitive) == (endpoint.public and web)


def test_every_credential_is_explained_and_read(service: Service) -> None:
    """A credential that no pod reads would be made for nothing; a reader shows it is mounted."""
    read = {
        name
        for manifest in objects(PROD)
        if manifest["kind"] == "StatefulSet"
        for name in re.findall(r"'(?:secretName|name)': '([a-z-]+)'", str(manifest["spec"]))
    }
    for name, credential in service.credentials.items():
        assert f"{service.name}-{name}" in read
        assert credential.doc


def test_what_unlocks_data_is_durable() -> None:
    """What encrypts or names data on a volume lives as long as the volume and never rotates."""
    durable = {
        f"{service.name}.{name}"
        for service in services().values()
        for name, credential in service.credentials.items()
        if credential.durable and credential.rotation == "never"
    }
    assert durable == {
        "kafka.cluster-id",
        "nifi.sensitive-props",
        "grafana.admin",
        "grafana.secret-key",
    }


def test_nifi_gets_a_password_it_accepts() -> None:
    """NiFi refuses passwords and keys of less than 12 characters."""
    nifi = services()["nifi"]
    assert all(nifi.credentials[name].length >= 12 for name in ("admin", "sensitive-props"))


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_parameter_is_explained(parameter: Parameter) -> None:
    """A parameter says what it does, what it may change, and why it cannot change."""
    assert parameter.doc
    assert bool(parameter.affects) == (parameter.scope != "core")
    if parameter.mutability == "create-only" or parameter.shrink != "allow":
        assert parameter.why
        assert not parameter.why.endswith(".")


def test_services_share_names_for_what_platforms_set() -> None:
    """A platform sets storage class, tolerations and node selector by the same names everywhere."""
    shared = ("storage_class", "tolerations", "node_selector")
    for name in shared:
        assert {s.parameters[name].scope for s in services().values()} == {"platform"}
        assert len({s.parameters[name].type for s in services().values()}) == 1


def test_volumes_grow_and_never_shrink() -> None:
    """Every service's storage can grow in place and cannot shrink."""
    for service in services().values():
        storage = service.parameters["storage"]
        assert (storage.mutability, storage.shrink) == ("live", "never")


def test_durability_is_flagged() -> None:
    """What changes how well data survives is flagged for every proof."""
    flagged = {
        f"{s.name}.{n}"
        for s in services().values()
        for n, p in s.parameters.items()
        if p.durability
    }
    assert flagged == {
        "kafka.controllers",
        "kafka.replication_factor",
        "kafka.min_insync_replicas",
        "elasticsearch.replicas",
    }


def test_uses_and_needs_stay_inside_the_catalogue() -> None:
    """Each service that is used or needed is there, and what is used is one of its endpoints."""
    for service in services().values():
        for use in service.uses:
            other, _, endpoint = use.partition(".")
            assert endpoint in services()[other].endpoints
        assert set(service.needs) <= set(services())
