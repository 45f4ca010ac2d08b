"""Find the pods that an object makes, and what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from infometis_sdk.engine.objects.loose import mapping, maps

__all__ = ("Read", "containers", "pod_metadata", "pod_spec", "reads")

_TEMPLATED = (
    "DaemonSet",
    "Deployment",
    "Job",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
)


@frozen(kw_only=True)
class Read:
    """One reference of a pod to a ConfigMap or Secret.

    Attributes:
        kind: ``ConfigMap`` or ``Secret``.
        key: one key of it; empty for the whole.
        path: where in the pod spec the reference stands.
        pull: it is a pull secret, which containers cannot read.

    """

    kind: str
    name: str
    key: str = ""
    optional: bool = False
    path: str = ""
    pull: bool = False


def _template(obj: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    kind = obj.get("kind")
    if kind == "Pod":
        return obj
    spec = mapping(obj.get("spec"))
    if kind == "CronJob":
        spec = mapping(mapping(spec.get("jobTemplate")).get("spec"))
        return spec.get("template")
    return spec.get("template") if kind in _TEMPLATED else None


def pod_spec(obj: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the pod spec inside a workload, or ``None``."""
    template = _template(obj)
    spec = template.get("spec") if isinstance(template, Mapping) else None
    return spec if isinstance(spec, dict) else None


def pod_metadata(obj: Mapping[str, Any], *, make: bool = False) -> dict[str, Any] | None:
    """Return the metadata of the pods that a workload makes, or ``None``.

    Args:
        obj: any object.
        make: add empty metadata, in place, where a workload's pods have none.

    """
    template = _template(obj)
    if not isinstance(template, dict) or not isinstance(template.get("spec"), dict):
        return None
    if make:
        template.setdefault("metadata", {})
    metadata = template.get("metadata")
    return metadata if isinstance(metadata, dict) else None


def containers(spec: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each container of a pod spec with the field that holds it."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in maps(spec.get(field)):
            yield field, container


def reads(spec: Mapping[str, Any]) -> Iterator[Read]:
    """Yield every reference of a pod spec to a ConfigMap or Secret."""
    for volume in maps(spec.get("volumes")):
        path = f"volumes[name={volume.get('name')}]"
        if secret := mapping(volume.get("secret")):
            yield from _volume("Secret", secret.get("secretName"), secret, path)
        if config := mapping(volume.get("configMap")):
            yield from _volume("ConfigMap", config.get("name"), config, path)
        for source in maps(mapping(volume.get("projected")).get("sources")):
            for key, kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
                if part := mapping(source.get(key)):
                    yield from _volume(kind, part.get("name"), part, path)
    for field, container in containers(spec):
        yield from _environment(container, f"{field}[name={container.get('name')}]")
    for ref in maps(spec.get("imagePullSecrets")):
        name = str(ref.get("name") or "")
        yield Read(kind="Secret", name=name, path="imagePullSecrets", pull=True)


def _environment(container: Mapping[str, Any], where: str) -> Iterator[Read]:
    for source in maps(container.get("envFrom")):
        for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            if ref := mapping(source.get(key)):
                yield Read(
                    kind=kind,
                    name=str(ref.get("name") or ""),
                    optional=bool(ref.get("optional")),
                    path=f"{where}.envFrom",
                )
    for variable in maps(container.get("env")):
        for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if ref := mapping(mapping(variable.get("valueFrom")).get(key)):
                yield Read(
                    kind=kind,
                    name=str(ref.get("name") or ""),
                    key=str(ref.get("key") or ""),
                    optional=bool(ref.get("optional")),
                    path=f"{where}.env[name={variable.get('name')}]",
                )


def _volume(kind: str, name: Any, part: Mapping[str, Any], path: str) -> Iterator[Read]:  # noqa: ANN401 - JSON
    optional = bool(part.get("optional"))
    items = [str(item.get("key") or "") for item in maps(part.get("items"))]
    for key in items or [""]:
        yield Read(kind=kind, name=str(name or ""), key=key, optional=optional, path=path)
