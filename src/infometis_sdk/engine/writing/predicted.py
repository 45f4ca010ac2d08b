"""Ask again what could only be predicted, once the namespaces and kinds that it needs are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.planning.coming import lacking
from infometis_sdk.engine.planning.examine import about_object, dry_run
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.errors import ClusterError, UnknownKindError
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.report import Outcome

if TYPE_CHECKING:
    from infometis_sdk.engine.writing.job import Job

__all__ = ("MANY", "Work", "ask_again")

Work = tuple[PlanItem, Mapping[str, Any]]

MANY = 250
"""Beyond so many, the writes themselves tell: a dry-run costs a third of a write."""


def ask_again(job: Job, work: Sequence[Work]) -> None:
    """Note as failed, all at once and before any is written, what the API server would refuse.

    What one of them lacks may come with another one, so that is left to the write.

    Args:
        job: the apply.
        work: the items that were predicted, each with what will be sent.

    Raises:
        UnreachableError: the API server went away.

    """
    if len(work) > MANY:
        return

    def ask(pair: Work) -> Outcome | None:
        item, payload = pair
        try:
            dry_run(job.cluster, item.ref, payload, job.manager, job.run, force=False)
        except UnknownKindError:
            return None  # its definition could not be applied, and that was told
        except ClusterError as error:
            if not about_object(error):
                raise
            if lacking(error):
                return None
            return Outcome(
                ref=item.ref,
                service=item.service,
                action=item.action,
                result="failed",
                detail=" ".join(error.message.split()),
            )
        return None

    for outcome in parallel(ask, work, job.run, "asking the API server"):
        if outcome is not None:
            job.note(outcome)
