"""What pods run: image ids as their nodes tell them, against what was rendered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.engine.objects import podspec
from infometis_sdk.model.equivalence import RunningImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infometis_sdk.model.stack import ManifestSet

__all__ = ("compared", "running_images")

Object = Mapping[str, Any]

_DIGEST = re.compile(r"(?:^|@)(sha256:[0-9a-f]{64})$")
_RUNS = ("DaemonSet", "Deployment", "Pod", "StatefulSet")
"""Kinds whose pods run for good; those of Jobs end, and tell of what was."""


@frozen(kw_only=True)
class _Pods:
    """The pods of some namespaces, found by any label without a look at all of them."""

    by_label: Mapping[tuple[str, str, str], Sequence[Object]] = field(factory=dict)

    @classmethod
    def of(cls, pods: Iterable[Object]) -> _Pods:
        found: dict[tuple[str, str, str], list[Object]] = {}
        for pod in pods:
            meta = pod["metadata"]
            for key, value in (meta.get("labels") or {}).items():
                found.setdefault((meta.get("namespace", ""), key, value), []).append(pod)
        return cls(by_label=found)

    def selected(self, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        buckets = [self.by_label.get((namespace, *pair), ()) for pair in labels.items()]
        few: Sequence[Object] = min(buckets, key=len, default=())
        return [
            pod for pod in few if labels.items() <= (pod["metadata"].get("labels") or {}).items()
        ]


def running_images(
    manifests: ManifestSet, pods: Iterable[Object], side: str, *, simulated: bool
) -> Iterator[RunningImage]:
    """Yield, container by container, what runs and whether that is what was rendered.

    Args:
        manifests: what was rendered.
        pods: live pods of the namespaces of its workloads.
        side: name of the environment.
        simulated: the containers do not really run.

    """
    known = _Pods.of(pods)
    for manifest in manifests.manifests:
        ref, spec = manifest.ref, podspec.pod_spec(manifest.object)
        if spec is None or ref.kind not in _RUNS:
            continue
        rendered = {str(c.get("name")): str(c.get("image")) for _, c in podspec.containers(spec)}
        base = RunningImage(side=side, service=manifest.service, container="", rendered="")
        if simulated:
            for name, image in rendered.items():
                yield attrs.evolve(
                    base, container=f"{ref}/{name}", rendered=image, verdict="simulated"
                )
            continue
        labels = ((manifest.object.get("spec") or {}).get("selector") or {}).get("matchLabels")
        mine = known.selected(ref.namespace, labels or {})
        if ref.kind == "Pod":
            mine = [
                pod
                for pod in known.selected(
                    ref.namespace, manifest.object["metadata"].get("labels") or {}
                )
                if pod["metadata"]["name"] == ref.name
            ]
        told = list(_told(mine))
        for name in {**rendered, **dict.fromkeys(each[0] for each in told)}:
            ids = tuple(sorted({each[2] for each in told if each[0] == name and each[2]}))
            named = {each[1] for each in told if each[0] == name}
            if not ids and not named:
                continue  # nothing runs, as with no replicas
            verdict, detail = _judge(rendered.get(name), ids, named)
            yield attrs.evolve(
                base,
                container=f"{ref}/{name}",
                rendered=rendered.get(name, ""),
                running=ids,
                verdict=verdict,
                detail=detail,
            )


def _told(pods: Iterable[Object]) -> Iterator[tuple[str, str, str]]:
    """Yield container, its image as the pod names it, and the id that the node tells."""
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        status = pod.get("status") or {}
        ids = {
            each["name"]: each.get("imageID", "")
            for group in (
                "initContainerStatuses",
                "containerStatuses",
                "ephemeralContainerStatuses",
            )
            for each in status.get(group) or ()
        }
        for _, container in podspec.containers(pod.get("spec") or {}):
            name = str(container.get("name"))
            yield name, str(container.get("image")), ids.get(name, "")


def _judge(rendered: str | None, ids: Sequence[str], named: Iterable[str]) -> tuple[str, str]:
    if rendered is None:
        return "foreign", f"runs {', '.join(ids) or ', '.join(sorted(named))}, and was not rendered"
    wanted = _DIGEST.search(rendered)
    if not wanted:
        others = sorted(set(named) - {rendered})
        if others:
            return "differs", f"a pod names {', '.join(others)}"
        return "unknown", "no digest was rendered"
    if not ids:
        return "unknown", "no node tells an image id yet"
    # An id without a repository is the node's own name for what was put there by hand.
    strange = [one for one in ids if "@" in one and not one.endswith(f"@{wanted[1]}")]
    if strange:
        return "differs", f"runs {', '.join(strange)}"
    if any("@" not in one for one in ids):
        return "unknown", "a node tells only its own id of the image, not the registry's"
    return "equal", ""


def compared(
    left: Sequence[RunningImage], right: Sequence[RunningImage]
) -> tuple[RunningImage, ...]:
    """Hold the two sides against each other: where nothing was pinned, equal tags may differ."""
    others = {each.container: each for each in left}
    out = list(left)
    for image in right:
        other = others.get(image.container)
        found = image
        if other is not None and "unknown" in (image.verdict, other.verdict):
            here, there = (_registry_digests(each.running) for each in (image, other))
            if here and there and here != there:
                found = attrs.evolve(
                    image,
                    verdict="differs",
                    detail=f"{image.side} runs {', '.join(sorted(here))}, "
                    f"{other.side} {', '.join(sorted(there))}",
                )
        out.append(found)
    return tuple(out)


def _registry_digests(ids: Iterable[str]) -> set[str]:
    return {one.rpartition("@")[2] for one in ids if "@" in one}
