"""External systems under stable internal names: Services without selectors, and credentials."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.templates.context import secret_name
from infometis_sdk.model.external import EXTERNAL, ExternalService
from infometis_sdk.model.service import Credential
from infometis_sdk.model.stack import BoundCredential

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.external import External

__all__ = ("external_credentials", "external_objects", "proxied_externals")

_CA = "ca.crt"


def external_objects(environment: Environment) -> Iterator[dict[str, Any]]:
    """Yield the objects that give systems of known addresses a name inside the stack.

    A Service of type ExternalName would leave TLS with a name that no certificate holds, and
    NetworkPolicies know no names; so it is a Service without a selector, and EndpointSlices with
    the addresses, one for each family of addresses, as the API demands.

    Example:
        >>> from infometis_sdk.model import Environment, External
        >>> dev = Environment("dev", external={"db": External(addresses=["192.0.2.1"], port=5432)})
        >>> [(obj["kind"], obj["metadata"]["name"]) for obj in external_objects(dev)]
        [('Service', 'db'), ('EndpointSlice', 'db-ipv4')]

    """
    for name, external in environment.external.items():
        if not external.addresses:
            continue
        families: dict[int, list[str]] = {}
        for address in external.addresses:
            families.setdefault(ipaddress.ip_address(address).version, []).append(address)
        yield _service(name, external, families)
        for version, addresses in sorted(families.items()):
            yield _slice(name, external, version, addresses)


def _service(name: str, external: External, families: dict[int, list[str]]) -> dict[str, Any]:
    kinds = [f"IPv{version}" for version in sorted(families)]
    spec: dict[str, Any] = {
        "ports": [
            {
                "name": external.protocol,
                "port": external.port,
                "protocol": "TCP",
                "targetPort": external.reached_port,
            }
        ]
    }
    if kinds != ["IPv4"]:
        spec["ipFamilies"] = kinds
        spec["ipFamilyPolicy"] = "SingleStack" if len(kinds) == 1 else "RequireDualStack"
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _slice(name: str, external: External, version: int, addresses: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-ipv{version}",
            "labels": {
                "kubernetes.io/service-name": name,
                # Tells the controllers of the cluster that it is not theirs.
                "endpointslice.kubernetes.io/managed-by": "infometis.io",
            },
        },
        "addressType": f"IPv{version}",
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}} for address in addresses
        ],
        "ports": [{"name": external.protocol, "port": external.reached_port, "protocol": "TCP"}],
    }


def external_credentials(environment: Environment) -> Iterator[BoundCredential]:
    """Yield the Secret of each external system that has credentials: given, never generated."""
    for name, external in environment.external.items():
        sources = dict(external.credentials)
        if external.tls.ca is not None:
            sources[_CA] = external.tls.ca
        if sources:
            yield BoundCredential(
                service="",
                name=name,
                secret=secret_name(EXTERNAL, name),
                credential=Credential(type="given", doc=external.doc),
                sources=sources,
            )


def proxied_externals(environment: Environment) -> tuple[ExternalService, ...]:
    """Return the systems that only the egress proxy of a border can lead to.

    Example:
        >>> from infometis_sdk.model import Environment, External
        >>> dev = Environment("dev", external={"db": External(host="db.example", port=5432)})
        >>> [(e.name, e.host, e.target_port) for e in proxied_externals(dev)]
        [('db', 'db.example', 5432)]

    """
    return tuple(
        ExternalService(
            name=name,
            host=external.host,
            port=external.port,
            target_port=external.reached_port,
            protocol=external.protocol,
            originate=external.tls.originate,
            server_name=external.tls.server_name or external.host,
            secret=secret_name(EXTERNAL, name)
            if external.credentials or external.tls.ca is not None
            else "",
            ca_key=_CA if external.tls.ca is not None or _CA in external.credentials else "",
        )
        for name, external in environment.external.items()
        if external.host
    )
