"""The environment's registry policy: where pods pull their images from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.objects import podspec
from infometis_sdk.engine.objects.loose import maps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.model.environment import RegistryPolicy
    from infometis_sdk.model.project import Lock

__all__ = ("apply_registry",)


def apply_registry(
    objects: Iterable[tuple[dict[str, object], bool]], policy: RegistryPolicy, lock: Lock
) -> None:
    """Write prefix and pull secrets into every pod, in place.

    Args:
        objects: each with whether it is a raw manifest; only those need the lock's digests,
            since templates print images that have them already.
        policy: prefix and pull secrets.
        lock: digests by ``repository:tag``.

    """
    prefix = policy.prefix.rstrip("/")
    for obj, raw in objects:
        spec = podspec.pod_spec(obj)
        if spec is None:
            continue
        for _, container in podspec.containers(spec):
            image = container.get("image")
            if not isinstance(image, str):
                continue
            if raw and "@" not in image and (digest := lock.images.get(image)):
                image = f"{image}@{digest}"
            if prefix and not image.startswith(f"{prefix}/"):
                image = f"{prefix}/{image}"
            container["image"] = image
        if policy.pull_secrets:
            present = maps(spec.get("imagePullSecrets"))
            known = {item.get("name") for item in present}
            added = [{"name": name} for name in policy.pull_secrets if name not in known]
            spec["imagePullSecrets"] = [*present, *added]
