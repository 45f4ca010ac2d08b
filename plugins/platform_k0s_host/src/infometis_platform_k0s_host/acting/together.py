"""The same on many hosts at once: events on the caller's thread, and every failure kept."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import field, frozen

from infometis_platform_k0s_host.connection import HostError
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import CancelToken, Event, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("HostsError", "Outcome", "together")

_AT_ONCE = 8
_LOOK = 0.05

T = TypeVar("T")


class HostsError(PlatformError):
    """Something failed on some hosts; ``failures`` holds the error of each, by its name."""

    def __init__(self, failures: Mapping[str, PlatformError], *, of: int, hint: str = "") -> None:
        self.failures = dict(failures)
        lines = [f"{len(failures)} of {of} hosts failed" if of > 1 else "the host failed"]
        for error in failures.values():
            lines.append("  - " + error.message.replace("\n", "\n    "))
            if error.hint:
                lines.append(f"    cure: {error.hint}")
        super().__init__("\n".join(lines), hint=hint)


@frozen(kw_only=True)
class Outcome(Generic[T]):
    """What came of it.

    Attributes:
        results: of each host where it went well.
        failures: the error of each host where it did not.

    """

    results: Mapping[str, T] = field(factory=dict)
    failures: Mapping[str, PlatformError] = field(factory=dict)


def together(names: Sequence[str], function: Callable[[str, Run], T], run: Run) -> Outcome[T]:
    """Call a function for each host, eight at a time.

    Args:
        names: the hosts.
        function: is given the name of a host and a run, whose events reach the caller's thread.
        run: deadline, events, cancel token.

    Returns:
        Results and failures, in the order of ``names``; a failure of one host ends no other.

    Raises:
        CancelledError, DeadlineError: after all that had begun has come to its end.

    """
    if not names:
        return Outcome()
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    stop = CancelToken()
    inner = Run(deadline=run.deadline, emit=events.put, cancel=stop)
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(names))) as pool:
        futures: dict[Future[T], str] = {pool.submit(function, name, inner): name for name in names}
        try:
            _attend(set(futures), events, run)
        except BaseException:
            stop.cancel()
            pool.shutdown(cancel_futures=True)
            raise
    return _sorted(names, futures)


def _attend(pending: set[Future[T]], events: queue.SimpleQueue[Event], run: Run) -> None:
    """Pass events on until all is done."""
    while pending:
        if run.cancel.cancelled:
            run.check("working on hosts")
        _, pending = wait(pending, timeout=_LOOK, return_when=FIRST_COMPLETED)
        while not events.empty():
            run.emit(events.get())


def _sorted(names: Sequence[str], futures: Mapping[Future[T], str]) -> Outcome[T]:
    results: dict[str, T] = {}
    failures: dict[str, PlatformError] = {}
    by_name = {name: future for future, name in futures.items()}
    for name in names:
        error = by_name[name].exception()
        if error is None:
            results[name] = by_name[name].result()
        elif isinstance(error, PlatformError):
            failures[name] = error
        elif isinstance(error, OSError):
            failures[name] = HostError(f"{name}: {error}", host=name)
        else:
            raise error
    return Outcome(results=results, failures=failures)
