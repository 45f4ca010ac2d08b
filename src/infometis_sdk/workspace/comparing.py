"""Run checks and probes on two environments fairly, and remember what was measured.

Fair means: the two sides take turns, and which one is first changes every round,
so that what slows the whole machine slows both; the first rounds warm up and do not count.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from infometis_sdk.errors import ClusterError, PlatformError, ProofError
from infometis_sdk.model.comparison import BETTER, ComparisonReport, Measure, Probe
from infometis_sdk.model.run import Event, Run
from infometis_sdk.workspace.calling import call, load
from infometis_sdk.workspace.measurements import Measurements

if TYPE_CHECKING:
    from infometis_sdk.engine.checks import CheckResult
    from infometis_sdk.engine.comparison import Taken
    from infometis_sdk.model.comparison import MeasureResult
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("ROUNDS", "WARM_UP", "compare", "probes_of")

ROUNDS = 10
"""Calls of each probe on each side: fewer give intervals that hardly tell anything."""

WARM_UP = 2
_MINUTES = 30 * 60.0


def compare(
    workspace: Workspace,
    a: str,
    b: str,
    *,
    probes: Sequence[Probe] | None = None,
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    remember: bool = True,
    run: Run | None = None,
) -> ComparisonReport:
    """Compare behaviour and performance of two environments; see :meth:`.Workspace.compare`."""
    from infometis_sdk.engine.comparison import compare_behaviour, compare_measures
    from infometis_sdk.engine.noise import CONFIDENCE

    begun = time.monotonic()
    run = run or Run.within(_MINUTES)
    sides = (workspace[a], workspace[b])
    checked = [_checked(side, run) for side in sides]
    simulated = tuple(side.name for side in sides if side.platform.connect().simulated)
    measures: list[MeasureResult] = []
    for probe in probes_of(workspace) if probes is None else probes:
        left, right = _interleaved(probe, sides, simulated, run, rounds=rounds, warm_up=warm_up)
        units = {name: m.unit for one in right.rounds for name, m in one.items()}
        history = Measurements(workspace.state_dir, sides[1].stack_id)
        earlier = history.medians(probe.name, units)
        measures += compare_measures(probe, left, right, earlier, CONFIDENCE)
    when = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    if remember:
        for number, side in enumerate(sides):
            _remember(workspace, side, measures, number, when)
    return ComparisonReport(
        a=a,
        b=b,
        behaviour=tuple(compare_behaviour(*checked)),
        measures=tuple(measures),
        simulated=simulated,
        confidence=CONFIDENCE,
        rounds=rounds,
        time=when,
        seconds=time.monotonic() - begun,
        notes=_notes(simulated),
    )


def _notes(simulated: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{name}: containers are simulated, so checks and probes of what they do were not run"
        for name in simulated
    )


def probes_of(workspace: Workspace) -> tuple[Probe, ...]:
    """Return the probes that the project names.

    Raises:
        ProjectError: a name leads to no probe, or two probes have one name.

    """
    from infometis_sdk.errors import ProjectError
    from infometis_sdk.model.fault import Fault, Origin

    project = workspace.project
    found: dict[str, Probe] = {}
    faults = []
    for number, name in enumerate(project.probes):
        path = f"probes[{number}]"
        origin = project.sources.get(path, Origin(file="infometis.yaml"))
        try:
            given = load(name, project.root)
            listed = (given,) if isinstance(given, Probe) else tuple(given)
        except Exception as error:  # noqa: BLE001 - a module of the user's may raise anything
            message = f"{name} cannot be loaded: {type(error).__name__}: {error}"
            faults.append(Fault(message=message, origin=origin, path=path))
            continue
        for probe in listed:
            if not isinstance(probe, Probe):
                message = f"{name} holds no probe but a {type(probe).__name__}"
                faults.append(Fault(message=message, origin=origin, path=path, legal="a Probe"))
            elif probe.name in found:
                message = f"two probes are called {probe.name!r}"
                faults.append(Fault(message=message, origin=origin, path=path))
            else:
                found[probe.name] = probe
    if faults:
        raise ProjectError(faults)
    return tuple(found.values())


def _checked(side: Stack, run: Run) -> tuple[CheckResult, ...]:
    try:
        return side.checks(run=run)
    except (ClusterError, PlatformError) as error:
        msg = f"{side.name} cannot be looked at: {error.message}"
        raise ProofError(msg, side=side.name, hint=error.hint) from error


def _interleaved(
    probe: Probe,
    sides: Sequence[Stack],
    simulated: Sequence[str],
    run: Run,
    *,
    rounds: int,
    warm_up: int,
) -> tuple[Taken, Taken]:
    """Call a probe on both sides in turns."""
    from infometis_sdk.engine.comparison import Taken

    if probe.needs_containers and simulated:
        skipped = Taken(skipped=f"containers of {' and '.join(simulated)} are simulated")
        return skipped, skipped
    taken: list[list[Mapping[str, Measure]]] = [[], []]
    errors = ["", ""]
    run.emit(Event(name="measure", subject=probe.name, state="started"))
    for number in range(warm_up + rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for place in order:
            if errors[place]:
                continue
            measures, errors[place] = _once(probe, sides[place], run)
            if number >= warm_up and not errors[place]:
                taken[place].append(measures)
        if any(errors):
            break
        run.emit(
            Event(
                name="measure",
                subject=probe.name,
                state="progress",
                done=number + 1,
                total=warm_up + rounds,
                unit="rounds",
            )
        )
    run.emit(
        Event(name="measure", subject=probe.name, state="failed" if any(errors) else "finished")
    )
    told = [f"{sides[n].name}: {error}" if error else "" for n, error in enumerate(errors)]
    return Taken(rounds=tuple(taken[0]), error=told[0]), Taken(
        rounds=tuple(taken[1]), error=told[1]
    )


def _once(probe: Probe, side: Stack, run: Run) -> tuple[Mapping[str, Measure], str]:
    """Call a probe once; return its numbers, or what is wrong with its answer."""
    answer, wrong = call(probe.name, lambda: probe.function(side), probe.timeout, run)
    if wrong:
        return {}, wrong
    named = {"": answer} if isinstance(answer, Measure) else answer
    if not isinstance(named, Mapping) or not named:
        return {}, f"it returned no measure but a {type(answer).__name__}"
    for name, measure in named.items():
        if wrong := _nonsense(name, measure):
            return {}, wrong
    return dict(named), ""


def _nonsense(name: object, measure: object) -> str:
    """Say what is wrong with a measure; nothing where it is one."""
    what = f"measure {name!r}" if name else "its measure"
    if not isinstance(name, str) or not isinstance(measure, Measure):
        return f"{what} is no Measure but a {type(measure).__name__}"
    value: Any = measure.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"{what} is no finite number: {value!r}"
    if measure.better not in BETTER:
        return f"{what} is better neither lower nor higher: {measure.better!r}"
    with suppress(TypeError):
        if measure.tolerance >= 0:
            return ""
    return f"{what} has no tolerance of 0 or more: {measure.tolerance!r}"


def _remember(
    workspace: Workspace, side: Stack, measures: Sequence[MeasureResult], number: int, when: str
) -> None:
    lines = []
    for found in measures:
        samples = (found.a, found.b)[number]
        if samples.values and found.verdict not in ("failed", "not applicable"):
            lines.append(
                {
                    "time": when,
                    "environment": side.name,
                    "probe": found.probe,
                    "measure": found.measure,
                    "unit": found.unit,
                    "median": samples.median,
                    "spread": samples.spread,
                    "count": len(samples.values),
                }
            )
    Measurements(workspace.state_dir, side.stack_id).add(lines)
