"""What was proven of a border, route by route."""

from __future__ import annotations

from attrs import field, frozen

from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table

__all__ = ("PROOF_STATES", "BorderReport", "Proof")

PROOF_STATES = ("passed", "failed", "unproven")


@frozen(kw_only=True, repr=False)
class Proof:
    """One promise of a route, and whether it was kept.

    Attributes:
        route: name of the route; empty for the border as a whole.
        what: such as ``loaded``, ``status``, ``certificate``, ``authentication`` or ``headers``.
        state: ``passed``, ``failed`` or ``unproven``.
        detail: what was seen, or why nothing could be.
        url: where it was asked.

    """

    route: str
    what: str
    state: str
    detail: str = ""
    url: str = ""

    def __repr__(self) -> str:
        return f"<Proof: {self.route or 'border'} {self.what} {self.state}>"


@frozen(kw_only=True, repr=False)
class BorderReport(Report):
    """What was proven of every route.

    Attributes:
        environment: its name.
        adapter: name of the border adapter.
        proofs: one for each promise, in the order of the routes.

    """

    environment: str
    adapter: str
    proofs: tuple[Proof, ...] = field(default=(), converter=tuple[Proof, ...])

    @property
    def ok(self) -> bool:
        """Whether no promise is broken; what could not be proven breaks none."""
        return all(proof.state != "failed" for proof in self.proofs)

    @property
    def proven(self) -> tuple[str, ...]:
        """Names of the routes that answered, every promise kept."""
        routes = dict.fromkeys(proof.route for proof in self.proofs if proof.route)
        kept = []
        for route in routes:
            states = {proof.state for proof in self.proofs if proof.route == route}
            answered = any(
                proof.state == "passed" and proof.url
                for proof in self.proofs
                if proof.route == route
            )
            if answered and "failed" not in states:
                kept.append(route)
        return tuple(kept)

    def headline(self) -> str:
        """Return one line that says how it went."""
        counts = {
            state: sum(proof.state == state for proof in self.proofs) for state in PROOF_STATES
        }
        told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
        return f"border {self.adapter} of {self.environment}: {told or 'nothing is published'}"

    def table(self) -> Table:
        """Return a row for each promise."""
        return Table(
            columns=("route", "what", "state", "detail"),
            rows=[
                (proof.route or "(border)", proof.what, proof.state, proof.detail)
                for proof in self.proofs
            ],
            footer=(self.headline(),),
        )
