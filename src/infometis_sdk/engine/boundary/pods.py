"""The pods of a stack as policies know them: by namespace and selector, with their ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.objects import podspec
from infometis_sdk.engine.objects.loose import mapping, maps
from infometis_sdk.engine.objects.selectors import Selector

if TYPE_CHECKING:
    from infometis_sdk.model.service import Endpoint, Service

__all__ = ("Owned", "PodGroup", "Pods")

Owned = tuple[str, Mapping[str, Any]]
"""An object, and the service that it belongs to; empty for the stack as a whole."""


@frozen(kw_only=True)
class PodGroup:
    """The pods of one workload.

    Attributes:
        service: whose they are.
        workload: kind and name of what makes them, such as ``StatefulSet/kafka``.
        namespace: where they live.
        selector: a Kubernetes LabelSelector that picks them.
        labels: that they have.
        ports: number and protocol of each port that their containers name.
        named: these ports by name.
        token: whether they get a token for the Kubernetes API.
        many: whether there can be more than one of them.

    """

    service: str
    workload: str
    namespace: str
    selector: Mapping[str, Any]
    labels: Mapping[str, str]
    ports: tuple[tuple[int, str], ...] = field(converter=tuple[tuple[int, str], ...])
    named: Mapping[str, int] = field(factory=dict)
    token: bool = True
    many: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Identity of the workload."""
        return self.namespace, self.workload


class Pods:
    """All pods of a stack, and how its Kubernetes Services lead to them.

    Pods without labels are left out: a selector that picks them picks all others too.

    Args:
        objects: rendered objects with their services; before or after they were stamped.
        home: the namespace of those that name none.
        services: descriptors by name.

    """

    def __init__(
        self, objects: Iterable[Owned], home: str, services: Mapping[str, Service]
    ) -> None:
        self.home = home
        self.groups: list[PodGroup] = []
        self._of: dict[str, list[PodGroup]] = {}
        self._doors: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._labelled: dict[tuple[str, str, str], list[PodGroup]] = {}
        for service, obj in objects:
            if obj.get("kind") == "Service":
                name = str(obj["metadata"]["name"])
                self._doors.setdefault(service, {})[name] = obj
            elif (spec := podspec.pod_spec(obj)) is not None:
                group = _group(service, obj, spec, home, services.get(service))
                if group.labels:
                    self.groups.append(group)
                    self._of.setdefault(service, []).append(group)
                    for label in group.labels.items():
                        self._labelled.setdefault((service, *label), []).append(group)

    def of(self, service: str) -> Sequence[PodGroup]:
        """Return the groups of a service."""
        return self._of.get(service, [])

    def crowd(self, service: str) -> PodGroup | None:
        """Return all pods of a service as one group, by a label that each of them has.

        ``None`` where no label tells them from the other pods of the stack.
        """
        own = self.of(service)
        spaces = {group.namespace for group in own}
        others = [g for g in self.groups if g.service != service and g.namespace in spaces]
        for key in sorted(set.intersection(*(set(group.labels) for group in own))):
            values = {group.labels[key] for group in own}
            if len(spaces) == 1 and all(other.labels.get(key) not in values for other in others):
                picked = {"key": key, "operator": "In", "values": sorted(values)}
                return PodGroup(
                    service=service,
                    workload=f"*/{service}",
                    namespace=spaces.pop(),
                    selector={"matchExpressions": [picked]},
                    labels={},
                    ports=(),
                    many=True,
                )
        return None

    def behind(self, service: str, endpoint: Endpoint) -> list[tuple[PodGroup, int, str]]:
        """Return which pods, on which port, an endpoint of a service leads to."""
        door = self._doors.get(service, {}).get(endpoint.service or service)
        for port in maps(mapping((door or {}).get("spec")).get("ports")):
            if door is not None and port.get("port") == endpoint.port:
                return self._through(service, door, port)
        return []

    def among(self, service: str) -> list[tuple[PodGroup, int, str]]:
        """Return the ports on which the pods of a service find each other by name."""
        found = [
            reached
            for door in self._doors.get(service, {}).values()
            for port in maps(mapping(door.get("spec")).get("ports"))
            for reached in self._through(service, door, port)
        ]
        return list({(g.workload, port, kind): (g, port, kind) for g, port, kind in found}.values())

    def doors(self, service: str, group: PodGroup) -> dict[int, tuple[tuple[int, str], ...]]:
        """Return each port of a service's Kubernetes Services, and where it leads in a group."""
        found: dict[int, set[tuple[int, str]]] = {}
        for door in self._doors.get(service, {}).values():
            for port in maps(mapping(door.get("spec")).get("ports")):
                for reached, number, protocol in self._through(service, door, port):
                    if reached.key == group.key and isinstance(port.get("port"), int):
                        found.setdefault(port["port"], set()).add((number, protocol))
        return {port: tuple(sorted(ports)) for port, ports in found.items()}

    def _through(
        self, service: str, door: Mapping[str, Any], port: Mapping[str, Any]
    ) -> list[tuple[PodGroup, int, str]]:
        spec = mapping(door.get("spec"))
        labels = mapping(spec.get("selector"))
        space = door["metadata"].get("namespace") or self.home
        protocol = str(port.get("protocol") or "TCP")
        reached = []
        for group in self._with(service, labels):
            if group.namespace != space:
                continue
            if Selector(labels=labels).matches(group.labels):
                target = port.get("targetPort")
                if target is None or spec.get("clusterIP") == "None":
                    # Nothing stands between a client and the pods of a headless Service.
                    target = port.get("port")
                number = group.named.get(target, 0) if isinstance(target, str) else target
                if isinstance(number, int) and number:
                    reached.append((group, number, protocol))
        return reached

    def _with(self, service: str, labels: Mapping[str, Any]) -> Sequence[PodGroup]:
        """Return the groups that have the rarest of some labels; none where there are no labels."""
        found = (self._labelled.get((service, str(k), str(v)), []) for k, v in labels.items())
        return min(found, key=len, default=[])


def _group(
    service: str,
    obj: Mapping[str, Any],
    spec: Mapping[str, Any],
    home: str,
    descriptor: Service | None,
) -> PodGroup:
    labels = {
        str(key): str(value)
        for key, value in mapping(mapping(podspec.pod_metadata(dict(obj))).get("labels")).items()
    }
    ports, named = [], {}
    for _, container in podspec.containers(spec):
        for port in maps(container.get("ports")):
            number = port.get("containerPort")
            if isinstance(number, int):
                ports.append((number, str(port.get("protocol") or "TCP")))
                named[str(port.get("name") or "")] = number
    own = mapping(mapping(obj.get("spec")).get("selector"))
    if not own or obj["kind"] in ("Job", "CronJob", "Pod"):
        own = {"matchLabels": labels}  # the cluster itself makes a Job's
    return PodGroup(
        service=service,
        workload=f"{obj['kind']}/{obj['metadata']['name']}",
        namespace=str(obj["metadata"].get("namespace") or home),
        selector=own,
        labels=labels,
        ports=sorted(set(ports)),
        named=named,
        token=_mounts_token(spec),
        many=_many(obj, descriptor),
    )


def _mounts_token(spec: Mapping[str, Any]) -> bool:
    if spec.get("automountServiceAccountToken") is not False:
        return True
    sources = (
        source
        for volume in maps(spec.get("volumes"))
        for source in maps(mapping(volume.get("projected")).get("sources"))
    )
    return any("serviceAccountToken" in source for source in sources)


def _many(obj: Mapping[str, Any], descriptor: Service | None) -> bool:
    """Tell whether a workload can have several pods: now, or by a parameter of its service."""
    kind, name = obj["kind"], obj["metadata"]["name"]
    if kind == "DaemonSet":
        return True
    if kind not in ("Deployment", "StatefulSet", "ReplicaSet"):
        return False
    if mapping(obj.get("spec")).get("replicas", 1) != 1:
        return True
    return descriptor is not None and any(
        (influence.kind, influence.path) == (kind, "spec.replicas")
        and fnmatchcase(name, influence.name)
        for parameter in descriptor.parameters.values()
        for influence in parameter.affects
    )
