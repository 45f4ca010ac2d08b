"""Run requests side by side, at most eight at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infometis_sdk.model.run import Run

__all__ = (
    "WORKERS",
    "R",
    "T",
    "parallel",
)

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 8
"""Requests in flight: on two cores more workers are no faster, and API Priority and Fairness
queues what goes beyond."""


def parallel(
    function: Callable[[T], R],
    items: Iterable[T],
    run: Run,
    doing: str,
    *,
    on_result: Callable[[R], None] | None = None,
) -> list[R]:
    """Call ``function`` on every item and return the results in the order of the items.

    ``on_result`` is told each result as it comes, on the caller's thread.

    The first exception is raised once the calls under way have ended;
    what had not begun is dropped.

    Raises:
        CancelledError: the caller cancelled between two calls.
        DeadlineError: no time is left.

    """
    work = list(items)
    if len(work) <= 1:
        results = [function(item) for item in work]
        for result in results:
            if on_result:
                on_result(result)
        return results

    def step(item: T) -> R:
        run.check(doing)
        return function(item)

    with ThreadPoolExecutor(min(WORKERS, len(work)), thread_name_prefix="infometis") as pool:
        futures = [pool.submit(step, item) for item in work]
        try:
            if on_result:
                for future in as_completed(futures):
                    on_result(future.result())
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
