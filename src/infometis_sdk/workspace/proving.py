"""Bring the two sides of a proof: what was deployed there, and what their clusters show."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.errors import (
    ClusterError,
    PlatformError,
    ProofError,
    RefusedError,
    StoreError,
    TamperedError,
)
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.stack import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.engine.equivalence import Subject
    from infometis_sdk.model.equivalence import EquivalenceReport
    from infometis_sdk.model.release import Release, ReleaseList
    from infometis_sdk.model.stack import ComposedStack
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("prove",)

_MINUTES = 120.0


def prove(
    workspace: Workspace, a: str, b: str, *, live: bool, strict: bool, run: Run | None = None
) -> EquivalenceReport:
    """Prove two environments, or Releases of theirs, equivalent; see :meth:`.Workspace.prove`."""
    from infometis_sdk.engine.equivalence import prove_equivalent

    begun = time.monotonic()
    run = run or Run.within(_MINUTES)
    left, right = (_subject(workspace, name, run, live=live) for name in (a, b))
    report = prove_equivalent(left, right, strict=strict)
    return attrs.evolve(report, seconds=time.monotonic() - begun)


def _subject(workspace: Workspace, name: str, run: Run, *, live: bool) -> Subject:
    from infometis_sdk.engine.equivalence import subject

    environment, at, number = name.partition("@")
    stack = workspace[environment]
    if at:
        with _looking_at(name):
            return subject(_release(stack, number, run), name=name, basis=f"release {number}")
    if not live:
        return subject(stack.compose())
    run.emit(Event(name="look", subject=environment, state="started"))
    with _looking_at(environment):
        composed, basis, notes = _deployed(stack, run)
        found = subject(composed, basis=basis)
        evidence = stack.evidence(found.manifests, run=run)
    run.emit(Event(name="look", subject=environment, state="finished"))
    evidence = attrs.evolve(evidence, notes=(*evidence.notes, *notes))
    return attrs.evolve(found, evidence=evidence)


@contextmanager
def _looking_at(side: str) -> Iterator[None]:
    """Say which side it was that could not be looked at."""
    try:
        yield
    except (ClusterError, PlatformError, StoreError) as error:
        msg = f"{side} cannot be looked at: {error.message}"
        raise ProofError(msg, side=side, hint=error.hint) from error


def _deployed(stack: Stack, run: Run) -> tuple[ComposedStack, str, tuple[str, ...]]:
    """Return what was deployed there: by its Release where it keeps one, else by the project."""
    known = stack.releases(run=run)
    now = stack.compose()
    release = known.live
    notes = [*known.problems, *_unfinished(known)]
    if release is None and known.problems:
        # Who changed the record of what runs must not have it replaced by what the project says.
        raise StoreError(known.problems[0], hint="restore it, or deploy the environment anew")
    if release is None:
        return now, "project", (*notes, "no release tells what was deployed; the project stands in")
    if _same(release, stack, now):
        return now, f"release {release.number}", tuple(notes)
    try:
        return _composed(stack, release, run), f"release {release.number}", tuple(notes)
    except TamperedError:
        raise
    except (StoreError, RefusedError) as error:
        return now, "project", (*notes, f"{error.message}; the project stands in")


def _unfinished(known: ReleaseList) -> Iterator[str]:
    newest = known.items[-1] if known.items else None
    if newest is not None and newest.status not in ("deployed", "superseded"):
        yield f"release {newest.number} is {newest.status}"


def _same(release: Release, stack: Stack, now: ComposedStack) -> bool:
    """Whether the project is what was deployed, so that its Bundle need not be fetched."""
    from infometis_sdk.engine.core.digest import stack_digest
    from infometis_sdk.engine.core.recorded import definition_of
    from infometis_sdk.engine.inputs.values import plain

    values = {composed.name: plain(composed.values) for composed in now.services}
    told = {name: plain(record.values) for name, record in release.services.items()}
    defined = definition_of(stack.environment, stack.chosen.name)
    return (
        not release.mixed
        and values == told
        and release.bundle == stack_digest(now).digest
        and (release.namespace, release.stack_id) == (now.namespace, now.stack_id)
        and {key: release.definition.get(key) for key in _RENDERED}
        == {key: defined.get(key) for key in _RENDERED}
    )


_RENDERED = ("border", "external", "mode", "patches", "policies")
"""Of an environment's definition, what its render depends on."""


def _release(stack: Stack, number: str, run: Run) -> ComposedStack:
    from infometis_sdk.workspace.releases import find

    if not number.isdecimal():
        msg = f"{number!r} is not the number of a release"
        raise StoreError(msg, hint=f"write {stack.name}@3; see `infometis releases`")
    return _composed(stack, find(stack.releases(run=run), int(number)), run)


def _composed(stack: Stack, release: Release, run: Run) -> ComposedStack:
    """Compose a Release, each value with the layer, file and line that set it then."""
    made = stack.at_release(release.number, run=run).compose()
    services = []
    for composed in made.services:
        origins = release.services[composed.name].origins
        history = {
            path: (*settings[:-1], Setting(value=settings[-1].value, origin=origins[path]))
            if path in origins and settings
            else settings
            for path, settings in composed.history.items()
        }
        services.append(attrs.evolve(composed, history=history))
    return attrs.evolve(made, services=tuple(services))
