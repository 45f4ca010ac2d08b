"""Render a border: the adapter's objects become drafts, its Secrets become credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_sdk.engine.border.routes import origin_of
from infometis_sdk.engine.border.scene import scene_faults, scene_of
from infometis_sdk.engine.inputs.registry import apply_registry
from infometis_sdk.engine.objects.normalise import KeyNotTextError, normalise
from infometis_sdk.engine.templates.render_service import Draft
from infometis_sdk.model.environment import Peer
from infometis_sdk.model.fault import Fault
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import Credential
from infometis_sdk.model.stack import BoundCredential

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ComposedStack
    from infometis_sdk.ports.border import BorderSecret

__all__ = ("ZONE", "RenderedBorder", "render_border")

ZONE = "border"


@frozen(kw_only=True)
class RenderedBorder:
    """What the border adds to a stack.

    Attributes:
        drafts: its objects, not yet stamped.
        credentials: its Secrets, made at apply.
        peers: the pods that let the outside in.
        egress: the pods through which the inside reaches external services by name.
        faults: why there are none of all these.

    """

    drafts: tuple[Draft, ...] = field(default=(), converter=tuple[Draft, ...])
    credentials: tuple[BoundCredential, ...] = field(
        default=(), converter=tuple[BoundCredential, ...]
    )
    peers: tuple[Peer, ...] = field(default=(), converter=tuple[Peer, ...])
    egress: tuple[Peer, ...] = field(default=(), converter=tuple[Peer, ...])
    faults: tuple[Fault, ...] = field(default=(), converter=tuple[Fault, ...])


def render_border(stack: ComposedStack) -> RenderedBorder:
    """Render the border of a stack; nothing where the environment has none."""
    if stack.publisher is None:
        return RenderedBorder()
    if wrong := scene_faults(stack):
        return RenderedBorder(faults=wrong)
    made = stack.publisher.adapter.render(scene_of(stack))
    origin = origin_of(stack.environment, "")
    drafts: list[Draft] = []
    faults = []
    for obj in made.objects:
        try:
            drafts.append(Draft(object=normalise(obj), service="", origin=origin, zone=ZONE))
        except KeyNotTextError as error:
            what = f"the adapter {stack.publisher.name} made a {obj.get('kind', 'object')}"
            faults.append(Fault(message=f"{what} that JSON cannot carry: {error}", origin=origin))
    if faults:
        return RenderedBorder(faults=faults)
    apply_registry(
        ((draft.object, False) for draft in drafts),
        stack.environment.policies.registry,
        stack.lock,
    )
    return RenderedBorder(
        drafts=drafts,
        credentials=[_bound(secret, stack.publisher.certificates) for secret in made.secrets],
        peers=made.peers,
        egress=made.egress,
    )


def _bound(secret: BorderSecret, folder: str) -> BoundCredential:
    """Bind a Secret to its sources; a certificate without any is the development authority's."""
    sources = secret.sources
    if secret.kind == "certificate" and not sources:
        names = ("tls.crt", "tls.key")
        sources = {name: SecretRef(scheme="file", target=f"{folder}/{name}") for name in names}
    credential = Credential(type=secret.kind, hosts=secret.hosts, rotation="never")
    return BoundCredential(
        service="",
        name=secret.name,
        secret=secret.name,
        credential=credential,
        sources=sources,
    )
