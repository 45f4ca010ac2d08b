"""What pods run, as their nodes tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.unit.engine.bundles import rendered

from infometis_sdk.engine.proving.images import compared, running_images
from infometis_sdk.model import ManifestSet, Service

if TYPE_CHECKING:
    from infometis_sdk.model.equivalence import RunningImage

GOOD, EVIL = ("sha256:" + digit * 64 for digit in "1e")


def stack(image: str) -> ManifestSet:
    """Render a Deployment of one container."""
    return rendered(Service.web("web", image=image, port=80))


def pod(image_id: str, image: str = "", **spec: Any) -> dict[str, Any]:
    """Return a pod of that Deployment."""
    return {
        "metadata": {
            "name": "web-1",
            "namespace": "demo-dev",
            "labels": {"app.kubernetes.io/name": "web", "pod-template-hash": "x"},
        },
        "spec": {"containers": [{"name": "main", "image": image or f"demo/web@{GOOD}"}], **spec},
        "status": {"containerStatuses": [{"name": "main", "imageID": image_id}]},
    }


def look(image: str, *pods: dict[str, Any], side: str = "dev") -> list[RunningImage]:
    """Return what is told of these pods."""
    return list(running_images(stack(image), pods, side, simulated=False))


PINNED = f"demo/web@{GOOD}"


@pytest.mark.parametrize(
    ("image_id", "verdict"),
    [
        (f"docker.io/demo/web@{GOOD}", "equal"),
        (f"docker-pullable://demo/web@{GOOD}", "equal"),
        (f"docker.io/demo/web@{EVIL}", "differs"),
        (GOOD, "unknown"),
        ("", "unknown"),
    ],
)
def test_a_pinned_image_is_held_against_what_runs(image_id: str, verdict: str) -> None:
    """Only the registry's digest proves; a node's own id of an image proves nothing."""
    (found,) = look(PINNED, pod(image_id))
    assert (found.verdict, found.container) == (verdict, "Deployment/web/main")


def test_one_wrong_pod_is_enough() -> None:
    """All pods of a workload are looked at, such as the old ones of a rollout under way."""
    (found,) = look(PINNED, pod(f"web@{GOOD}"), pod(f"web@{EVIL}"))
    assert found.verdict == "differs"
    assert EVIL in found.detail


def test_pods_of_others_do_not_count() -> None:
    """Another namespace, another label, and pods that are going: none of them is ours to judge."""
    other, stranger, going = (pod(f"web@{EVIL}") for _ in range(3))
    other["metadata"]["namespace"] = "elsewhere"
    stranger["metadata"]["labels"] = {"app.kubernetes.io/name": "other"}
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    (found,) = look(PINNED, other, stranger, going, pod(f"web@{GOOD}"))
    assert found.verdict == "equal"
    assert look(PINNED, other) == []


def test_a_container_that_was_not_rendered_is_foreign() -> None:
    """A sidecar that a webhook put in, or a debugger, is named."""
    extra = [{"name": "debug", "image": "busybox"}]
    found = look(PINNED, pod(f"web@{GOOD}", ephemeralContainers=extra))
    assert [(f.container, f.verdict) for f in found] == [
        ("Deployment/web/main", "equal"),
        ("Deployment/web/debug", "foreign"),
    ]


def test_without_a_digest_the_sides_are_held_against_each_other() -> None:
    """Equal tags may be other images: that shows, although nothing was pinned."""
    ids = [f"demo/web@{digest}" for digest in (GOOD, EVIL)]
    left = look("demo/web:1", pod(ids[0], image="demo/web:1"))
    same = look("demo/web:1", pod(ids[0], image="demo/web:1"), side="uat")
    other = look("demo/web:1", pod(ids[1], image="demo/web:1"), side="uat")
    assert [f.verdict for f in compared(left, same)] == ["unknown", "unknown"]
    assert [f.verdict for f in compared(left, other)] == ["unknown", "differs"]


def test_a_pod_that_names_another_tag_differs() -> None:
    """Without a digest the name is what there is to compare."""
    (found,) = look("demo/web:1", pod("", image="evil/web:1"))
    assert found.verdict == "differs"


def test_simulated_containers_prove_nothing() -> None:
    """What a simulated pod says of itself is never compared."""
    (found,) = running_images(stack(PINNED), [pod(f"web@{EVIL}")], "dev", simulated=True)
    assert found.verdict == "simulated"


def test_jobs_are_left_out() -> None:
    """The pods of a Job tell what was, not what is."""
    made = stack(PINNED)
    (manifest,) = [m for m in made.manifests if m.ref.kind == "Deployment"]
    job = attrs.evolve(manifest, object={**manifest.object, "kind": "Job"})
    assert not list(
        running_images(
            attrs.evolve(made, manifests=(job,)), [pod(f"web@{EVIL}")], "dev", simulated=False
        )
    )
