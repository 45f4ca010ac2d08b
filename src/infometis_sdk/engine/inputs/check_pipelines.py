"""Check the pipelines of a project: names, times, and what cannot be meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.pipeline import ALLOWANCES, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infometis_sdk.model.pipeline import Gates, PipelineStep
    from infometis_sdk.model.project import Project

__all__ = ("FUNCTION", "pipeline_faults")

FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""``module:function``."""

_FEWEST = 2


def pipeline_faults(project: Project) -> Iterator[Fault]:
    """Yield every fault of the pipelines of a project."""
    for name, pipeline in project.pipelines.items():
        path = f"pipelines.{name}"
        if len(pipeline.steps) < _FEWEST:
            yield _fault(
                project,
                f"{path}.steps",
                f"pipeline {name!r} leads nowhere",
                legal="two steps at least",
            )
        seen: set[str] = set()
        for number, step in enumerate(pipeline.steps):
            place = f"{path}.steps[{number}]"
            if step.environment in seen:
                what = f"{step.environment!r} is in pipeline {name!r} already"
                yield _fault(project, f"{place}.environment", what)
            seen.add(step.environment)
            yield from _step_faults(project, step, place)


def _step_faults(project: Project, step: PipelineStep, place: str) -> Iterator[Fault]:
    # Where no environment could be read, nobody who names one is blamed.
    if project.environments and step.environment not in project.environments:
        yield _fault(
            project,
            f"{place}.environment",
            f"there is no environment {step.environment!r}",
            legal=", ".join(project.environments),
            near=nearest(step.environment, project.environments),
        )
    for number, word in enumerate(step.allow):
        if word not in ALLOWANCES:
            yield _fault(
                project,
                f"{place}.allow[{number}]",
                f"nothing called {word!r} can be allowed",
                legal=", ".join(ALLOWANCES),
                near=nearest(word, ALLOWANCES),
            )
    yield from _function_faults(project, step.checks, f"{place}.checks")
    yield from _gate_faults(project, step.gates, f"{place}.gates")


def _verdict_faults(project: Project, verdict: str, place: str) -> Iterator[Fault]:
    from infometis_sdk.model.equivalence import VERDICTS

    enough = VERDICTS[:-1]
    if verdict not in enough:
        what = f"no verdict of a proof that could be enough: {verdict!r}"
        yield _fault(project, place, what, legal=", ".join(enough))


def _gate_faults(project: Project, gates: Gates, place: str) -> Iterator[Fault]:
    for key in ("soak", "backup"):
        try:
            seconds_of(getattr(gates, key))
        except ValueError as error:
            yield _fault(project, f"{place}.{key}", str(error))
    if gates.equivalence != "":
        yield from _verdict_faults(project, gates.equivalence, f"{place}.equivalence")
    if gates.approvals < 0:
        yield _fault(project, f"{place}.approvals", f"{gates.approvals} people cannot approve")
    if gates.approvals > 0 and not gates.signers:
        what = "approvals need a file of allowed signers"
        yield _fault(project, f"{place}.signers", what, legal="a path relative to the project")
    if gates.timeout < 1:
        what = f"a function cannot answer in {gates.timeout} seconds"
        yield _fault(project, f"{place}.timeout", what, legal="1 or more")
    yield from _function_faults(project, gates.functions, f"{place}.functions")


def _function_faults(project: Project, names: Iterable[str], place: str) -> Iterator[Fault]:
    for number, name in enumerate(names):
        if not FUNCTION.fullmatch(name):
            what = f"{name!r} names no function"
            yield _fault(project, f"{place}[{number}]", what, legal="module:function")


def _fault(project: Project, path: str, message: str, *, legal: str = "", near: str = "") -> Fault:
    found: Origin | None = None
    at = path
    while at and found is None:
        found = project.sources.get(at)
        at = at.rpartition(".")[0]
    return Fault(
        message=message,
        origin=found or Origin(layer="project"),
        path=path,
        legal=legal,
        nearest=near,
    )
