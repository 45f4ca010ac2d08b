"""What two Releases of a stack do not share."""

from __future__ import annotations

from attrs import field, frozen

from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table

__all__ = ("ReleaseChange", "ReleaseDiff")


@frozen(kw_only=True)
class ReleaseChange:
    """One thing that two Releases do not share.

    Attributes:
        kind: ``core`` (an input of the core digest), ``value`` (a parameter of another scope),
            ``environment`` (mode, patches, policies …), ``credential`` (its keyed hash or its
            reference) or ``service`` (on one side only, or another version).
        service: which service; empty for what belongs to the environment.
        path: which input, parameter or field.
        a, b: on each side, as text; empty where there is none.
        where_a, where_b: layer, file and line that set it.

    """

    kind: str
    service: str = ""
    path: str = ""
    a: str = ""
    b: str = ""
    where_a: str = ""
    where_b: str = ""


@frozen(kw_only=True, repr=False)
class ReleaseDiff(Report):
    """Two Releases side by side.

    Attributes:
        stack_id: of both.
        a, b: numbers of the Releases.
        same_bundle: both deployed the same core.
        changes: everything that they do not share.
        notes: what could not be compared, and why.

    """

    stack_id: str
    a: int
    b: int
    same_bundle: bool
    changes: tuple[ReleaseChange, ...] = field(default=(), converter=tuple[ReleaseChange, ...])
    notes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    def headline(self) -> str:
        """Say whether the core is the same, and count the differences."""
        core = "the same bundle" if self.same_bundle else "another bundle"
        count = len(self.changes)
        much = f"{count} difference{'s' * (count != 1)}"
        return f"{self.stack_id}: release {self.b} against {self.a}: {core}, {much}"

    def table(self) -> Table:
        """Show one row for each difference."""
        return Table(
            title=self.headline(),
            columns=("KIND", "SERVICE", "PATH", str(self.a), str(self.b), "SET BY"),
            rows=tuple(
                (c.kind, c.service, c.path, c.a, c.b, c.where_b or c.where_a) for c in self.changes
            ),
            footer=self.notes,
        )
