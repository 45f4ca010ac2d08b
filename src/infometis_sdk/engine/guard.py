"""Watch what a stack owns, and bring back what drifts from its latest deployed Release.

Only events change what is looked at: while nothing happens, nothing is asked but the renewal of
the leader's Lease and, every few minutes, of the watches.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from attrs import frozen

from infometis_sdk.engine.guarding.conditions import Conditions
from infometis_sdk.engine.guarding.patrol import STEP, Healer, Patrol, Post
from infometis_sdk.engine.guarding.sentries import Sentries
from infometis_sdk.engine.guarding.wanted import Wanted
from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.plan import learn
from infometis_sdk.engine.reading.standing import Standing, read_standing
from infometis_sdk.engine.writing.lease import TERM, Writer
from infometis_sdk.errors import CancelledError, DeadlineError, InfometisError, LockedError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.guard import GuardNote, GuardState
from infometis_sdk.model.run import CancelToken, Event, Run
from infometis_sdk.model.stack import ManifestSet
from infometis_sdk.ports.cluster import Cluster

__all__ = ("Guard", "Orders", "guard_lease")

_PAUSES = (2.0, 5.0, 15.0, 60.0)
"""Seconds before a guard that could not begin tries again."""

_LEADING = GuardNote(name="leading", condition="open")

_POLL = 5.0
"""Seconds between two looks of a guard that stands by at the leader's Lease."""


def guard_lease(stack_id: str) -> str:
    """Return the name of the Lease of the guard that acts; not the writer's."""
    return f"{parent_name(stack_id)}-guard"


@frozen(kw_only=True)
class Orders:
    """What a guard needs.

    Attributes:
        cluster: the API.
        stack_id: which stack.
        namespace: its home.
        desired: returns what the latest deployed Release wants, read anew for each Release.
        heal: carries out a plan, with the audit and the values of Secrets.
        say: takes each note, on the thread that runs the guard.
        term: seconds after which the Lease of a leader that is gone is free.

    """

    cluster: Cluster
    stack_id: str
    namespace: str
    desired: Callable[[Standing, Run], ManifestSet]
    heal: Healer
    say: Callable[[GuardNote], None]
    term: float = TERM


class Guard:
    """Looks after one stack until it is cancelled; one of several leads, the others stand by.

    Example:
        .. code-block:: python

            guard = Guard(orders)
            guard.run(Run(cancel=token))

    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._patrol: Patrol | None = None
        self._conditions = Conditions()
        self._state = GuardState(idle="not begun")

    @property
    def state(self) -> GuardState:
        """How it is now; may be asked from any thread."""
        patrol = self._patrol
        if patrol is None:
            return self._state
        return attrs.evolve(patrol.state, idle=self._state.idle)

    def run(self, run: Run) -> None:
        """Guard until the run is cancelled or its time is used up.

        An API server that is away, or that refuses us, is waited for, and that is said.
        """
        failures = 0
        while not _over(run):
            token = CancelToken()
            mine = attrs.evolve(run, cancel=token)
            try:
                with run.cancel.waking(token.cancel), self._lease(mine) as lease:
                    failures = 0
                    self._say(_LEADING)
                    try:
                        self._lead(lease, token, mine)
                    finally:
                        self._patrol = None
                        self._state = GuardState(idle="not leading")
                        # Whoever leads next finds again what still is so.
                        self._conditions.doubt()
                        self._settle()
            except (CancelledError, DeadlineError):
                continue
            except InfometisError as error:
                self._idle(error.message)
                run.rest(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1

    def _lease(self, run: Run) -> Writer:
        orders = self._orders
        self._state = GuardState(idle="another guard leads")
        return Writer(
            orders.cluster,
            orders.stack_id,
            orders.namespace,
            attrs.evolve(run, emit=self._waits),
            name=guard_lease(orders.stack_id),
            patience=float("inf"),
            poll=_POLL,
            term=orders.term,
            lost=run.cancel.cancel,
        )

    def _waits(self, event: Event) -> None:
        if event.name == "lock":
            self._say(GuardNote(name="standing by", detail=event.detail))

    def _lead(self, lease: Writer, token: CancelToken, run: Run) -> None:
        failures = 0
        while not _over(run):
            try:
                self._round(lease, token, run)
                failures = 0
            except (CancelledError, DeadlineError, LockedError):
                return
            except InfometisError as error:
                self._patrol = None
                self._idle(error.message)
                run.rest(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1

    def _round(self, lease: Writer, token: CancelToken, run: Run) -> None:
        """Look after one Release, or wait for one that may be looked after."""
        orders = self._orders
        step = Run.within(STEP, cancel=token)
        standing = read_standing(orders.cluster, orders.stack_id, orders.namespace, step)
        if standing.idle:
            manifests = ManifestSet(
                stack_id=orders.stack_id,
                environment=Environment("idle"),
                namespace=orders.namespace,
                manifests=(),
            )
        else:
            manifests = orders.desired(standing, step)
        learn(orders.cluster, manifests)
        wanted = Wanted(manifests)
        del manifests
        self._patrol = Patrol(
            Post(
                cluster=orders.cluster,
                wanted=wanted,
                standing=standing,
                heal=orders.heal,
                say=self._say,
                leading=lambda: lease.held,
            )
        )
        self._conditions.doubt()
        self._say(_LEADING)  # which is in no doubt
        self._idle(standing.idle, expected=standing.expected)
        with Sentries(orders.cluster, run) as sentries, token.waking(sentries.wake):
            self._patrol.run(sentries, run)

    def _idle(self, why: str, *, expected: bool = False) -> None:
        """Say once why nothing is healed, and once that it is over."""
        self._state = GuardState(leading=True, idle=why)
        condition = "open" if why else "closed"
        level = "warning" if why and not expected else "info"
        self._say(GuardNote(name="idle", level=level, condition=condition, detail=why))

    def _say(self, note: GuardNote) -> None:
        for each in self._conditions.heard(note):
            self._orders.say(each)
        if note.name == "synced" and not self._state.idle:
            self._settle()

    def _settle(self) -> None:
        for each in self._conditions.settle():
            self._orders.say(each)


def _over(run: Run) -> bool:
    return run.cancel.cancelled or run.remaining() <= 0
