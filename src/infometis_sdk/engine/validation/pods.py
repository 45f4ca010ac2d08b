"""Checks of pod specs that no schema makes.

Source: the validation of the API server (``pkg/apis/core/validation``), as far as it can be known
without a cluster, and the mistakes that it lets pass but that cannot work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects import podspec, quantity
from infometis_sdk.engine.objects.loose import mapping, maps
from infometis_sdk.engine.validation.findings import LABEL, Findings

if TYPE_CHECKING:
    from infometis_sdk.model.stack import Manifest

__all__ = ("check_pod",)

_PORT_MAX = 65535
_PORT_NAME = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_ENV_NAME = re.compile(r"[ -<>-~]+")
_PULL = ("Always", "IfNotPresent", "Never")
_RESTART = ("Always", "Never", "OnFailure")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_DNS = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_OPERATORS = ("Equal", "Exists", "Gt", "Lt")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def check_pod(manifest: Manifest, spec: Mapping[str, Any], out: Findings) -> None:
    """Check one pod spec.

    Args:
        manifest: the workload that holds it.
        spec: the pod spec.
        out: where findings go.

    """
    if not maps(spec.get("containers")):
        out.error(manifest, "containers", "a pod without containers", legal="one or more")
    out.choice(manifest, "restartPolicy", spec.get("restartPolicy"), _RESTART)
    out.choice(manifest, "dnsPolicy", spec.get("dnsPolicy"), _DNS)
    _restart_of(manifest, spec, out)
    for index, toleration in enumerate(maps(spec.get("tolerations"))):
        path = f"tolerations[{index}]"
        out.choice(manifest, f"{path}.operator", toleration.get("operator"), _OPERATORS)
        if toleration.get("effect"):
            out.choice(manifest, f"{path}.effect", toleration.get("effect"), _EFFECTS)
    for spread in maps(spec.get("topologySpreadConstraints")):
        out.choice(
            manifest,
            f"topologySpreadConstraints[{spread.get('topologyKey')}].whenUnsatisfiable",
            spread.get("whenUnsatisfiable"),
            _UNSATISFIABLE,
        )
    volumes = _volumes(manifest, spec, out)
    names: list[str] = []
    mounted: set[str] = set()
    for field, container in podspec.containers(spec):
        name = str(container.get("name") or "")
        path = f"{field}[name={name}]"
        if not LABEL.fullmatch(name):
            out.error(manifest, f"{path}.name", "not a DNS label", found=name)
        names.append(name)
        _container(manifest, path, container, out)
        mounted |= _mounts(manifest, path, container, volumes, out)
    _twice(manifest, "containers", "container", names, out)
    for name in sorted(volumes - mounted):
        out.warning(manifest, f"volumes[name={name}]", "a volume that no container mounts")


def _twice(manifest: Manifest, path: str, what: str, names: Iterable[str], out: Findings) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            out.error(
                manifest, path, f"two {what}s with one name", found=name, legal="unique names"
            )
        seen.add(name)


def _restart_of(manifest: Manifest, spec: Mapping[str, Any], out: Findings) -> None:
    kind, policy = manifest.ref.kind, spec.get("restartPolicy")
    if policy is not None and policy not in _RESTART:
        return  # named already
    if kind in ("Job", "CronJob") and policy not in ("Never", "OnFailure"):
        out.error(
            manifest,
            "restartPolicy",
            f"the pods of a {kind} end, so they cannot restart always",
            found=policy or "Always (the default)",
            legal="Never, OnFailure",
        )
    if kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet") and policy not in (
        None,
        "Always",
    ):
        out.error(
            manifest,
            "restartPolicy",
            f"the pods of a {kind} always restart",
            found=policy,
            legal="Always",
        )


def _volumes(manifest: Manifest, spec: Mapping[str, Any], out: Findings) -> set[str]:
    names = [str(volume.get("name") or "") for volume in maps(spec.get("volumes"))]
    for volume, name in zip(maps(spec.get("volumes")), names, strict=True):
        if not LABEL.fullmatch(name):
            out.error(manifest, "volumes", "the name of a volume is not a DNS label", found=name)
        if len(volume) > 2:  # noqa: PLR2004 - its name and one source
            kinds = ", ".join(sorted(set(volume) - {"name"}))
            out.error(
                manifest, f"volumes[name={name}]", "a volume with more than one source", found=kinds
            )
    _twice(manifest, "volumes", "volume", names, out)
    return set(names)


def _mounts(
    manifest: Manifest, path: str, container: Mapping[str, Any], volumes: set[str], out: Findings
) -> set[str]:
    claims = {
        str(mapping(claim.get("metadata")).get("name"))
        for claim in maps(mapping(manifest.object.get("spec")).get("volumeClaimTemplates"))
    }
    used: set[str] = set()
    for field, where in (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath")):
        mounts = maps(container.get(field))
        for mount in mounts:
            name = str(mount.get("name") or "")
            used.add(name)
            if name not in volumes | claims:
                out.error(
                    manifest,
                    f"{path}.{field}",
                    "mounts a volume that is not declared",
                    found=name,
                    legal=", ".join(sorted(volumes | claims)),
                    known=volumes | claims,
                )
        _twice(manifest, f"{path}.{field}", "mount", [str(m.get(where) or "") for m in mounts], out)
    return used


def _container(manifest: Manifest, path: str, container: Mapping[str, Any], out: Findings) -> None:
    _image(manifest, f"{path}.image", container.get("image"), out)
    out.choice(manifest, f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL)
    for field in ("command", "args"):
        for item in container.get(field) or ():
            if not isinstance(item, str):
                out.error(
                    manifest,
                    f"{path}.{field}",
                    "an argument that is not text",
                    found=item,
                    legal="text; print it with {{ … | string }}",
                )
    _environment(manifest, path, container, out)
    _resources(manifest, f"{path}.resources", container.get("resources"), out)
    ports = maps(container.get("ports"))
    for port in ports:
        number, name = port.get("containerPort"), port.get("name")
        where = f"{path}.ports[{name or number}]"
        if not _is_port(number):
            out.error(
                manifest, f"{where}.containerPort", "not a port", found=number, legal="1 to 65535"
            )
        if name is not None and not _PORT_NAME.fullmatch(str(name)):
            out.error(
                manifest,
                f"{where}.name",
                "not a port name",
                found=name,
                legal="lower-case letters, digits and single hyphens, at most 15",
            )
        out.choice(manifest, f"{where}.protocol", port.get("protocol"), _PROTOCOLS)
    _twice(manifest, f"{path}.ports", "port", [str(p["name"]) for p in ports if p.get("name")], out)
    pairs = [f"{p.get('containerPort')}/{p.get('protocol', 'TCP')}" for p in ports]
    _twice(manifest, f"{path}.ports", "port", pairs, out)
    for probe in _PROBES:
        _probe(manifest, f"{path}.{probe}", mapping(container.get(probe)), ports, out)


def _image(manifest: Manifest, path: str, image: Any, out: Findings) -> None:  # noqa: ANN401 - JSON
    if not isinstance(image, str) or not image:
        out.error(manifest, path, "a container without an image", found=image)
        return
    if re.search(r"\s|[A-Z]", image.partition("@")[0].rpartition(":")[0] or image):
        out.error(
            manifest, path, "not an image name", found=image, legal="lower-case repository:tag"
        )
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not digest and tag in ("", "latest"):
        what = "the tag latest" if tag else "no tag"
        out.error(
            manifest,
            path,
            f"an image with {what}, which is another one tomorrow",
            found=image,
            legal="a fixed tag, or a digest",
        )


def _environment(
    manifest: Manifest, path: str, container: Mapping[str, Any], out: Findings
) -> None:
    variables = maps(container.get("env"))
    for variable in variables:
        name = str(variable.get("name") or "")
        where = f"{path}.env[name={name}]"
        value = variable.get("value")
        if not _ENV_NAME.fullmatch(name):
            out.error(manifest, where, "not the name of an environment variable", found=name)
        if value is not None and not isinstance(value, str):
            out.error(
                manifest,
                f"{where}.value",
                "the value of an environment variable is text",
                found=value,
                legal="text; print it with {{ … | string }}",
            )
        if value and variable.get("valueFrom"):
            out.error(manifest, where, "has both value and valueFrom", legal="one of them")
    _twice(manifest, f"{path}.env", "variable", [str(v.get("name") or "") for v in variables], out)


def _resources(manifest: Manifest, path: str, resources: Any, out: Findings) -> None:  # noqa: ANN401 - JSON
    requests, limits = (mapping(mapping(resources).get(key)) for key in ("requests", "limits"))
    for name in requests:
        try:
            above = name in limits and quantity.compare(requests[name], limits[name]) > 0
        except (TypeError, ValueError):
            continue  # named as a bad quantity
        if above:
            out.error(
                manifest,
                f"{path}.requests.{name}",
                "the request is larger than the limit",
                found=requests[name],
                legal=f"at most {limits[name]}",
            )


def _is_port(value: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _PORT_MAX


def _probe(
    manifest: Manifest,
    path: str,
    probe: Mapping[str, Any],
    ports: Sequence[Mapping[str, Any]],
    out: Findings,
) -> None:
    for kind in ("httpGet", "tcpSocket", "grpc"):
        action = probe.get(kind)
        if not isinstance(action, Mapping):
            continue
        port = action.get("port")
        names = [str(p["name"]) for p in ports if p.get("name")]
        if isinstance(port, str) and not port.isdecimal():
            if port not in names:
                out.error(
                    manifest,
                    f"{path}.{kind}.port",
                    "asks a port that the container does not declare",
                    found=port,
                    legal=", ".join(names) or "a declared port",
                    known=names,
                )
        elif not _is_port(number := int(port) if isinstance(port, str) else port):
            out.error(manifest, f"{path}.{kind}.port", "not a port", found=port, legal="1 to 65535")
        elif number not in [p.get("containerPort") for p in ports]:
            out.warning(
                manifest,
                f"{path}.{kind}.port",
                "asks a port that the container does not declare",
                found=port,
                legal=", ".join(str(p.get("containerPort")) for p in ports),
            )
