"""The five stages of a promotion: what each looks at or does, and what it leaves as evidence."""

# ruff: noqa: SLF001 - a promotion acts through the inner doors of the two stacks

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.promoting.target import class_faults, known_class
from infometis_sdk.engine.reading.platform_class import platform_class
from infometis_sdk.errors import ClusterError, InfometisError, PlatformError
from infometis_sdk.model.plan import Plan
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.workspace.functions import ask

if TYPE_CHECKING:
    from infometis_sdk.model.pipeline import PipelineStep
    from infometis_sdk.model.promotion import StageResult
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("Stages",)

_CHECK_SECONDS = 300.0


class Stages:
    """The two stacks of a promotion, and what is done with them.

    Attributes:
        source: whose Release is promoted.
        target: who gets it, with the source's Bundle.
        manifests: what the target renders of it.
        busy: seconds spent in the deployment, its plan and the checks of its services.

    """

    def __init__(
        self,
        workspace: Workspace,
        source: Stack,
        target: Stack,
        *,
        manifests: ManifestSet,
        step: PipelineStep,
        run: Run,
    ) -> None:
        self.source, self.target, self.manifests = source, target, manifests
        self.step, self.run = step, run
        self.busy = 0.0
        self._workspace = workspace
        self.cluster_or_none: Cluster | None = None

    # --- the target's cluster -----------------------------------------------------------------

    def connect(self, *, make: bool) -> None:
        """Reach the target's cluster; make it where there is none and that is asked for.

        Raises:
            PlatformError: it cannot be made.

        """
        if make:
            access = self.target.platform.ensure(self.run)
            self.cluster_or_none = self.target._cluster(self.run, access)
            return
        try:
            self.cluster_or_none = self.target._cluster(self.run)
            self.cluster_or_none.read("/version", self.run)
        except (PlatformError, ClusterError):
            self.run.check("looking for the target's cluster")
            self.cluster_or_none = None

    @property
    def reachable(self) -> bool:
        """Whether the target's cluster is there."""
        return self.cluster_or_none is not None

    @property
    def cluster(self) -> Cluster:
        """The door to the target's cluster.

        Raises:
            PlatformError: there is none.

        """
        if self.cluster_or_none is None:
            msg = f"the cluster of {self.target.name} is not there"
            hint = f"'infometis up -e {self.target.name}' makes it"
            raise PlatformError(msg, hint=hint)
        return self.cluster_or_none

    def no_plan(self) -> Plan:
        """Return a plan for a cluster that is not there yet: nothing can be said of it."""
        return Plan(
            stack_id=self.target.stack_id,
            environment=self.target.name,
            namespace=self.manifests.namespace,
        )

    def forget_lease(self, ref: ObjectRef) -> None:
        """Remove a Lease that nobody holds, so that no trace stays."""
        run = Run.within(5)
        try:
            live = self.cluster.get(ref, run)
            if live is None or (live.get("spec") or {}).get("holderIdentity"):
                return
            meta = live["metadata"]
            gone = Write(
                verb="delete", ref=ref, uid=meta["uid"], resource_version=meta["resourceVersion"]
            )
            self.cluster.write(gone, run)
        except InfometisError:
            return  # somebody took it just now, or the API went away: it frees itself

    # --- 1: templates against the target ------------------------------------------------------

    def validation(self, stage: StageResult, plan: Plan) -> StageResult:
        """Validate what is rendered against the target: its API, quotas and class of platform.

        The plan asked the API server, by a dry-run, about everything that would change.
        """
        from infometis_sdk.workspace.capabilities import lacking
        from infometis_sdk.workspace.checking import validate

        root = self._workspace.project.root
        found = (
            *validate(self.manifests, root),
            *lacking(self.target, plan, self.manifests, self.cluster, self.run),
        )
        faults = [str(fault) for fault in found if fault.level == "error"]
        faults += plan.blocked
        notes = [str(fault) for fault in found if fault.level != "error"]
        if unasked := sum(item.certainty == "predicted" for item in plan.items):
            what = "object rests" if unasked == 1 else "objects rest"
            notes.append(f"{unasked} {what} on what comes along, and the server is asked then")
        ours = platform_class(self.cluster, self.target.platform.capabilities, self.run)
        theirs = platform_class(
            self.source._cluster(self.run), self.source.platform.capabilities, self.run
        )
        differing, untold = class_faults(theirs, ours, self.step.allow)
        faults += differing
        evidence = {
            "objects": len(self.manifests.manifests),
            "source": known_class(theirs),
            "target": known_class(ours),
            "notes": [*notes, *untold],
        }
        detail = f"{len(self.manifests.manifests)} objects, Kubernetes {ours.kubernetes}"
        return attrs.evolve(
            stage,
            state="failed" if faults else "passed",
            detail=f"{len(faults)} faults" if faults else detail,
            faults=faults,
            evidence=evidence,
        )

    # --- 2: the border ------------------------------------------------------------------------

    def border(self, stage: StageResult) -> StageResult:
        """Look whether the target's border renders, and rests on what is there and still valid."""
        from infometis_sdk.workspace.publishing import border_findings

        if self.target.environment.border.type == "none":
            why = f"{self.target.name} publishes nothing: it has no border"
            return attrs.evolve(stage, state="not applicable", detail=why)
        routes = self.target.compose().routes
        findings = border_findings(self.target, self.manifests, self.cluster, self.run)
        faults = [
            f"{each.check}: {each.detail}; {each.cure}".rstrip("; ")
            for each in findings
            if each.level == "error"
        ]
        return attrs.evolve(
            stage,
            state="failed" if faults else "passed",
            detail=f"{len(faults)} faults" if faults else f"{len(routes)} routes render",
            faults=faults,
            evidence={
                "routes": {route.name: route.url for route in routes},
                "findings": [f"{each.level} {each.check}: {each.detail}" for each in findings],
            },
        )

    # --- 3: the services ----------------------------------------------------------------------

    def deployment(
        self, stage: StageResult, plan: Plan, confirm: str, reason: str
    ) -> tuple[StageResult, int]:
        """Deploy exactly the source's core, wait, and prove that both now run the same.

        Returns:
            The stage, and the number of the Release that was made.

        """
        begun = time.monotonic()
        report = self.target._carry_out(
            plan,
            self.manifests,
            self.cluster,
            self.run,
            check=True,
            confirm=confirm,
            verb="promote",
            reason=reason,
            begun=begun,
        )
        self.busy += time.monotonic() - begun
        applied = report.apply
        after = self.target.releases(run=self.run).live
        faults = [
            f"{name}: {text}" for name, text in report.health.checks.items() if "failed" in text
        ]
        evidence: dict[str, Any] = {
            **stage.evidence,
            "apply": applied.headline() if applied else "",
            "health": report.health.headline(),
            "release": after.number if after else 0,
            "bundle": after.bundle if after else "",
        }
        faults += self._unproven(evidence)
        return (
            attrs.evolve(
                stage,
                state="failed" if faults else "passed",
                detail=report.headline(),
                faults=faults,
                evidence=evidence,
                simulated=self.target._simulated,
            ),
            after.number if after else 0,
        )

    def _unproven(self, evidence: dict[str, Any]) -> list[str]:
        """Prove that both run the same core, live; say what keeps them from it."""
        try:
            proof = self._workspace.prove(self.source.name, self.target.name, run=self.run)
        except InfometisError as error:
            self.run.check("proving that both are the same")
            return [f"it is not proven that both run the same: {error.message}"]
        evidence["proof"] = proof.headline()
        if proof.verdict != "different":
            return []
        reasons = [f"{s.service}: {'; '.join(s.reasons)}" for s in proof.services if s.reasons]
        return reasons or [proof.headline()]

    # --- 4: integration -----------------------------------------------------------------------

    def integration(self, stage: StageResult) -> StageResult:
        """Ask the services' own checks, the border, the project's functions and its Jobs."""
        from infometis_sdk.engine.checks import check_services
        from infometis_sdk.workspace.jobs import read_job, run_job

        begun = time.monotonic()
        simulated = self.target._simulated
        results = check_services(self.cluster, self.manifests, self.run, simulated=simulated)
        told = {f"{r.service}.{r.check}": f"{r.result} {r.detail}".strip() for r in results}
        faults = [
            f"{r.service}.{r.check}: {r.detail}"
            for r in results
            if r.result in ("failed", "not run")
        ]
        for proof in self.target.verify_border(run=self.run).proofs:
            word = f"border {proof.route} {proof.what}".replace("  ", " ")
            told[word] = f"{proof.state} {proof.detail}".strip()
            faults += [f"{word}: {proof.detail}"] if proof.state == "failed" else []
        root = self._workspace.project.root
        for name in self.step.checks:
            wrong = ask(name, self.target, root, self.step.gates.timeout, self.run)
            told[name] = wrong or "passed"
            faults += [f"{name}: {wrong}"] if wrong else []
        for file in self.step.jobs:
            body, wrong = read_job(root, file)
            if not wrong:
                home = (self.target.stack_id, self.manifests.namespace)
                wrong = run_job(
                    self.cluster, *home, body, self.run, manifests=self.manifests.manifests
                )
            told[file] = wrong or "completed"
            faults += [f"{file}: {wrong}"] if wrong else []
        self.busy += time.monotonic() - begun
        unasked = sum(result.result == "not applicable" for result in results)
        asked = len(told) - unasked
        state = "failed" if faults else "passed" if asked else "not applicable"
        detail = (
            f"{asked - len(faults)} of {asked} checks passed" if asked else "nothing is checked"
        )
        if unasked:
            detail += f", {unasked} not applicable"
        return attrs.evolve(
            stage, state=state, detail=detail, faults=faults, evidence=told, simulated=simulated
        )

    # --- 5: performance -----------------------------------------------------------------------

    def performance(self, stage: StageResult) -> StageResult:
        """Compare what probes measure now on both sides, and with the target's own history."""
        if not self._workspace.project.probes:
            detail = "the project names no probes"
            return attrs.evolve(stage, state="not applicable", detail=detail)
        begun = time.monotonic()
        found = self._workspace.compare(self.source.name, self.target.name, run=self.run)
        self.busy += time.monotonic() - begun
        # Behaviour was judged in the stage before.
        worse = [m for m in found.measures if m in found.worse]
        faults = [f"{m.name}: {m.detail or m.verdict}" for m in worse]
        judged = [m for m in found.measures if m.verdict != "not applicable"]
        state = "failed" if faults else "passed" if judged else "not applicable"
        evidence = {
            m.name: {
                "verdict": m.verdict,
                "history": m.history,
                "unit": m.unit,
                "source": m.a.median,
                "target": m.b.median,
                "ratio": m.ratio,
                "tolerance": m.tolerance,
            }
            for m in found.measures
        }
        return attrs.evolve(
            stage,
            state=state,
            detail=found.headline(),
            faults=faults,
            evidence=evidence,
            simulated=bool(found.simulated),
        )

    # --- back ---------------------------------------------------------------------------------

    def rollback(self, number: int, reason: str) -> None:
        """Return the target to an earlier Release.

        Raises:
            InfometisError: it cannot go back, or not all of it.

        """
        then = self._workspace[self.target.name].at_release(number, run=self.run)
        manifests, cluster = then._valid(), then._cluster(self.run)
        plan = then._plan(manifests, cluster, self.run, services=(), adopt=(), accept_data_loss=())
        then._carry_out(
            plan,
            manifests,
            cluster,
            self.run,
            confirm=plan.digest,
            verb="rollback",
            reason=reason,
            begun=time.monotonic(),
        )
