"""What works and what does not, with the cure: project, plugins, machine, cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_sdk.errors import InfometisError
from infometis_sdk.model.capability import CAPABILITY_STATES, Capability
from infometis_sdk.model.report import Report, Table
from infometis_sdk.ports.platform import Finding, Preflight
from infometis_sdk.workspace.publishing import border_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.run import Run
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("DoctorReport", "doctor")


@frozen(kw_only=True, repr=False)
class DoctorReport(Report):
    """Findings, worst last to be read first on a terminal."""

    environment: str
    findings: tuple[Finding, ...] = field(converter=tuple[Finding, ...])

    @property
    def healthy(self) -> bool:
        """Whether nothing is in the way."""
        return all(f.level != "error" for f in self.findings)

    def headline(self) -> str:
        """Count what was found."""
        bad = sum(f.level == "error" for f in self.findings)
        warn = sum(f.level == "warning" for f in self.findings)
        if not bad and not warn:
            return f"{self.environment}: {len(self.findings)} checks, all well"
        errors = f"{bad} error{'s' if bad != 1 else ''}"
        warnings = f"{warn} warning{'s' if warn != 1 else ''}"
        return f"{self.environment}: {len(self.findings)} checks, {errors}, {warnings}"

    def table(self) -> Table:
        """Show one row a check."""
        return Table(
            title=self.headline(),
            columns=("LEVEL", "CHECK", "FOUND", "CURE"),
            rows=tuple((f.level, f.check, f.detail, f.cure) for f in self.findings),
        )


def doctor(
    workspace: Workspace, stack: Stack, run: Run, *, probe: bool | None = None
) -> DoctorReport:
    """Look at everything a stack rests on; raises nothing for what it finds.

    Nothing is changed but by probes, which are taken away again; see :meth:`Stack.doctor`.
    """
    findings = tuple(_look(workspace, stack, run, probe=probe))
    return DoctorReport(environment=stack.name, findings=findings)


_CURES = {"ready": "", "failed": "mend what is told there; 'infometis up' says more"}
_NOT_OURS = "mend `platform` of the environment, or have whoever runs the cluster bring it up"


def _look(workspace: Workspace, stack: Stack, run: Run, *, probe: bool | None) -> Iterator[Finding]:
    try:
        manifests = stack.render()
        faults = stack.validate()
        bad = [fault for fault in faults if fault.level == "error"]
        yield Finding(
            check="project",
            level="error" if bad else "ok",
            detail=f"{len(manifests.manifests)} objects of {len(manifests.order)} services"
            + (f", {len(bad)} faults: {bad[0]}" if bad else ""),
            cure="infometis validate" if bad else "",
        )
    except InfometisError as error:
        yield Finding(
            check="project", level="error", detail=error.message, cure="infometis validate"
        )
    for problem in workspace.plugins.problems:
        yield Finding(
            check="plugin",
            level="warning",
            detail=str(problem),
            cure="reinstall or remove that distribution",
        )
    try:
        platform = stack.platform
    except InfometisError as error:
        yield Finding(check="platform", level="error", detail=error.message, cure=error.hint)
        return
    if isinstance(platform, Preflight):
        try:
            yield from platform.preflight()
        except InfometisError as error:
            yield Finding(check="machine", level="error", detail=error.message, cure=error.hint)
    status = platform.status()
    level = {"ready": "ok", "failed": "error"}.get(status.phase, "warning")
    yield Finding(
        check="cluster",
        level=level,
        detail=", ".join(part for part in (status.phase, status.version, status.detail) if part),
        cure=_CURES.get(
            status.phase, f"infometis up -e {stack.name}" if platform.owned else _NOT_OURS
        ),
    )
    if status.simulated:
        yield Finding(
            check="containers",
            level="warning",
            detail="nodes are simulated: objects and scheduling are real, containers do not run",
            cure="use a platform with real nodes to use the services",
        )
    yield from _capabilities(stack, run, there=status.phase == "ready", probe=probe)
    if status.phase == "ready":
        try:
            yield from border_findings(stack, stack.render(), stack.cluster(run), run)
        except InfometisError as error:
            yield Finding(check="border", level="error", detail=error.message, cure=error.hint)
        try:
            report = stack.drift(run=run)
            yield Finding(
                check="drift",
                level="warning" if report.found else "ok",
                detail=report.headline(),
                cure="infometis drift" if report.found else "",
            )
        except InfometisError as error:
            yield Finding(check="drift", level="error", detail=error.message, cure=error.hint)


def _capabilities(stack: Stack, run: Run, *, there: bool, probe: bool | None) -> Iterator[Finding]:
    """Say what the cluster can do: where it is there, what was seen; else what is declared."""
    from infometis_sdk.workspace.capabilities import worth_probing

    said = stack.platform.capabilities
    known = [Capability(name=name, state=state) for name, state in said.items()]
    if there:
        try:
            unasked = probe is None and worth_probing(stack, run)
            known = list(stack.capabilities(probe=bool(probe) or unasked, run=run))
        except InfometisError as error:
            yield Finding(check="probes", level="error", detail=error.message, cure=error.hint)
    for state in CAPABILITY_STATES:
        names = sorted(each.name for each in known if each.state == state)
        if names:
            detail = ", ".join(names)
            yield Finding(check=f"capabilities {state}", level="ok", detail=detail)
    for each in known:
        if each.state == "absent" and said.get(each.name) == "declared":
            detail = f"the platform says that there is {each.name}, but {each.detail}"
            cure = f"infometis doctor -e {stack.name} --probe, once that is mended"
            yield Finding(check="capability", level="warning", detail=detail, cure=cure)
