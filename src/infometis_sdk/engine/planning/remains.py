"""What a service left in the cluster: whether rules about a change hold for it at all.

A Release is written before the first object, so its word alone does not mean that anything exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.planning.prune import members, service_of
from infometis_sdk.engine.planning.volumes import claim_names, claims_of
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.release import ServiceRecord
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Remains",)


class Remains:
    """What is left of each service; volumes are asked for only where nothing else is known.

    Args:
        cluster: the API.
        manifests: what is desired.
        live: what was found.
        run: deadline and cancel token.

    """

    def __init__(self, cluster: Cluster, manifests: ManifestSet, live: Live, run: Run) -> None:
        self._cluster = cluster
        self._manifests = manifests
        self._live = live
        self._run = run
        owned = members(live, manifests.stack_id, manifests.namespace)
        self._present = {service_of(obj) for obj in owned}

    def deployed(self, known: Mapping[str, ServiceRecord]) -> dict[str, ServiceRecord]:
        """Return the records of services of which an object or a volume is there."""
        return {name: record for name, record in known.items() if self._remains(name)}

    def lost_credentials(self, services: Collection[str], agreed: Collection[str]) -> list[str]:
        """Say which durable credentials are gone while what they unlock is still there.

        Making a new one would lock the data up for good.

        Args:
            services: that are looked at.
            agreed: objects that were named as losing their data.

        """
        found = []
        for bound in self._manifests.credentials:
            if bound.service not in services or not bound.credential.durable:
                continue
            ref = ObjectRef(
                api_version="v1",
                kind="Secret",
                namespace=self._manifests.namespace,
                name=bound.secret,
            )
            if self._live.get(ref) is not None or str(ref) in agreed:
                continue
            if self._read(bound.secret) or self._volumes(bound.service):
                found.append(
                    f"{ref} is gone, and the data that it unlocks is still there: put it back, "
                    f"or have a new one made and lose the data (--accept-data-loss {ref})"
                )
        return found

    def _remains(self, service: str) -> bool:
        return service in self._present or self._volumes(service)

    def _read(self, secret: str) -> bool:
        """Whether a workload runs that reads the Secret, which was made before it."""
        return any(
            secret in m.reads and self._live.get(m.ref) is not None
            for m in self._manifests.manifests
        )

    def _volumes(self, service: str) -> bool:
        known = self._live.inventory.claims if self._live.inventory else ()
        names = claim_names(m.object for m in self._manifests.manifests if m.service == service)
        asked = set(names) & set(known)
        if not asked:
            return False
        return bool(claims_of(self._cluster, asked, self._run))
