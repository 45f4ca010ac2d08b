"""What the trust boundary says of two who want to speak."""

from __future__ import annotations

from attrs import field, frozen

from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table

__all__ = ("PolicyReport", "PolicyRow")


@frozen(kw_only=True)
class PolicyRow:
    """One port that was asked about.

    Attributes:
        source, target: who opens the connection, and who takes it.
        port: at the target, behind every Kubernetes Service.
        protocol: ``TCP``, ``UDP`` or ``SCTP``.
        allowed: whether both ends let it pass.
        egress: the rule that decides at the source, or why there is none.
        ingress: the same at the target.
        why: what declares it; empty where nothing does.

    """

    source: str
    target: str
    port: int
    protocol: str
    allowed: bool
    egress: str
    ingress: str
    why: str = ""


@frozen(kw_only=True, repr=False)
class PolicyReport(Report):
    """Whether one may talk to the other, port by port, by the policies that are rendered."""

    source: str
    target: str
    rows: tuple[PolicyRow, ...] = field(converter=tuple[PolicyRow, ...])

    @property
    def allowed(self) -> bool:
        """Whether any of the ports is open."""
        return any(row.allowed for row in self.rows)

    def headline(self) -> str:
        """Say on which ports they may speak."""
        ports = dict.fromkeys(f"{row.port}/{row.protocol}" for row in self.rows if row.allowed)
        if not ports:
            return f"{self.source} may not talk to {self.target}"
        return f"{self.source} may talk to {self.target} on {', '.join(ports)}"

    def table(self) -> Table:
        """Show one row a port, with the rule that decides at each end."""
        return Table(
            title=self.headline(),
            columns=("SOURCE", "TARGET", "PORT", "VERDICT", "EGRESS", "INGRESS", "WHY"),
            rows=tuple(
                (
                    row.source,
                    row.target,
                    f"{row.port}/{row.protocol}",
                    "allowed" if row.allowed else "denied",
                    row.egress,
                    row.ingress,
                    row.why,
                )
                for row in self.rows
            ),
        )
