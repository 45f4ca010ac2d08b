"""What one apply, or one teardown, carries from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from infometis_sdk.engine.objects.marks import manager_of
from infometis_sdk.engine.writing.credentials import Resolver
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.plan import Plan, PlanItem
from infometis_sdk.model.release import Release
from infometis_sdk.model.report import Outcome
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.stack import BoundCredential
from infometis_sdk.ports.cluster import Cluster
from infometis_sdk.ports.release_store import ReleaseStore

__all__ = ("REMOVING", "Job", "Materials", "Progress", "skipped")

REMOVING = frozenset({"delete", "release"})
"""Actions that take away; they come last, in the reverse order of kinds."""


@frozen(kw_only=True)
class Materials:
    """What a plan refers to and must not hold.

    Attributes:
        credentials: the stack's credentials.
        resolve: turns a secret reference into its value.
        secrets: Secrets among the manifests, by :attr:`ObjectRef.key`;
            a plan holds only their hashes.
        record: what the Release will say beside what the plan says.
        bundle: what is deployed, for the store; ``None`` where it may not be kept.
        kept: how many Releases the cluster keeps.
        copies: stores besides the cluster that get every Release; they keep all.

    """

    credentials: tuple[BoundCredential, ...] = field(
        default=(), converter=tuple[BoundCredential, ...]
    )
    resolve: Resolver
    secrets: Mapping[tuple[str, str, str, str], Mapping[str, Any]] = field(factory=dict)
    record: Release = field(factory=lambda: Release(number=0, status="pending"))
    bundle: Bundle | None = None
    kept: int = 10
    copies: tuple[ReleaseStore, ...] = field(default=(), converter=tuple[ReleaseStore, ...])


@define
class Progress:
    """What became of the items so far.

    Attributes:
        outcomes: of every item, in the order in which they ended.
        warnings: what went wrong without harm.
        release: the Release that was opened.
        earlier: the Releases that were there before.
        hashes: name of each credential's Secret to the keyed hash of its data.

    """

    outcomes: list[Outcome] = field(factory=list)
    warnings: list[str] = field(factory=list)
    release: Release | None = None
    earlier: tuple[Release, ...] = ()
    hashes: dict[str, str] = field(factory=dict)

    @property
    def ended(self) -> set[tuple[str, str, str, str]]:
        """Keys of the objects that have an outcome already."""
        return {outcome.ref.key for outcome in self.outcomes}

    @property
    def failed_services(self) -> set[str]:
        """Services of which something could not be applied; empty name: the stack as a whole."""
        return {
            o.service for o in self.outcomes if o.result == "failed" and o.action not in REMOVING
        }

    @property
    def failed_removals(self) -> bool:
        """Whether something could not be taken away."""
        return any(o.result == "failed" and o.action in REMOVING for o in self.outcomes)

    @property
    def unfinished(self) -> bool:
        """Whether anything failed, or was skipped since something else failed."""
        return any(o.result in ("failed", "skipped") for o in self.outcomes)


@frozen(kw_only=True)
class Job:
    """A plan being carried out."""

    cluster: Cluster
    plan: Plan
    run: Run
    progress: Progress = field(factory=Progress)

    @property
    def manager(self) -> str:
        """The stack's field manager."""
        return manager_of(self.plan.stack_id)

    def note(self, outcome: Outcome) -> None:
        """Take note of what became of an item, and tell the caller."""
        self.progress.outcomes.append(outcome)
        self.run.emit(
            Event(
                name="delete object" if outcome.action in REMOVING else "apply object",
                subject=str(outcome.ref),
                state=outcome.result if outcome.result in ("failed", "skipped") else "finished",
                detail=outcome.detail,
                done=len(self.progress.outcomes),
                total=len(self.plan.items),
                unit="objects",
            )
        )


def skipped(item: PlanItem, why: str) -> Outcome:
    """Return the outcome of an item that was not tried."""
    return Outcome(
        ref=item.ref, service=item.service, action=item.action, result="skipped", detail=why
    )
