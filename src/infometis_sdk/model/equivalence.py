"""What a proof of equivalence says: two environments run one core, and each runs its render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table, apart, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = (
    "VERDICTS",
    "CoreInput",
    "EquivalenceReport",
    "LiveField",
    "RenderedDifference",
    "RunningImage",
    "ServiceVerdict",
    "Side",
)

VERDICTS = ("equal", "equal-with-foreign", "unverified", "different")
"""From best to worst; a report's verdict is the worst of its services and its sides."""


@frozen(kw_only=True)
class Side:
    """One of the two that are compared.

    Attributes:
        name: of the environment, or what the caller called it.
        basis: ``composed`` (the definition only), ``release N`` or ``live``.
        root: core digest of the stack, ``sha256:…``.
        pinned: every image is named by digest; else equal digests may still mean other images.
        cluster_uid: which cluster was looked at; empty where none was.
        checked: objects that were compared with their render.
        simulated: the containers do not really run, so nothing was proven about what they run.
        local: some objects were compared without the API server's dry-run, which was forbidden.
        clock: seconds that the cluster's clock is ahead of ours; ``None`` where not known.
        notes: what the proof could not look at, in words.

    """

    name: str
    basis: str = "composed"
    root: str = ""
    pinned: bool = False
    cluster_uid: str = ""
    checked: int = 0
    simulated: bool = False
    local: bool = False
    clock: float | None = None
    notes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class ServiceVerdict:
    """What is proven of one service; the empty name is what the stack as a whole needs.

    Attributes:
        verdict: one of :data:`VERDICTS`.
        digest_a, digest_b: core digest on each side; empty where it has no such service.
        reasons: why it is not ``equal``, one line each.

    """

    service: str
    verdict: str
    digest_a: str = ""
    digest_b: str = ""
    reasons: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class CoreInput:
    """One input of the core that is not the same on both sides: that is why digests differ.

    Attributes:
        input: such as ``templates/statefulset.yaml.j2 line 12``, ``values.topic``
            or ``images.main.digest``.
        a, b: the value on each side as text; empty where there is none.
        where_a, where_b: file and line, or the layer that set it.

    """

    service: str
    input: str
    a: str = ""
    b: str = ""
    where_a: str = ""
    where_b: str = ""


@frozen(kw_only=True)
class RenderedDifference:
    """One path that the two renders do not share, and who may answer for it.

    Attributes:
        object: kind and name as templates know it, such as ``StatefulSet/kafka``;
            empty for what is written on every object.
        path: field path; empty where the object is on one side only.
        key: key inside the configuration file at ``path``; empty elsewhere.
        a, b: values as text; empty where there is none.
        cause: ``parameter``, ``patch``, ``registry``, ``identity`` (names that every environment
            has of its own), ``border``, ``platform`` or ``undeclared``, which breaks the proof.
        parameters: the parameters that it follows.
        scope: theirs.
        set_a, set_b: file and line, or the layer, that set the first of them on each side.
        durability: it changes how well data survives: the proof covers the definition,
            not how clusters of other sizes behave.

    """

    service: str
    object: str = ""
    path: str = ""
    key: str = ""
    a: str = ""
    b: str = ""
    cause: str = "parameter"
    parameters: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    scope: str = ""
    set_a: str = ""
    set_b: str = ""
    durability: bool = False

    def __str__(self) -> str:
        return " ".join(part for part in (self.object, self.path, self.key) if part)


@frozen(kw_only=True)
class LiveField:
    """One place where a live cluster is not, or not only, what was rendered for it.

    Attributes:
        state: ``differs``, ``missing`` (the object), ``extra`` (an object of ours that is not
            rendered), ``foreign`` (added by somebody whom nothing allows to), ``yielded``
            (left to an allow-listed manager).
        rendered, live: values as text, masked where they are secret.
        manager: who wrote it last, as the tool calls itself.
        time: when, by the clock of that cluster.

    """

    side: str
    state: str
    ref: ObjectRef
    service: str = ""
    path: str = ""
    rendered: str = ""
    live: str = ""
    manager: str = ""
    time: str = ""

    def __str__(self) -> str:
        return f"{self.side} {self.ref} {self.path}".rstrip()


@frozen(kw_only=True)
class RunningImage:
    """What the pods of one container run, against what was rendered and against the other side.

    Attributes:
        container: ``workload/container``, such as ``StatefulSet/kafka/kafka``.
        rendered: image as rendered.
        running: image ids of the pods, as their nodes tell them.
        verdict: ``equal``, ``differs``, ``unknown`` (nothing to compare by: no digest was
            rendered, or the node tells none), or ``simulated``.
        detail: why, in one line.

    """

    side: str
    service: str
    container: str
    rendered: str
    running: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    verdict: str = "unknown"
    detail: str = ""


@frozen(kw_only=True, repr=False)
class EquivalenceReport(Report):
    """Whether two environments are the same but for what they declare to be different.

    Attributes:
        verdict: one of :data:`VERDICTS`.
        strict: only ``equal`` passes.
        services: verdict of each service.
        differences: every path that differs between the two renders, with its cause.
        core: the inputs that make core digests differ.
        live: where a live cluster is not its render, and every yielded path.
        images: what pods run.

    """

    a: Side
    b: Side
    verdict: str
    strict: bool = False
    services: tuple[ServiceVerdict, ...] = field(default=(), converter=tuple[ServiceVerdict, ...])
    differences: tuple[RenderedDifference, ...] = field(
        default=(), converter=tuple[RenderedDifference, ...]
    )
    core: tuple[CoreInput, ...] = field(default=(), converter=tuple[CoreInput, ...])
    live: tuple[LiveField, ...] = field(default=(), converter=tuple[LiveField, ...])
    images: tuple[RunningImage, ...] = field(default=(), converter=tuple[RunningImage, ...])
    notes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was found that differs; when strict, whether that is proven."""
        return self.verdict == "equal" if self.strict else self.verdict != "different"

    @property
    def simulated(self) -> bool:
        """Whether a side's containers do not really run."""
        return self.a.simulated or self.b.simulated

    @property
    def local(self) -> bool:
        """Whether a side was in part compared without the API server's dry-run."""
        return self.a.local or self.b.local

    @property
    def durability(self) -> tuple[RenderedDifference, ...]:
        """The differences that change how well data survives."""
        return tuple(found for found in self.differences if found.durability)

    @property
    def yielded(self) -> tuple[LiveField, ...]:
        """Every path that was left to an allow-listed manager."""
        return tuple(found for found in self.live if found.state == "yielded")

    @property
    def foreign(self) -> tuple[LiveField, ...]:
        """Every addition by somebody whom nothing allows to make it."""
        return tuple(found for found in self.live if found.state == "foreign")

    def headline(self) -> str:
        """Say the verdict, and what kind of evidence it rests on."""
        limits = [word for word in ("simulated", "local") if getattr(self, word)]
        kind = f" ({', '.join(limits)})" if limits else ""
        return f"{self.a.name} and {self.b.name}: {self.verdict}{kind}"

    def table(self) -> Table:
        """Show one row a service, and below it everything that was found."""
        return Table(
            title=self.headline(),
            columns=("SERVICE", "VERDICT", "CORE", "WHY"),
            rows=tuple(
                (
                    found.service or "(stack)",
                    found.verdict,
                    _digests(found),
                    shortened("; ".join(found.reasons)),
                )
                for found in self.services
            ),
            footer=tuple(self._lines()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON and YAML, with whether it passed."""
        return {**super().to_dict(), "passed": self.passed}

    def _lines(self) -> Iterator[str]:
        for side in (self.a, self.b):
            where = (
                f", {side.checked} objects of cluster {side.cluster_uid}" if side.checked else ""
            )
            yield f"{side.name}: {side.basis}, core {side.root or 'unknown'}{where}"
        for wrong in self.core:
            yield f"core: {wrong.service} {wrong.input}:"
            yield from _values(self, wrong.a, wrong.b, wrong.where_a, wrong.where_b)
        for state in ("differs", "missing", "extra", "foreign", "yielded"):
            for found in (each for each in self.live if each.state == state):
                yield _live_line(found)
        for image in self.images:
            if image.verdict == "differs":
                yield f"image: {image.side} {image.container}: {image.detail}"
        for group in _same_cause(self.differences).values():
            first = group[0]
            flag = " (changes durability)" if first.durability else ""
            yield f"{_cause(first)}{flag}: {_few([str(each) for each in group])}"
            yield from _values(self, first.a, first.b, first.set_a, first.set_b)
        yield from (f"note: {note}" for note in self.notes)


def _digests(found: ServiceVerdict) -> str:
    short = [digest.removeprefix("sha256:")[:12] for digest in (found.digest_a, found.digest_b)]
    if short[0] == short[1]:
        return short[0]
    return " / ".join(each or "(none)" for each in short)


def _values(report: EquivalenceReport, a: str, b: str, where_a: str, where_b: str) -> Iterator[str]:
    for name, value, where in ((report.a.name, a, where_a), (report.b.name, b, where_b)):
        place = f"  ({where})" if where else ""
        yield f"  {name}: {shortened(value) or '(none)'}{place}"


def _live_line(found: LiveField) -> str:
    who = f", by {found.manager}" if found.manager else ""
    when = f" at {found.time}" if found.time else ""
    rendered, live = (shortened(x) or "(none)" for x in apart(found.rendered, found.live))
    what = {
        "differs": f"rendered {rendered}, live {live}",
        "missing": "rendered, and not there",
        "extra": "there, and not rendered",
        "foreign": f"added {shortened(found.live)}",
        "yielded": f"rendered {rendered}, left at {live}",
    }[found.state]
    return f"{found.state}: {found}: {what}{who}{when}"


def _cause(found: RenderedDifference) -> str:
    named = ", ".join(found.parameters)
    match found.cause:
        case "parameter":
            return f"{found.scope} {found.service}.{named}"
        case "undeclared":
            return f"undeclared in {found.service}"
        case cause:
            return cause


def _same_cause(
    differences: tuple[RenderedDifference, ...],
) -> Mapping[tuple[str, ...], list[RenderedDifference]]:
    groups: dict[tuple[str, ...], list[RenderedDifference]] = {}
    for each in differences:
        key = (each.cause, each.service, *each.parameters, each.a, each.b, each.set_a, each.set_b)
        groups.setdefault(key, []).append(each)
    return groups


_FEW = 3


def _few(names: list[str]) -> str:
    if len(names) <= _FEW:
        return ", ".join(names) or "every object"
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"
