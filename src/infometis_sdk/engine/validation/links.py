"""Checks between objects: references that point at nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects import podspec
from infometis_sdk.engine.objects.loose import mapping, maps
from infometis_sdk.engine.objects.selectors import Selector, without_set_labels
from infometis_sdk.engine.templates.context import credential_keys

if TYPE_CHECKING:
    from infometis_sdk.engine.validation.findings import Findings
    from infometis_sdk.model.stack import Manifest, ManifestSet

__all__ = ("check_links",)

# Made by the cluster itself in every namespace.
_GIVEN = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_GIVEN_ROLES = ("admin", "cluster-admin", "edit", "view")


def check_links(manifests: ManifestSet, out: Findings) -> None:
    """Check every reference from one object to another."""
    links = _Links(manifests, out)
    for manifest in manifests.manifests:
        links.check(manifest)
    links.check_endpoints()


_Pod = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Labels and spec of the pods that a workload makes."""


class _Links:
    """The objects of a stack by what others call them."""

    def __init__(self, manifests: ManifestSet, out: Findings) -> None:
        self.set = manifests
        self.out = out
        self.table: dict[tuple[str, str, str], Manifest] = {
            (m.ref.kind, m.ref.namespace, m.ref.name): m for m in manifests.manifests
        }
        self.credentials: dict[str, tuple[str, ...]] = {
            c.secret: (*credential_keys(c.credential), *c.credential.derived) or tuple(c.sources)
            for c in manifests.credentials
        }
        self.pods: dict[str, list[_Pod]] = {}
        self.labelled: dict[tuple[str, str, Any], list[_Pod]] = {}
        for manifest in manifests.manifests:
            spec = podspec.pod_spec(manifest.object)
            if spec is not None:
                labels = mapping(mapping(podspec.pod_metadata(manifest.object)).get("labels"))
                where = manifest.ref.namespace
                self.pods.setdefault(where, []).append((labels, spec))
                for key, value in labels.items():
                    self.labelled.setdefault((where, key, str(value)), []).append((labels, spec))

    def named(self, kind: str, namespace: str) -> list[str]:
        return [name for k, ns, name in self.table if k == kind and ns == namespace]

    def there(self, manifest: Manifest, path: str, kind: str, name: str) -> Manifest | None:
        """Return what a reference points at; where there is nothing, that is noted."""
        namespace = manifest.ref.namespace
        found = self.table.get((kind, namespace, name))
        if found is None and (kind, name) not in _GIVEN:
            known = self.named(kind, namespace)
            self.out.dangling(
                manifest,
                path,
                f"refers to a {kind} that is not there",
                found=name,
                legal=", ".join(sorted(known)) or f"no {kind} is made",
                known=known,
            )
        return found

    def picked(self, namespace: str, selector: Selector) -> Iterator[Mapping[str, Any]]:
        """Yield the specs of the pods that a selector picks."""
        candidates = self.pods.get(namespace, [])
        if selector.labels:
            # Any one label leaves few pods to look at, so that many Services stay linear.
            wanted = [(namespace, key, str(value)) for key, value in selector.labels.items()]
            candidates = min((self.labelled.get(key, []) for key in wanted), key=len)
        for labels, spec in candidates:
            if selector.matches(labels):
                yield spec

    def check(self, manifest: Manifest) -> None:
        obj = manifest.object
        spec = mapping(obj.get("spec"))
        match manifest.ref.kind:
            case "Service":
                self.service(manifest, spec)
            case "StatefulSet":
                self.stateful_set(manifest, spec)
            case "PodDisruptionBudget":
                self.selects(manifest, "spec.selector", spec.get("selector"))
            case "HorizontalPodAutoscaler":
                target = mapping(spec.get("scaleTargetRef"))
                self.there(
                    manifest,
                    "spec.scaleTargetRef",
                    str(target.get("kind")),
                    str(target.get("name")),
                )
            case "RoleBinding" | "ClusterRoleBinding":
                self.binding(manifest)
            case "Ingress":
                self.ingress(manifest, spec)
        pod = podspec.pod_spec(obj)
        if pod is not None:
            self.pod(manifest, pod)

    def pod(self, manifest: Manifest, spec: Mapping[str, Any]) -> None:
        account = spec.get("serviceAccountName")
        if isinstance(account, str):
            self.there(manifest, "serviceAccountName", "ServiceAccount", account)
        for read in podspec.reads(spec):
            if read.optional or (
                read.pull and read.name in self.set.environment.policies.registry.pull_secrets
            ):
                continue
            if read.kind == "Secret" and read.name in self.credentials:
                self.credential_key(manifest, read)
                continue
            target = self.there(manifest, read.path, read.kind, read.name)
            if target is None or not read.key:
                continue
            keys = [*mapping(target.object.get("data")), *mapping(target.object.get("binaryData"))]
            if read.key not in keys:
                self.out.dangling(
                    manifest,
                    read.path,
                    f"{read.kind} {read.name!r} has no such key",
                    found=read.key,
                    legal=", ".join(keys),
                    known=keys,
                )
        for volume in maps(spec.get("volumes")):
            claim = mapping(volume.get("persistentVolumeClaim")).get("claimName")
            if isinstance(claim, str):
                self.there(
                    manifest, f"volumes[name={volume.get('name')}]", "PersistentVolumeClaim", claim
                )

    def credential_key(self, manifest: Manifest, read: podspec.Read) -> None:
        keys = self.credentials[read.name]
        if read.key and read.key not in keys:
            self.out.error(
                manifest,
                read.path,
                f"credential Secret {read.name!r} has no such key",
                found=read.key,
                legal=", ".join(keys),
                known=keys,
            )

    def service(self, manifest: Manifest, spec: Mapping[str, Any]) -> None:
        labels = without_set_labels(mapping(spec.get("selector")))
        if not labels or spec.get("type") == "ExternalName":
            return
        pods = list(self.picked(manifest.ref.namespace, Selector(labels=labels)))
        if not pods:
            self.out.dangling(
                manifest, "spec.selector", "picks no pods of any workload", found=dict(labels)
            )
            return
        names = {
            str(port.get("name"))
            for pod in pods
            for _, container in podspec.containers(pod)
            for port in maps(container.get("ports"))
        }
        for port in maps(spec.get("ports")):
            target = port.get("targetPort")
            if isinstance(target, str) and not target.isdecimal() and target not in names:
                self.out.dangling(
                    manifest,
                    f"spec.ports[{port.get('name') or port.get('port')}].targetPort",
                    "names a port that none of its pods has",
                    found=target,
                    legal=", ".join(sorted(names)),
                    known=names,
                )

    def stateful_set(self, manifest: Manifest, spec: Mapping[str, Any]) -> None:
        name = spec.get("serviceName")
        if not isinstance(name, str) or not name:
            self.out.warning(
                manifest, "spec.serviceName", "no headless Service, so its pods have no DNS names"
            )
            return
        found = self.there(manifest, "spec.serviceName", "Service", name)
        if found is not None and mapping(found.object.get("spec")).get("clusterIP") != "None":
            self.out.warning(
                manifest,
                "spec.serviceName",
                "the Service is not headless, so single pods have no DNS names",
                found=name,
                legal="a Service with clusterIP: None",
            )

    def selects(self, manifest: Manifest, path: str, selector: Any) -> None:  # noqa: ANN401 - JSON
        if isinstance(selector, Mapping) and not any(
            self.picked(manifest.ref.namespace, Selector.of(selector))
        ):
            self.out.dangling(manifest, path, "picks no pods of any workload", found=dict(selector))

    def binding(self, manifest: Manifest) -> None:
        role = mapping(manifest.object.get("roleRef"))
        kind, name = str(role.get("kind")), str(role.get("name"))
        if kind == "Role":
            self.there(manifest, "roleRef", "Role", name)
        elif (
            kind == "ClusterRole"
            and ("ClusterRole", "", name) not in self.table
            and name not in _GIVEN_ROLES
            and not name.startswith("system:")
        ):
            self.out.warning(
                manifest,
                "roleRef",
                "refers to a ClusterRole that is not made here",
                found=name,
                known=self.named("ClusterRole", ""),
            )
        for subject in maps(manifest.object.get("subjects")):
            namespace, account = str(subject.get("namespace") or ""), str(subject.get("name"))
            if (
                subject.get("kind") == "ServiceAccount"
                and namespace == self.set.namespace
                and account != "default"
                and ("ServiceAccount", namespace, account) not in self.table
            ):
                self.out.dangling(
                    manifest,
                    f"subjects[{account}]",
                    "refers to a ServiceAccount that is not there",
                    found=account,
                    known=self.named("ServiceAccount", namespace),
                )

    def ingress(self, manifest: Manifest, spec: Mapping[str, Any]) -> None:
        backends = [mapping(spec.get("defaultBackend"))]
        for rule in maps(spec.get("rules")):
            paths = maps(mapping(rule.get("http")).get("paths"))
            backends += [mapping(path.get("backend")) for path in paths]
        for backend in backends:
            service = mapping(backend.get("service"))
            if service:
                self.there(manifest, "spec.rules", "Service", str(service.get("name")))

    def check_endpoints(self) -> None:
        """Check that each endpoint of a descriptor is a port of a Kubernetes Service."""
        for composed in self.set.services.values():
            own = [m for m in self.set.manifests if m.service == composed.name]
            services = {m.ref.name: m for m in own if m.ref.kind == "Service"}
            for name, endpoint in composed.service.endpoints.items():
                host = endpoint.service or composed.name
                if not own:
                    continue
                target = services.get(host)
                if target is None:
                    self.out.error(
                        own[0],
                        f"endpoints.{name}",
                        f"the descriptor of {composed.name!r} offers"
                        " an endpoint of a Kubernetes Service that is not there",
                        found=host,
                        legal=", ".join(sorted(services)),
                        known=services,
                    )
                    continue
                ports = [
                    p.get("port") for p in maps(mapping(target.object.get("spec")).get("ports"))
                ]
                if endpoint.port not in ports:
                    self.out.error(
                        target,
                        "spec.ports",
                        f"the endpoint {composed.name}.{name} is port"
                        f" {endpoint.port}, which the Kubernetes Service does not have",
                        found=ports,
                        legal=str(endpoint.port),
                    )
