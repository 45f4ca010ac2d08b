"""One guard's round for one Release: signs in, looks, corrections and notes out."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from infometis_sdk.engine.drift import differences
from infometis_sdk.engine.guarding.calendar import Calendar
from infometis_sdk.engine.guarding.ledger import ABSENT, Key, Ledger
from infometis_sdk.engine.guarding.permission import correctable
from infometis_sdk.engine.guarding.rollouts import Rollouts
from infometis_sdk.engine.guarding.wanted import Source, Wanted
from infometis_sdk.engine.heal import YIELDED, Scope, plan_heal
from infometis_sdk.engine.objects.fieldset import proven
from infometis_sdk.engine.objects.fingerprint import fingerprint
from infometis_sdk.engine.objects.marks import ROLE, STACK, manager_of
from infometis_sdk.engine.planning.autoscaling import autoscaled_keys
from infometis_sdk.engine.planning.conflicts import additions
from infometis_sdk.engine.readiness.diagnose import WORKLOADS
from infometis_sdk.engine.readiness.rules import readiness
from infometis_sdk.engine.readiness.survey import Surveyor, Target
from infometis_sdk.engine.readiness.verdict import Context
from infometis_sdk.engine.reading.named import observe_named
from infometis_sdk.engine.reading.standing import Standing, read_standing
from infometis_sdk.engine.writing.release import latest
from infometis_sdk.errors import (
    CancelledError,
    ClusterError,
    DeadlineError,
    ForbiddenError,
    InfometisError,
    LockedError,
    StalePlanError,
)
from infometis_sdk.model.guard import GuardNote, GuardState
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infometis_sdk.engine.guarding.sentries import Sentries, Sign
    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.report import ApplyReport, DriftItem
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("Healer", "Patrol", "Post", "home_source", "sources_of")

Healer = Callable[["Plan", "ManifestSet", int, Run], "ApplyReport"]

BATCH = 200
"""Objects that are looked at, or corrected, at once."""

BUSY = 5.0
"""Seconds to wait for another writer, and between two tries while the API server is away."""

STEP = 120.0
"""Seconds that one look, correction or diagnosis may take."""

_RECORDS = ("inventory", "release", "release-part")


@frozen(kw_only=True)
class Post:
    """Where a patrol is posted.

    Attributes:
        cluster: the API.
        wanted: what is desired.
        standing: what is healed to.
        heal: carries out a plan, with the audit and the values of Secrets.
        say: takes each note.
        leading: whether this guard is the one that acts, asked before each correction.

    """

    cluster: Cluster
    wanted: Wanted
    standing: Standing
    heal: Healer
    say: Callable[[GuardNote], None]
    leading: Callable[[], bool]


def home_source(stack_id: str, namespace: str) -> Source:
    """Return the watch that tells of Releases and of the inventory."""
    return Source(
        api_version="v1", kind="ConfigMap", namespace=namespace, labels=f"{STACK}={stack_id}"
    )


def sources_of(wanted: Wanted) -> frozenset[Source]:
    """Return everything that is watched: the objects, the Releases and the credentials."""
    stack = wanted.stack
    home = home_source(stack.stack_id, stack.namespace)
    secrets = {attrs.evolve(home, kind="Secret")} if stack.credentials else set()
    return wanted.sources | {home} | secrets


class Patrol:
    """Looks after the objects of one Release until another one comes.

    Args:
        post: what it works with.

    """

    def __init__(self, post: Post) -> None:
        self._post = post
        stack = post.wanted.stack
        policy = stack.environment.policies.drift
        self._policy = policy
        self._manager = manager_of(stack.stack_id)
        self._home = home_source(stack.stack_id, stack.namespace)
        self.sources = sources_of(post.wanted)
        self._ledger = Ledger(post.wanted.keys, lambda item: correctable(item, policy))
        self._rollouts = Rollouts()
        self._calendar = Calendar()
        self._suspects: dict[Key, float] = {}
        self._unseen: dict[Source, set[Key]] = {}
        self._synced: set[Source] = set()
        self._lost: dict[Source, str] = {}
        self._records_moved = self._over = self._held_up = False
        self._not_before = 0.0
        self._all_told = False

    def run(self, sentries: Sentries, run: Run) -> None:
        """Go round until the Release is another one, or the run is cancelled."""
        sentries.post(self.sources)
        while not self._over:
            for sign in sentries.signs(min(self._pause(), run.remaining())):
                self._take(sign)
            if run.cancel.cancelled or run.remaining() <= 0:
                return
            self._act(run)
            self._tell(self._calendar.notes(dt.datetime.now(dt.UTC)))

    @property
    def state(self) -> GuardState:
        """How it is now."""
        items = self._ledger.open()
        return GuardState(
            leading=True,
            release=self._post.standing.number,
            objects=len(self._ledger),
            synced=self._synced >= self.sources,
            contended=self._ledger.contended,
            stuck=self._rollouts.stuck,
            lost=len(self._lost),
            drift=sum(i.state == "drift" for i in items),
            foreign=sum(i.state == "foreign" for i in items),
            pending=sum(i.state == "pending" for i in items),
        )

    # --- signs ------------------------------------------------------------------------------

    def _pause(self) -> float:
        """Return how long nothing but signs can bring work."""
        now = time.monotonic()
        dues = [self._ledger.wake, self._rollouts.wake]
        if self._suspects or self._must_read:
            dues.append(now)
        soonest = max(min(dues), self._not_before) - now
        return min(soonest, self._calendar.pause(dt.datetime.now(dt.UTC)))

    def _take(self, sign: Sign) -> None:
        source = sign.source
        if source is None:
            return
        if sign.type in ("BEGIN", "RELIST"):
            self._unseen[source] = self._post.wanted.of(source)
        elif sign.type == "SYNCED":
            # Nothing is called missing before a GET by name.
            for key in self._unseen.pop(source, ()):
                self._suspect(key, sign.when)
            self._synced.add(source)
            if self._lost.pop(source, ""):
                self._tell([_lost(source, "", condition="closed")])
            if not self._all_told and self._synced >= self.sources:
                self._all_told = True
                text = f"{len(self._ledger)} objects of release {self._post.standing.number}"
                self._tell([GuardNote(name="synced", detail=text)])
        elif sign.type == "LOST":
            text = sign.error.message if sign.error else ""
            if self._lost.get(source) != text:
                self._lost[source] = text
                self._tell([_lost(source, text, condition="open")])
        else:
            self._object(source, sign)

    def _object(self, source: Source, sign: Sign) -> None:
        obj = sign.object
        ref = ObjectRef.of(obj)
        key = ref.key
        if source in self._unseen:
            self._unseen[source].discard(key)
        role = (obj["metadata"].get("labels") or {}).get(ROLE)
        if role in _RECORDS:
            self._records_moved = True
            return
        gone = sign.type == "DELETED"
        if ref.kind == "Secret":
            self._secret(obj, key, gone=gone)
        if key not in self._ledger:
            return
        now = time.monotonic()
        if ref.kind in WORKLOADS:
            verdict = readiness(None if gone else obj, context=Context(desired=obj))
            self._tell(self._rollouts.seen(key, ref, verdict, now))
        seen = ABSENT if gone else fingerprint(obj)
        if not self._ledger.moved(key, seen):
            return
        if not gone and self._proven(key, obj):
            self._tell(self._ledger.judged(key, ref, (), seen, now))
            self._suspects.pop(key, None)
        else:
            self._suspect(key, sign.when)

    def _secret(self, obj: Mapping[str, Any], key: Key, *, gone: bool) -> None:
        self._tell(self._calendar.seen(obj, gone=gone))
        if key not in self._ledger and self._all_told:
            for reader in self._post.wanted.readers(obj["metadata"]["name"]):
                self._ledger.forget(reader)
                self._suspect(reader, time.monotonic())

    def _proven(self, key: Key, have: Mapping[str, Any]) -> bool:
        """Whether all is well, without a request; what reads credentials is looked at instead."""
        manifest = self._post.wanted.manifest(key)
        return (
            not manifest.reads
            and proven(manifest.object, have, self._manager)
            and not any(additions(manifest.object, have, self._manager, self._policy))
        )

    def _suspect(self, key: Key, when: float) -> None:
        self._suspects.setdefault(key, when)

    @property
    def _must_read(self) -> bool:
        """Whether records of Releases were seen that are to be read, once they all were told."""
        return self._records_moved and self._home not in self._unseen

    # --- work -------------------------------------------------------------------------------

    def _act(self, run: Run) -> None:
        """Look, correct and diagnose; while the API server is away, only wait."""
        if time.monotonic() < self._not_before:
            return
        step = Run.within(STEP, cancel=run.cancel)
        try:
            if self._must_read:
                self._over = self._elsewhere(step)
                self._records_moved = False
                if self._over:
                    return
            self._look(step)
            self._correct(step)
            self._diagnose(step)
        except CancelledError:
            return
        except InfometisError as error:
            # What was to be done is still to be done.
            self._not_before = time.monotonic() + BUSY
            self._held_up = True
            self._tell([_held_up("open", error.message)])
        else:
            if self._held_up:
                self._held_up = False
                self._tell([_held_up("closed")])

    def _look(self, run: Run) -> None:
        while self._suspects:
            keys = list(self._suspects)[:BATCH]
            try:
                self._look_at(keys, run)
            except ForbiddenError:
                # One of them may not be read: find out which.
                for key in keys:
                    try:
                        self._look_at([key], run)
                    except ForbiddenError as error:
                        self._suspects.pop(key)
                        ref = self._post.wanted.ref(key)
                        self._tell(self._ledger.left(key, ref, error.message))

    def _look_at(self, keys: list[Key], run: Run) -> None:
        live, scaled = self._observe(keys, run)
        found: dict[Key, list[DriftItem]] = {key: [] for key in keys}
        for item in differences(
            self._post.cluster,
            self._post.wanted.only(keys),
            live,
            run,
            scaled=scaled,
            deployed=latest(self._post.standing.releases),
        ):
            found[item.ref.key].append(item)
        now = time.monotonic()
        for key, items in found.items():
            have = live.objects.get(key)
            seen = fingerprint(have) if have is not None else ABSENT
            since = self._suspects.pop(key, now)
            ref = self._post.wanted.ref(key)
            self._tell(self._ledger.judged(key, ref, items, seen, now, since=since))

    def _observe(self, keys: Iterable[Key], run: Run) -> tuple[Live, set[Key]]:
        live = observe_named(self._post.cluster, self._post.wanted.only(keys), run)
        return live, autoscaled_keys(self._post.cluster, self._post.wanted.stack, live, run)

    def _correct(self, run: Run) -> None:
        keys = list(self._ledger.due(time.monotonic()))[:BATCH]
        if not keys:
            return
        if not self._post.leading():
            # The Lease was not renewed in time; another guard may be about to take it.
            self._ledger.delayed(keys, time.monotonic() + BUSY)
            return
        subset = self._post.wanted.only(keys)
        live, scaled = self._observe(keys, run)
        spared = {key: self._ledger.spared(key) for key in keys}
        scope = Scope(scaled=scaled, spared=spared)
        healing = plan_heal(self._post.cluster, subset, live, run, scope=scope)
        for key, why in healing.left.items():
            ref = self._post.wanted.ref(key)
            if why == YIELDED:
                self._tell(self._ledger.left(key, ref, why))
            else:
                self._tell(self._ledger.failed(key, ref, why, time.monotonic()))
        planned = {item.ref.key for item in healing.plan.items}
        self._again([key for key in keys if key not in planned and key not in healing.left])
        if healing.plan.items:
            self._carry_out(healing.plan, subset, run)

    def _again(self, keys: Iterable[Key]) -> None:
        """Look once more at objects that moved since they were looked at."""
        now = time.monotonic()
        for key in keys:
            self._ledger.delayed([key], now + 1.0)
            self._ledger.forget(key)
            self._suspect(key, now)

    def _carry_out(self, plan: Plan, subset: ManifestSet, run: Run) -> None:
        keys = [item.ref.key for item in plan.items]
        number = self._post.standing.number
        try:
            report = self._post.heal(plan, subset, number, run)
        except LockedError:
            self._ledger.delayed(keys, time.monotonic() + BUSY)
            return
        except StalePlanError:
            # Somebody was faster: look again, and whether the Release is still the same.
            self._records_moved = True
            self._again(keys)
            return
        except (CancelledError, DeadlineError):
            raise
        except InfometisError as error:
            if isinstance(error, ClusterError) and not isinstance(error, ForbiddenError):
                raise
            # Rights are missing, the audit cannot be written, a plugin objects: nothing was done.
            for key in keys:
                ref = self._post.wanted.ref(key)
                self._tell(self._ledger.failed(key, ref, error.message, time.monotonic()))
            return
        now = time.monotonic()
        for outcome in report.outcomes:
            key = outcome.ref.key
            if outcome.result == "applied":
                self._tell(self._ledger.corrected(key, outcome.ref, now))
            else:
                self._tell(self._ledger.failed(key, outcome.ref, outcome.detail, now))

    def _diagnose(self, run: Run) -> None:
        keys = self._rollouts.due(time.monotonic())
        if not keys:
            return
        surveyor = Surveyor(cluster=self._post.cluster, stack_id=self._post.wanted.stack.stack_id)
        aims = []
        for key in keys:
            manifest = self._post.wanted.manifest(key)
            aims.append(Target(ref=manifest.ref, service=manifest.service, desired=manifest.object))
        seen = surveyor.survey(aims, run, explain=True)
        now = time.monotonic()
        for aim in aims:
            found = seen[aim.ref.key].diagnosis
            self._tell(self._rollouts.diagnosed(aim.ref.key, aim.ref, found, now))

    def _elsewhere(self, run: Run) -> bool:
        """Whether the stack stands elsewhere than when this patrol began."""
        stack, mine = self._post.wanted.stack, self._post.standing
        now = read_standing(self._post.cluster, stack.stack_id, stack.namespace, run)
        return (now.number, now.idle) != (mine.number, mine.idle)

    def _tell(self, notes: Iterable[GuardNote]) -> None:
        for note in notes:
            self._post.say(note)


def _held_up(condition: str, why: str = "") -> GuardNote:
    level = "warning" if condition == "open" else "info"
    return GuardNote(name="held up", level=level, condition=condition, detail=why)


def _lost(source: Source, why: str, *, condition: str) -> GuardNote:
    return GuardNote(
        name="watch lost",
        level="warning" if condition == "open" else "info",
        condition=condition,
        subject=source.kind,
        namespace=source.namespace,
        detail=why,
    )
