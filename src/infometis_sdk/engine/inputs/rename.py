"""A service under another name, so that a project can run one registered service twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from infometis_sdk.model.service import Service

__all__ = ("renamed",)


def renamed(service: Service, name: str) -> Service:
    """Return the service under another name.

    Names that begin with the old one (``kafka``, ``kafka-headless``) begin with the new one in
    ``affects``, in endpoints and in the hosts of certificates; templates use ``name`` anyhow.

    Example:
        >>> from infometis_sdk.model import Service
        >>> renamed(Service(name="kafka"), "events").name
        'events'

    """
    old = service.name

    def moved(text: str) -> str:
        head = "*." if text.startswith("*.") else ""
        rest = text.removeprefix(head)
        if rest == old or rest.startswith((f"{old}-", f"{old}.")):
            return f"{head}{name}{rest.removeprefix(old)}"
        return text

    return attrs.evolve(
        service,
        name=name,
        parameters={
            key: attrs.evolve(
                parameter,
                affects=tuple(attrs.evolve(i, name=moved(i.name)) for i in parameter.affects),
            )
            for key, parameter in service.parameters.items()
        },
        endpoints={
            key: attrs.evolve(endpoint, service=moved(endpoint.service))
            for key, endpoint in service.endpoints.items()
        },
        credentials={
            key: attrs.evolve(credential, hosts=tuple(moved(host) for host in credential.hosts))
            for key, credential in service.credentials.items()
        },
    )
