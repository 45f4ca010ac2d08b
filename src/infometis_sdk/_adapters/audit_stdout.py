"""The audit sink ``stdout``: each record as a line, for those who collect the output of a pod."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from attrs import field, frozen
from attrs.validators import in_

from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.audit import AuditSink, AuditSinkContext, AuditSinkSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.model.audit import AuditEvent

__all__ = ("Stdout", "StdoutSink", "infometis_audit_sinks")


@frozen(kw_only=True)
class Stdout:
    """Settings of the sink ``stdout``.

    Attributes:
        stream: ``stdout``, or ``stderr`` where standard output holds a document for programs.

    """

    stream: str = field(default="stdout", validator=in_(("stdout", "stderr")))


class StdoutSink(AuditSink):
    """Writes each record as one line of JSON."""

    def __init__(self, stream: str = "stdout") -> None:
        self._stream = stream

    def append(self, event: AuditEvent) -> None:
        """See :meth:`AuditSink.append`."""
        from infometis_sdk._serde.audit_lines import audit_line

        # Looked up at each record: whoever redirects the stream means this one too.
        stream = sys.stdout if self._stream == "stdout" else sys.stderr
        stream.write(audit_line(event) + "\n")
        stream.flush()


def _make(settings: Stdout, context: AuditSinkContext) -> AuditSink:
    del context
    return StdoutSink(settings.stream)


@hookimpl
def infometis_audit_sinks() -> Iterable[AuditSinkSpec]:
    """Register the sink ``stdout``."""
    summary = "each audit record as a line of JSON on standard output"
    return (AuditSinkSpec(name="stdout", summary=summary, settings=Stdout, factory=_make),)
