"""Where an environment demands it, every image is named by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.objects import podspec

if TYPE_CHECKING:
    from infometis_sdk.engine.validation.findings import Findings
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("check_images",)


def check_images(manifests: ManifestSet, out: Findings) -> None:
    """Note every container whose image is a tag, which may be another one tomorrow."""
    if manifests.environment.policies.images != "locked":
        return
    for manifest in manifests.manifests:
        for path, container in podspec.containers(podspec.pod_spec(manifest.object) or {}):
            image = container.get("image")
            if isinstance(image, str) and "@sha256:" not in image:
                out.error(
                    manifest,
                    f"{path}.image",
                    "policies.images is 'locked', and this image has no digest",
                    found=image,
                    legal="a digest: run 'infometis lock --images'; an image that a template "
                    "writes out belongs into the descriptor",
                )
