"""Equivalence: two environments run the same core, and each live one runs exactly its render.

Equal core digests mean the same function from parameters to objects.
Two checks close the loop: every difference between the two renders follows a declared parameter,
and every rendered leaf is the live one, whoever owns it now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import frozen

from infometis_sdk.engine.objects import podspec
from infometis_sdk.engine.proving.evidence import Evidence
from infometis_sdk.engine.proving.images import compared
from infometis_sdk.engine.proving.inputs import differing_inputs
from infometis_sdk.engine.proving.renders import rendered_differences
from infometis_sdk.engine.render import render
from infometis_sdk.model.equivalence import (
    VERDICTS,
    CoreInput,
    EquivalenceReport,
    LiveField,
    RenderedDifference,
    RunningImage,
    ServiceVerdict,
    Side,
)
from infometis_sdk.model.stack import ComposedStack, ManifestSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("APART", "Subject", "prove_equivalent", "subject")

_Note = Callable[[str, str], None]

APART = 30.0
"""Seconds by which the clocks of two clusters may differ before the report says so."""


@frozen(kw_only=True)
class Subject:
    """One side of a proof.

    Attributes:
        name: how the report calls it.
        basis: where the definition comes from: ``composed``, or ``release N``.
        manifests: what it renders to.
        evidence: what its live cluster showed; ``None`` for the definition only.

    """

    name: str
    stack: ComposedStack
    manifests: ManifestSet
    basis: str = "composed"
    evidence: Evidence | None = None


def subject(
    stack: ComposedStack,
    *,
    name: str = "",
    basis: str = "composed",
    evidence: Evidence | None = None,
) -> Subject:
    """Render a stack, so that it can be one side of a proof.

    Raises:
        RenderError: it cannot be rendered.

    """
    return Subject(
        name=name or stack.environment.name,
        stack=stack,
        manifests=render(stack),
        basis=basis,
        evidence=evidence,
    )


def prove_equivalent(
    a: ComposedStack | Subject, b: ComposedStack | Subject, *, strict: bool = False
) -> EquivalenceReport:
    """Prove that two environments differ only in what they declare to be different; pure.

    Args:
        a: a composed stack, or one with what its live cluster showed.
        b: the other.
        strict: let only the verdict ``equal`` pass.

    Returns:
        Verdicts, every difference with its cause, and on failure what broke the proof.

    Raises:
        RenderError: one of them cannot be rendered.

    Example:
        >>> from infometis_sdk.engine.compose import compose
        >>> from infometis_sdk.model import Environment, Project, Service
        >>> project = Project(name="demo", services={"hello": Service.web(
        ...     "hello", image="example/hello@sha256:" + 64 * "0", port=80)})
        >>> dev, uat = (compose(project, Environment(name)) for name in ("dev", "uat"))
        >>> prove_equivalent(dev, uat).verdict
        'equal'

    """
    left, right = (each if isinstance(each, Subject) else subject(each) for each in (a, b))
    sides = (left, right)
    core = tuple(_core(left, right))
    renders = (left.manifests, right.manifests)
    differences = tuple(rendered_differences(left.stack, right.stack, renders))
    live = tuple(found for side in sides if side.evidence for found in side.evidence.fields)
    images = compared(*(side.evidence.images if side.evidence else () for side in sides))
    found = _Found(core=core, differences=differences, live=live, images=images)
    services = tuple(_service(name, sides, found) for name in _names(sides, found))
    return EquivalenceReport(
        a=_side(left),
        b=_side(right),
        verdict=max((each.verdict for each in services), key=VERDICTS.index, default="equal"),
        strict=strict,
        services=services,
        differences=differences,
        core=core,
        live=live,
        images=images,
        notes=tuple(_notes(left, right)),
    )


@frozen(kw_only=True)
class _Found:
    core: tuple[CoreInput, ...]
    differences: tuple[RenderedDifference, ...]
    live: tuple[LiveField, ...]
    images: tuple[RunningImage, ...]


def _core(left: Subject, right: Subject) -> Iterator[CoreInput]:
    """Yield what makes the digests of services differ."""
    ours, theirs = (
        {composed.name: composed for composed in side.stack.services} for side in (left, right)
    )
    locks = (left.stack.lock, right.stack.lock)
    for name in {**ours, **theirs}:
        if name not in ours or name not in theirs:
            yield CoreInput(
                service=name,
                input="service",
                a="present" if name in ours else "",
                b="present" if name in theirs else "",
            )
        elif left.manifests.digests[name] != right.manifests.digests[name]:
            yield from differing_inputs(ours[name], theirs[name], locks)


def _names(sides: Sequence[Subject], found: _Found) -> tuple[str, ...]:
    names = dict.fromkeys(name for side in sides for name in side.manifests.order)
    extra = {each.service for each in found.live} | {each.service for each in found.images}
    others = sorted(extra - names.keys())
    return (*others, *names) if "" in others else ("", *others, *names)


def _service(name: str, sides: Sequence[Subject], found: _Found) -> ServiceVerdict:
    digests = [side.manifests.digests.get(name, "") for side in sides]
    verdict, reasons = "equal", []

    def note(worse: str, reason: str) -> None:
        nonlocal verdict
        verdict = max(verdict, worse, key=VERDICTS.index)
        reasons.append(reason)

    if digests[0] != digests[1]:
        inputs = [each.input for each in found.core if each.service == name]
        note("different", f"other core inputs: {', '.join(inputs[:3])}")
    undeclared = [
        each for each in found.differences if each.service == name and each.cause == "undeclared"
    ]
    if undeclared:
        note("different", f"{undeclared[0]} differs, and no parameter declares it")
    live = [each for each in found.live if each.service == name]
    for state, worse in (
        ("differs", "different"),
        ("missing", "different"),
        ("extra", "different"),
        ("foreign", "equal-with-foreign"),
    ):
        told = [each for each in live if each.state == state]
        if told:
            more = f" and {len(told) - 1} more" if len(told) > 1 else ""
            note(worse, f"{state}: {told[0]}{more}")
    _judge_images([each for each in found.images if each.service == name], note)
    for side in sides:
        loose = _loose(side.manifests, name)
        if loose:
            note("unverified", f"{side.name} names {loose} by tag; no lock says which image it is")
            break
    return ServiceVerdict(
        service=name, verdict=verdict, digest_a=digests[0], digest_b=digests[1], reasons=reasons
    )


def _judge_images(images: Sequence[RunningImage], note: _Note) -> None:
    for word, worse in (("differs", "different"), ("foreign", "equal-with-foreign")):
        told = [each for each in images if each.verdict == word]
        if told:
            note(worse, f"{told[0].side} {told[0].container} {told[0].detail}")
    # What was rendered without a digest is told as such already.
    unknown = [i for i in images if i.verdict == "unknown" and "@sha256:" in i.rendered]
    if unknown:
        note("unverified", f"{unknown[0].side} {unknown[0].container}: {unknown[0].detail}")


def _loose(manifests: ManifestSet, service: str) -> str:
    """Return an image of a service that is named by its tag only."""
    for manifest in manifests.manifests:
        if manifest.service != service:
            continue
        for _, container in podspec.containers(podspec.pod_spec(manifest.object) or {}):
            image = str(container.get("image"))
            if "@sha256:" not in image:
                return image
    return ""


def _side(given: Subject) -> Side:
    evidence = given.evidence or Evidence()
    return Side(
        name=given.name,
        basis=f"live, {given.basis}" if given.evidence else given.basis,
        root=given.manifests.digest,
        pinned=given.manifests.verified,
        cluster_uid=evidence.cluster_uid,
        checked=evidence.checked,
        simulated=evidence.simulated,
        local=evidence.local,
        clock=evidence.clock,
        notes=evidence.notes,
    )


def _notes(left: Subject, right: Subject) -> Iterator[str]:
    for side in (left, right):
        evidence = side.evidence
        if evidence is None:
            continue
        yield from (f"{side.name}: {note}" for note in evidence.notes)
        if evidence.simulated:
            yield f"{side.name}: containers are simulated, so what they run is not proven"
        if evidence.local:
            yield (
                f"{side.name}: we may not dry-run there, so the comparison is our own; "
                "defaults of the API server may show as differences"
            )
    clocks = [side.evidence.clock for side in (left, right) if side.evidence]
    known = [clock for clock in clocks if clock is not None]
    if any(abs(clock) > APART for clock in known) or (
        len(known) > 1 and abs(known[0] - known[1]) > APART
    ):
        told = " and ".join(
            f"{side.name} is {side.evidence.clock:+.0f} s from ours"
            for side in (left, right)
            if side.evidence and side.evidence.clock is not None
        )
        yield f"clocks are apart: {told}; times are each cluster's own"
