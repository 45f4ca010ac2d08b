"""The adapter: a scene becomes everything that publishes it through Traefik."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infometis_border_traefik.egress import egress, egress_peer
from infometis_border_traefik.faults import scene_faults
from infometis_border_traefik.install.crds import crds
from infometis_border_traefik.install.install import installation
from infometis_border_traefik.layout import layout_of
from infometis_border_traefik.routing.route import routing_of
from infometis_border_traefik.routing.tls import certificate_objects, secrets
from infometis_border_traefik.writers.file import mounted_secrets, routes_object
from infometis_border_traefik.writers.resources import resources
from infometis_sdk.model.environment import Peer
from infometis_sdk.ports.border import FEATURES, BorderAdapter, BorderManifests, Scene

if TYPE_CHECKING:
    from infometis_sdk.model.border_report import Proof
    from infometis_sdk.model.fault import Fault
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.border import Reach
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Finding

__all__ = ("TraefikBorder",)


class TraefikBorder(BorderAdapter):
    """Publishes routes through Traefik."""

    @property
    def features(self) -> frozenset[str]:
        """What Traefik can do: all of it."""
        return frozenset(FEATURES)

    def render(self, scene: Scene) -> BorderManifests:
        """Return everything that publishes the routes of a scene."""
        layout = layout_of(scene)
        routing = routing_of(scene, layout)
        objects: list[dict[str, Any]] = []
        if layout.installed:
            objects += installation(scene, layout, mounted_secrets(routing))
        objects += certificate_objects(scene)
        if layout.reads_files:
            objects.append(routes_object(routing, layout.home))
        else:
            objects += resources(routing, layout)
        objects += egress(scene)
        peer = Peer(namespace=layout.namespace, pods=layout.selector)
        return BorderManifests(
            objects=objects, secrets=secrets(scene), peers=[peer], egress=egress_peer(scene)
        )

    def faults(self, scene: Scene) -> tuple[Fault, ...]:
        """Return what Traefik cannot do, or only in a way that nobody wants."""
        return tuple(scene_faults(scene))

    def check(self, scene: Scene, cluster: Cluster, run: Run) -> tuple[Finding, ...]:
        """Say what of the cluster and of this machine stands in the way; reads only."""
        from infometis_border_traefik.checking.facts import gather
        from infometis_border_traefik.checking.judge import judge

        objects = self.render(scene).objects
        shipped = {str(each["metadata"]["name"]): each for each in crds()}
        facts = gather(scene, objects, shipped, cluster, run)
        return judge(scene, objects, shipped, facts, datetime.now(UTC))

    def verify(self, scene: Scene, cluster: Cluster, reach: Reach, run: Run) -> tuple[Proof, ...]:
        """Prove from outside that every route answers as promised; changes nothing."""
        from infometis_border_traefik.proving.verify import verify

        return verify(scene, self.render(scene).objects, cluster, reach, run)
