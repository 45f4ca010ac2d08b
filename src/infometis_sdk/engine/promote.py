"""Pipelines, Releases and earlier promotions -> what may be promoted, and what is left to do."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from infometis_sdk.errors import RefusedError
from infometis_sdk.model.pipeline import PipelineStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.model.pipeline import Pipeline
    from infometis_sdk.model.promotion import PromotionReport
    from infometis_sdk.model.release import Release, ReleaseList
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("choose", "eligible", "render_digest", "resumable")


def choose(
    pipelines: Mapping[str, Pipeline], source: str, target: str, name: str = ""
) -> tuple[str, PipelineStep]:
    """Return the pipeline that leads from one environment right to the other, and its step.

    Where no pipeline is declared, any two environments will do, with the gates' defaults.

    Args:
        pipelines: of the project.
        source: environment whose Release is promoted.
        target: environment that gets it.
        name: of the pipeline; empty where only one leads there.

    Raises:
        RefusedError: none leads there, or several do.

    """
    if source == target:
        msg = f"environment {source} cannot be promoted to itself"
        raise RefusedError(msg)
    if not pipelines:
        return "", PipelineStep(environment=target)
    known = {n: p for n, p in pipelines.items() if name in ("", n)}
    if not known:
        msg = f"there is no pipeline {name!r}"
        raise RefusedError(msg, hint=f"there are: {', '.join(pipelines)}")
    found = {
        n: after
        for n, p in known.items()
        for before, after in zip(p.steps, p.steps[1:], strict=False)
        if (before.environment, after.environment) == (source, target)
    }
    if not found:
        ways = "; ".join(f"{n}: {' -> '.join(p.environments)}" for n, p in known.items())
        msg = f"no pipeline leads from {source} right to {target}"
        raise RefusedError(msg, hint=f"declared are: {ways}")
    if len(found) > 1:
        msg = f"several pipelines lead from {source} to {target}: {', '.join(found)}"
        raise RefusedError(msg, hint="name one with --pipeline")
    return next(iter(found.items()))


def eligible(known: ReleaseList) -> Release:
    """Return the Release that may be promoted: the one that runs, whole, with nothing after it.

    Raises:
        RefusedError: nothing is deployed, or what runs is not known for sure.

    """
    if known.problems:
        msg = f"the releases of {known.stack_id} are not as recorded: " + "; ".join(known.problems)
        raise RefusedError(msg, hint="restore them, then promote again")
    if not known.items:
        msg = f"nothing is deployed in {known.stack_id}: it has no release"
        raise RefusedError(msg, hint="bring the source environment up first")
    newest = known.items[-1]
    if newest.status == "pending":
        msg = f"release {newest.number} of {known.stack_id} is half deployed"
        raise RefusedError(msg, hint="wait for it, or run 'infometis up' on the source again")
    if newest.mixed:
        msg = f"release {newest.number} of {known.stack_id} is mixed: parts of several bundles run"
        raise RefusedError(msg, hint="run 'infometis up' on the source for all its services")
    if newest.status != "deployed":
        msg = f"release {newest.number} of {known.stack_id} is {newest.status}"
        raise RefusedError(msg, hint="run 'infometis up' on the source again")
    if not newest.bundle:
        msg = f"release {newest.number} of {known.stack_id} does not say which bundle it is"
        raise RefusedError(msg, hint="run 'infometis up' on the source with this version")
    return newest


def render_digest(manifests: ManifestSet) -> str:
    """Return a digest of what is rendered; of Secrets only their names count."""
    bare = sorted(
        [*m.ref.key, "" if m.ref.kind == "Secret" else json.dumps(m.object, sort_keys=True)]
        for m in manifests.manifests
    )
    return "sha256:" + hashlib.sha256(json.dumps(bare).encode("utf-8")).hexdigest()


def resumable(last: PromotionReport | None, wanted: PromotionReport) -> bool:
    """Whether an earlier promotion is this one, begun and not ended.

    It must be of the same Release and render to the same objects: otherwise gates that opened for
    it say nothing about this one.
    """
    if last is None or last.state != "running":
        return False
    keys = ("source", "target", "release", "bundle", "render")
    return all(getattr(last, key) == getattr(wanted, key) for key in keys)
