"""Reports: frozen values with a one-line repr, a plain table, a rich table and escaped HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import attrs
from attrs import field, frozen

from infometis_sdk.model.fault import Fault
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.table import Table, apart, shortened

__all__ = (
    "ApplyReport",
    "DriftItem",
    "DriftReport",
    "HealthItem",
    "HealthReport",
    "Outcome",
    "Report",
    "Table",
    "UpReport",
    "merged",
    "plain",
)


_FEW = 3
"""So many are named one by one: "and 1 more" would be no shorter."""
_WORKLOADS = ("StatefulSet", "Deployment", "DaemonSet", "Job")


def plain(value: Any) -> Any:  # noqa: ANN401 - any frozen value
    """Turn a frozen value into mappings, lists and scalars that JSON can carry."""
    # The commonest first: a plan of a thousand objects has a hundred thousand leaves.
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (dict, Mapping)):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    names = _shown(value.__class__)
    if names is not None:
        return {name.lstrip("_"): plain(getattr(value, name)) for name in names}
    return str(value)


@lru_cache
def _shown(kind: type) -> tuple[str, ...] | None:
    """Return the fields that a frozen value shows; ``None`` where it is none."""
    if not attrs.has(kind):
        return None
    return tuple(a.name for a in attrs.fields(kind) if a.repr is not False)


class Report:
    """Base of all reports; a subclass gives :meth:`headline` and :meth:`table`."""

    __slots__ = ()

    def headline(self) -> str:
        """Return one line that says how it went."""
        raise NotImplementedError

    def table(self) -> Table:
        """Return the rows for people."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON and YAML."""
        data: dict[str, Any] = plain(self)
        return data

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline()}>"

    def __str__(self) -> str:
        return self.table().text()

    def __rich__(self) -> Any:  # noqa: ANN401 - rich is imported only when it draws
        return self.table().rich()

    def _repr_html_(self) -> str:
        return self.table().markup()


@frozen(kw_only=True, repr=False)
class Outcome:
    """What became of one plan item.

    Attributes:
        result: ``applied``, ``unchanged``, ``deleted``, ``kept``, ``failed`` or ``skipped``.
        detail: why, in one line.

    """

    ref: ObjectRef
    service: str = ""
    action: str
    result: str
    detail: str = ""

    def __repr__(self) -> str:
        return f"<Outcome: {self.action} {self.ref} {self.result}>"


@frozen(kw_only=True, repr=False)
class ApplyReport(Report):
    """What an apply did; ``release`` is its number."""

    stack_id: str
    plan_digest: str
    outcomes: tuple[Outcome, ...] = field(converter=tuple[Outcome, ...])
    release: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Items that failed."""
        return tuple(o for o in self.outcomes if o.result == "failed")

    def headline(self) -> str:
        """Count the results."""
        counts: dict[str, int] = {}
        for outcome in self.outcomes:
            counts[outcome.result] = counts.get(outcome.result, 0) + 1
        text = ", ".join(f"{n} {result}" for result, n in counts.items()) or "nothing to do"
        return f"{text} in {self.seconds:.1f} s"

    def table(self) -> Table:
        """Show one row for what became alike of one service; ``outcomes`` has every object."""
        return Table(
            title=self.headline(),
            columns=("RESULT", "ACTION", "OBJECT", "SERVICE", "DETAIL"),
            rows=tuple(
                (first.result, first.action, _named(alike), first.service, first.detail)
                for first, alike in _alike(self.outcomes)
            ),
            footer=merged(self.warnings),
        )


_KEPT = re.compile(r"kept: (?P<name>\S+/\S+): (?P<why>.*)")


def _alike(outcomes: Iterable[Outcome]) -> Iterable[tuple[Outcome, tuple[str, ...]]]:
    """Group what people need not read one by one; a failure always stands alone."""
    groups: dict[tuple[str, ...], tuple[Outcome, list[str]]] = {}
    for number, one in enumerate(outcomes):
        alone = str(number) if one.result == "failed" else ""
        key = (one.result, one.action, one.service, one.detail, alone)
        groups.setdefault(key, (one, []))[1].append(str(one.ref))
    return ((first, tuple(names)) for first, names in groups.values())


def _named(names: Sequence[str]) -> str:
    """Name a few of many.

    Example:
        >>> _named(["Service/a", "Service/b", "Service/c", "Service/d"])
        'Service/a, Service/b and 2 more'

    """
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"


def merged(warnings: Iterable[str]) -> tuple[str, ...]:
    """Say once why many objects were kept."""
    lines: dict[str, list[str]] = {}
    for warning in warnings:
        kept = _KEPT.fullmatch(warning)
        if kept:
            lines.setdefault(f"kept: {{}}: {kept['why']}", []).append(kept["name"])
        else:
            lines[warning] = []
    return tuple(
        line.replace("{}", _named(names), 1) if names else line for line, names in lines.items()
    )


@frozen(kw_only=True, repr=False)
class HealthItem:
    """How one object is.

    Attributes:
        state: ``ready``, ``ready (simulated)``, ``progressing``, ``suspended``, ``missing``,
            ``terminating``, ``failed``, ``unknown`` or ``skipped`` (what it needs failed).
        reason: one line: what is missing for it to be ready, or why it failed.
        hint: what to do about it.
        events: last events, newest last.
        logs: tail of the log of the container at fault.

    """

    ref: ObjectRef
    service: str = ""
    state: str
    reason: str = ""
    hint: str = ""
    events: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    logs: str = ""

    def __repr__(self) -> str:
        return f"<HealthItem: {self.ref} {self.state}>"


_FEW = 3
"""Up to this many workloads of a service are named in its row; more are counted."""


def _pods(items: Sequence[HealthItem]) -> str:
    """Say in a few words how the workloads of a service are; the whole reasons stand below."""
    if len(items) > _FEW:
        ready = sum(item.state.startswith("ready") for item in items)
        return f"{ready} of {len(items)} workloads ready"
    return "; ".join(shortened(item.reason.split("; ")[0]) for item in items if item.reason)


@frozen(kw_only=True, repr=False)
class HealthReport(Report):
    """How a stack is, object by object; one row a service for people."""

    stack_id: str
    items: tuple[HealthItem, ...] = field(converter=tuple[HealthItem, ...])
    simulated: bool = False
    seconds: float = 0.0
    versions: Mapping[str, str] = field(factory=dict)
    checks: Mapping[str, str] = field(factory=dict)
    urls: Mapping[str, str] = field(factory=dict)

    @property
    def ready(self) -> bool:
        """Whether every object is ready."""
        return all(item.state.startswith("ready") for item in self.items)

    @property
    def services(self) -> dict[str, tuple[HealthItem, ...]]:
        """Items by service, in order of appearance."""
        found: dict[str, list[HealthItem]] = {}
        for item in self.items:
            found.setdefault(item.service, []).append(item)
        return {name: tuple(items) for name, items in found.items()}

    def headline(self) -> str:
        """Say how many services are ready."""
        groups = {k: v for k, v in self.services.items() if k}
        good = sum(all(i.state.startswith("ready") for i in items) for items in groups.values())
        word = " (simulated)" if self.simulated else ""
        return f"{good} of {len(groups)} services ready{word}"

    def table(self) -> Table:
        """Show one row a service, and below it what is not ready."""
        rows = []
        notes: list[str] = []
        for name, items in self.services.items():
            bad = [item for item in items if not item.state.startswith("ready")]
            state = bad[0].state if bad else ("ready (simulated)" if self.simulated else "ready")
            workloads = [i for i in items if i.ref.kind in _WORKLOADS]
            if name or bad:
                rows.append(
                    (
                        name or "(stack)",
                        self.versions.get(name, ""),
                        state,
                        _pods(workloads or items[:1]),
                        str(len(items)),
                        self.checks.get(name, ""),
                        " ".join(_urls_of(name, self.urls)),
                    )
                )
            missing = [str(item.ref) for item in bad if item.state == "missing"]
            if len(missing) > _FEW:
                of_all = f"{len(missing)} of {len(items)} objects"
                notes.append(f"{name or 'the stack'}: {of_all} are missing: {_named(missing)}")
                bad = [item for item in bad if item.state != "missing"]
            for item in bad:
                notes.append(f"{item.ref}: {item.state}: {item.reason}")
                if item.hint:
                    notes.append(f"  hint: {item.hint}")
                notes.extend(f"  event: {event}" for event in item.events)
                notes.extend(f"  log: {line}" for line in item.logs.splitlines())
        # External systems are asked too, and are no service.
        others = [name for name in self.checks if name not in self.services]
        notes.extend(f"{name}: {self.checks[name]}" for name in others)
        return Table(
            title=self.headline(),
            columns=("SERVICE", "VERSION", "STATE", "PODS", "OBJECTS", "CHECKS", "URL"),
            rows=tuple(rows),
            footer=tuple(notes),
        )


def _urls_of(service: str, urls: Mapping[str, str]) -> list[str]:
    return [url for name, url in urls.items() if name.partition(".")[0] == service]


@frozen(kw_only=True, repr=False)
class DriftItem:
    """One field, or one object, that is not as we applied it.

    Attributes:
        state: ``pending`` (desired moved), ``drift`` (live differs from what we applied)
            or ``foreign`` (somebody else's field).
        path: field path; empty for the object as a whole.
        desired, live: values as text, masked where they are secret.
        manager: who wrote the field last, with the tool's own name.
        time: when, as the API server recorded it; for a change of scale, of which it records no
            time, by the object's events (``… (by its events)``) or at least ``after …``.

    """

    ref: ObjectRef
    service: str = ""
    state: str
    path: str = ""
    desired: str = ""
    live: str = ""
    manager: str = ""
    time: str = ""

    def __repr__(self) -> str:
        return f"<DriftItem: {self.state} {self.ref} {self.path}>"


@frozen(kw_only=True, repr=False)
class DriftReport(Report):
    """Where live differs from desired, and who did it."""

    stack_id: str
    items: tuple[DriftItem, ...] = field(converter=tuple[DriftItem, ...])
    checked: int = 0
    seconds: float = 0.0
    incomplete: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @property
    def found(self) -> bool:
        """Whether anything drifted (foreign additions count, pending changes do not)."""
        return any(item.state in ("drift", "foreign") for item in self.items)

    def headline(self) -> str:
        """Count the three states."""
        if not self.items:
            return f"no drift in {self.checked} objects"
        counts = {s: sum(i.state == s for i in self.items) for s in ("drift", "foreign", "pending")}
        return ", ".join(f"{n} {s}" for s, n in counts.items() if n) + f" in {self.checked} objects"

    def table(self) -> Table:
        """Show one row a field."""
        return Table(
            title=self.headline(),
            columns=("STATE", "OBJECT", "FIELD", "DESIRED", "LIVE", "MANAGER", "TIME"),
            rows=tuple(
                (
                    i.state,
                    str(i.ref),
                    i.path,
                    *(shortened(text) for text in apart(i.desired, i.live)),
                    i.manager,
                    # The API server keeps no time for writes through `scale`.
                    i.time or ("not recorded" if i.manager else ""),
                )
                for i in self.items
            ),
            footer=self.incomplete,
        )


@frozen(kw_only=True, repr=False)
class UpReport(Report):
    """What ``up`` did: the plan's digest, the apply and the health."""

    environment: str
    platform: str
    changed: bool
    apply: ApplyReport | None
    health: HealthReport
    seconds: float = 0.0
    findings: tuple[Fault, ...] = field(default=(), converter=tuple[Fault, ...])

    def headline(self) -> str:
        """Say what changed and how the services are."""
        what = self.apply.headline() if self.apply and self.changed else "nothing to do"
        return f"{self.environment} on {self.platform}: {what}; {self.health.headline()}"

    def table(self) -> Table:
        """Show the health table under the headline."""
        health = self.health.table()
        return attrs.evolve(
            health,
            title=self.headline(),
            footer=(
                *health.footer,
                *(merged(self.apply.warnings) if self.apply else ()),
                *(str(finding) for finding in self.findings),
            ),
        )
