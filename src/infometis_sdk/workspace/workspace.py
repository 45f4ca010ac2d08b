"""A project with its plugins: the way from files to stacks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from infometis_sdk._plugins import Plugins
from infometis_sdk._serde import nearest
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.fault import Fault
from infometis_sdk.workspace.pins import cache_home, state_home
from infometis_sdk.workspace.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infometis_sdk.model.bundle import Bundle
    from infometis_sdk.model.comparison import ComparisonReport, Probe
    from infometis_sdk.model.equivalence import EquivalenceReport
    from infometis_sdk.model.project import Project
    from infometis_sdk.model.promotion import PipelineReport, PromotionReport
    from infometis_sdk.model.run import Run

__all__ = ("Workspace",)


class Workspace:
    """A project, its plugins, and a :class:`Stack` for each environment.

    Nothing is loaded or contacted before a stack is asked to do something.

    Args:
        project: loaded from files or built in code.
        plugins: plugin objects besides the installed ones, such as a module with hooks of your own.
        state_dir: where clusters of ours keep their state; the user's state directory by default.
        cache_dir: where downloads and builds are kept; the user's cache directory by default.

    Example:
        >>> import infometis_sdk as im
        >>> ws = im.Workspace(im.Project(name="demo", environments={"dev": im.Environment("dev")}))
        >>> ws["dev"]
        <Stack demo-dev>

    """

    def __init__(
        self,
        project: Project,
        *,
        plugins: Sequence[object] = (),
        state_dir: Path | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        self.project = project
        self._extra = tuple(plugins)
        self.state_dir = state_dir or state_home()
        self.cache_dir = cache_dir or cache_home()

    @cached_property
    def plugins(self) -> Plugins:
        """The plugins, found when they are first needed."""
        return Plugins.load(extra=self._extra)

    @property
    def environments(self) -> tuple[str, ...]:
        """Names of the project's environments."""
        return tuple(self.project.environments)

    def __getitem__(self, environment: str) -> Stack:
        """Return the stack of an environment.

        Raises:
            ProjectError: there is no such environment; the nearest name is told.

        """
        found = self.project.environments.get(environment)
        if found is None:
            fault = Fault(
                message=f"there is no environment {environment!r}",
                legal=", ".join(self.environments) or "none: the project has no environment yet",
                nearest=nearest(environment, self.environments),
            )
            raise ProjectError((fault,))
        if found.preview.of:
            return Stack(self, found, chosen=self[found.preview.of].chosen)
        return Stack(self, found)

    def prove(
        self, a: str, b: str, *, live: bool = True, strict: bool = False, run: Run | None = None
    ) -> EquivalenceReport:
        """Prove that two environments are the same but for what they declare to be different.

        Args:
            a: an environment, or one of its Releases as ``dev@3``.
            b: the other.
            live: look at the clusters too: what runs, against what was deployed there;
                otherwise the project's definitions are compared and nothing is contacted.
            strict: only the verdict ``equal`` passes.
            run: deadline, events, cancel token.

        Raises:
            ProjectError: there is no such environment, or it cannot be rendered.
            ProofError: a side cannot be looked at; ``.side`` names it, ``__cause__`` says why.
            WrongClusterError: it is not the cluster the stack lives on.

        """
        from infometis_sdk.workspace.proving import prove

        return prove(self, a, b, live=live, strict=strict, run=run)

    def compare(
        self,
        a: str,
        b: str,
        *,
        probes: Sequence[Probe] | None = None,
        rounds: int = 10,
        warm_up: int = 2,
        remember: bool = True,
        run: Run | None = None,
    ) -> ComparisonReport:
        """Compare how two environments behave and perform; B is judged against A and its past.

        The functional checks run on both.
        Probes are called on both in turns, and compared under noise with their tolerances.

        Args:
            a: environment that B is held against.
            b: environment that is judged.
            probes: what is measured; those that the project names, where nothing is given.
            rounds: calls of each probe on each side that count.
            warm_up: calls before them that do not.
            remember: keep what was measured, as the history of both.
            run: deadline, events, cancel token.

        Raises:
            ProjectError: there is no such environment or probe.
            ProofError: a side cannot be looked at; ``.side`` names it.

        """
        from infometis_sdk.workspace.comparing import compare

        return compare(
            self, a, b, probes=probes, rounds=rounds, warm_up=warm_up, remember=remember, run=run
        )

    def bundle(self) -> Bundle:
        """Make the project's Bundle: its core, which is the same for every environment.

        No environment and no cluster takes part in it.

        Raises:
            ProjectError: every fault of the services and of the project's own values,
                or a raw Secret has its values in plain sight.

        Example:
            >>> import infometis_sdk as im
            >>> im.Workspace(im.Project(name="demo")).bundle().to_bytes()[:12]
            b'{"format":"i'

        """
        from infometis_sdk.engine.core.bundle import build_bundle

        return build_bundle(self.project)

    def with_project(self, project: Project) -> Workspace:
        """Return a workspace with another project and all else as here."""
        return Workspace(
            project, plugins=self._extra, state_dir=self.state_dir, cache_dir=self.cache_dir
        )

    def promote(
        self,
        source: str,
        target: str,
        *,
        pipeline: str = "",
        dry_run: bool = False,
        approvals: Sequence[Path] = (),
        allow: Sequence[str] = (),
        confirm: str = "",
        reason: str = "",
        rollback: bool = False,
        run: Run | None = None,
    ) -> PromotionReport:
        """Bring exactly the core that runs in one environment to the next one.

        What a crash or a cancel left is gone on with; what was promoted already is left alone.

        Args:
            source: environment whose live Release is promoted.
            target: environment that gets it, with its own values.
            pipeline: where several lead from one to the other.
            dry_run: look at everything, change nothing.
            approvals: files with SSH signatures over the plan's digest.
            allow: names of :data:`~infometis_sdk.model.pipeline.ALLOWANCES`.
            confirm: digest of the plan, where it was looked at.
            reason: why, in your words.
            rollback: return to the Release before where the deployment or its verification fails.
            run: deadline, events, cancel token.

        Raises:
            RefusedError: no pipeline leads there, or what runs in the source is not known for sure.
            TamperedError: the source's Release is not what was recorded.
            GateError: a gate is closed; ``.report`` says what would open it.
            LockedError: another promotion into the target is under way.
            PromotionError: it failed after the first write; ``.report`` says where.

        """
        from infometis_sdk.workspace.promoting import Request, promote

        request = Request(
            pipeline=pipeline,
            dry_run=dry_run,
            approvals=tuple(approvals),
            allow=tuple(allow),
            confirm=confirm,
            reason=reason,
            rollback=rollback,
        )
        return promote(self, source, target, request, run)

    def preview(self, name: str, *, of: str = "dev", ttl: str = "8h") -> Stack:
        """Make a short-lived environment: own namespace, own host, the cluster of another one.

        In a project of files it is written down as ``environments/NAME.yaml``.

        Args:
            name: such as that of a branch.
            of: the environment that it is like.
            ttl: its time to live, such as ``8h``; see :meth:`destroy_expired`.

        Returns:
            Its handle; nothing is deployed yet.

        Raises:
            RefusedError: it cannot be made.

        Example:
            .. code-block:: python

                ws.preview("new-ingest", of="dev", ttl="2d").up()

        """
        from infometis_sdk.workspace.previews import create_preview

        return create_preview(self, name, of, ttl)

    def destroy_preview(self, name: str, *, of: str = "dev", run: Run | None = None) -> None:
        """Remove a preview with its data; nothing happens where there is none.

        Args:
            name: its name.
            of: the environment that it was made of.
            run: deadline, events, cancel token.

        Raises:
            RefusedError: it is no preview.
            ApplyError: something could not be deleted.

        """
        from infometis_sdk.workspace.previews import destroy_preview

        destroy_preview(self, name, of, run)

    def destroy_expired(
        self, *, of: str = "dev", run: Run | None = None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Remove every preview whose time is over, whichever machine made it.

        Args:
            of: the environment whose cluster is looked at.
            run: deadline, events, cancel token.

        Returns:
            Names of those that were removed, and what went wrong with others.

        """
        from infometis_sdk.workspace.previews import destroy_expired

        return destroy_expired(self, of, run)

    def pipeline_status(self, pipeline: str = "", *, run: Run | None = None) -> PipelineReport:
        """Say what runs in each environment of a pipeline, since when, and what the gates said.

        Args:
            pipeline: its name; empty where there is only one.
            run: deadline, events, cancel token.

        Raises:
            RefusedError: there is no such pipeline.

        """
        from infometis_sdk.workspace.pipelines import pipeline_status

        return pipeline_status(self, pipeline, run)

    def __repr__(self) -> str:
        return (
            f"<Workspace {self.project.name}: {', '.join(self.environments) or 'no environments'}>"
        )
