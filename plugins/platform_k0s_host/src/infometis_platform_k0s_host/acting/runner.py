"""Do what a plan says: stage after stage, each on its hosts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_platform_k0s_host.acting.together import HostsError, together
from infometis_sdk.errors import InfometisError
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infometis_platform_k0s_host.acting.lock import Lock
    from infometis_platform_k0s_host.acting.world import World
    from infometis_platform_k0s_host.planning.plan import Action, Plan
    from infometis_sdk.errors import PlatformError
    from infometis_sdk.model.run import Run

__all__ = ("execute",)


def execute(
    plan: Plan,
    world: World,
    lock: Lock,
    act: Callable[[str], Callable[[str, Run], None]],
    run: Run,
) -> dict[str, PlatformError]:
    """Do all stages and return the error of each host that failed.

    A host that failed is left out of later stages; the others go on,
    unless the stage was vital and a controller failed.

    Raises:
        HostsError: a vital stage failed.
        LockedError: another operator took the lock.

    """
    failures: dict[str, PlatformError] = {}
    total, done = len(plan.actions), 0
    for stage in plan.stages:
        lock.check()
        actions = {each.host: each for each in stage.actions if each.host not in failures}
        failures |= together(tuple(actions), _doing(actions, act), run).failures
        done += len(actions)
        run.emit(Event(name="hosts", state="progress", done=done, total=total, unit="steps"))
        vital = [name for name in failures if stage.vital and world.hosts[name].controls]
        if vital:
            raise HostsError(failures, of=len(world.hosts))
    return failures


def _doing(
    actions: Mapping[str, Action], act: Callable[[str], Callable[[str, Run], None]]
) -> Callable[[str, Run], None]:
    """Return what does the action of a host, and tells how it goes."""

    def do(name: str, run: Run) -> None:
        action = actions[name]

        def tell(state: str, detail: str = "") -> None:
            run.emit(Event(name=action.kind, subject=name, state=state, detail=detail))

        tell("started", action.detail)
        try:
            act(action.kind)(name, run)
        except InfometisError as error:
            tell("failed", error.message.splitlines()[0])
            raise
        tell("finished")

    return do
