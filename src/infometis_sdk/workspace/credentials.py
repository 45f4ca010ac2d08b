"""The credentials of a stack as people need them: masked unless they ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.writing.credentials import secret_data
from infometis_sdk.model.external import EXTERNAL
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import Report, Table
from infometis_sdk.workspace.checking import known_services

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("CredentialReport", "CredentialRow", "read_credentials")

_MASK = "********"
_ABSENT = "(not made yet)"


@frozen(kw_only=True)
class CredentialRow:
    """One key of one credential; ``value`` is masked unless it was asked for."""

    service: str
    credential: str
    key: str
    value: str
    secret: str
    doc: str = ""


@frozen(kw_only=True, repr=False)
class CredentialReport(Report):
    """The credentials of a stack."""

    stack_id: str
    rows: tuple[CredentialRow, ...] = field(converter=tuple[CredentialRow, ...])

    def headline(self) -> str:
        """Count the credentials."""
        count = len({(r.service, r.credential) for r in self.rows})
        return f"{count} credential{'s' if count != 1 else ''} of stack {self.stack_id}"

    def table(self) -> Table:
        """Show one row a key."""
        return Table(
            title=self.headline(),
            columns=("SERVICE", "CREDENTIAL", "KEY", "VALUE", "SECRET"),
            rows=tuple((r.service, r.credential, r.key, r.value, r.secret) for r in self.rows),
        )


def read_credentials(
    cluster: Cluster, manifests: ManifestSet, service: str, run: Run, *, reveal: bool
) -> CredentialReport:
    """Read the credentials' Secrets.

    Raises:
        ProjectError: there is no such service.

    """
    known_services(manifests, (service,) if service else ())
    bound = [b for b in manifests.credentials if not service or b.service == service]
    base = ObjectRef(api_version="v1", kind="Secret", namespace=manifests.namespace, name="-")
    found = parallel(
        lambda b: cluster.get(attrs.evolve(base, name=b.secret), run),
        bound,
        run,
        "reading credentials",
    )
    rows = []
    for one, obj in zip(bound, found, strict=True):
        data = secret_data(obj) or {"": b""}
        for key, value in sorted(data.items()):
            shown = _ABSENT if obj is None else _MASK
            if obj is not None and (reveal or key == "username"):
                shown = value.decode("utf-8", errors="replace")
            rows.append(
                CredentialRow(
                    service=one.service or EXTERNAL,
                    credential=one.name,
                    key=key,
                    value=shown,
                    secret=one.secret,
                    doc=one.credential.doc,
                )
            )
    return CredentialReport(stack_id=manifests.stack_id, rows=tuple(rows))
