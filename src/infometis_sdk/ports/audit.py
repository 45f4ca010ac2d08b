"""The ports of the audit: the ledger that chains records, and the sinks that get each one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.model.audit import AuditEvent, AuditHead, AuditLine

__all__ = ("AuditLedger", "AuditSink", "AuditSinkContext", "AuditSinkSpec")


class AuditSink(ABC):
    """Gets every record of a stack after it was chained and kept; safe to call from one thread.

    Example:
        .. code-block:: python

            class Printer(AuditSink):
                def append(self, event):
                    print(event.time, event.kind, event.verb, event.result)

    """

    @abstractmethod
    def append(self, event: AuditEvent) -> None:
        """Keep one record, which carries its place in the chain.

        Raises:
            Exception: it cannot be kept; before the first write that stops the action,
                so that nothing is changed, and after it a warning tells.

        """


class AuditLedger(ABC):
    """Keeps the chain of a stack: numbers, links and keeps each record, one at a time."""

    @abstractmethod
    def record(self, event: AuditEvent) -> AuditEvent:
        """Chain and keep a record, surely on disk when this returns.

        Returns:
            The record with its time and its place in the chain.

        Raises:
            AuditError: it cannot be kept; nothing of it is.

        """

    @abstractmethod
    def head(self, stack_id: str) -> AuditHead | None:
        """Return what is remembered of the newest record; ``None`` where there is none."""

    @abstractmethod
    def read(self, stack_id: str) -> Iterable[AuditLine]:
        """Return every line that is kept, oldest first."""


@frozen(kw_only=True)
class AuditSinkContext:
    """What a sink's factory is given besides its settings.

    Attributes:
        stack_id, environment: whose records they are.
        namespace: the stack's home.
        connect: opens the stack's cluster; raises PlatformError where there is none.

    """

    stack_id: str
    environment: str
    namespace: str
    connect: Callable[[Run], Cluster] = field(eq=False)


@frozen(kw_only=True)
class AuditSinkSpec:
    """One kind of sink, as a plugin registers it; environments name it in ``policies.audit``.

    Attributes:
        name: what YAML says in ``type``.
        summary: one line for ``infometis plugins list``.
        settings: an attrs class.
        factory: makes the sink; nothing heavy is imported before it runs.

    """

    name: str
    summary: str
    settings: type[Any]
    factory: Callable[[Any, AuditSinkContext], AuditSink] = field(eq=False)
