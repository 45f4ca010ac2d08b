"""Typed doors to the hooks of all plugins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from infometis_sdk import hookspecs
from infometis_sdk._plugins.mistakes import misfit, unmarked
from infometis_sdk._plugins.records import (
    DISABLE,
    Candidate,
    PluginInfo,
    PluginProblem,
    candidate_of,
    clash_of,
    info_of,
    problem_of,
    text_of,
)
from infometis_sdk._serde import nearest, structure
from infometis_sdk.errors import (
    PluginClashError,
    PluginError,
    PluginLoadError,
    ProjectError,
    UnknownPluginError,
)
from infometis_sdk.model.service import ServiceSource
from infometis_sdk.ports.audit import AuditSinkSpec
from infometis_sdk.ports.border import BorderSpec
from infometis_sdk.ports.notifier import NotifierSpec
from infometis_sdk.ports.platform import PlatformSpec

if TYPE_CHECKING:
    from infometis_sdk.model.border import Border
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.report import ApplyReport

__all__ = ("Plugins",)

_OWN = "infometis-sdk"
Record = TypeVar("Record", PlatformSpec, BorderSpec, ServiceSource, AuditSinkSpec, NotifierSpec)
_Sink = TypeVar("_Sink", AuditSinkSpec, NotifierSpec)


class Plugins:
    """All plugins of one workspace; typed doors to their hooks.

    Example:
        .. code-block:: python

            plugins = Plugins.load()
            plugins.platforms()["embedded"].summary

    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.NAME)
        self._manager.add_hookspecs(hookspecs)
        self._loaded: dict[str, Candidate] = {}
        self._objects: dict[str, Any] = {}
        self._disabled: list[Candidate] = []
        self._problems: list[PluginProblem] = []
        self._clashes: list[tuple[str, Candidate, Candidate]] = []
        self._platforms: Mapping[str, PlatformSpec] | None = None
        self._borders: Mapping[str, BorderSpec] | None = None
        self._services: Mapping[str, ServiceSource] | None = None
        self._audit_sinks: Mapping[str, AuditSinkSpec] | None = None
        self._notifiers: Mapping[str, NotifierSpec] | None = None
        self._owners: dict[tuple[str, str], Candidate] = {}

    @classmethod
    def load(
        cls, extra: Iterable[Any] = (), *, found: Iterable[EntryPoint] | None = None
    ) -> Plugins:
        """Load every installed plugin, and the given ones.

        Args:
            extra: plugin modules or objects, such as those of ``Workspace(plugins=…)``.
            found: entry points; those of group ``infometis`` of this Python when ``None``.

        Returns:
            The plugins. One that is broken is in :attr:`problems` and takes no part.

        Raises:
            PluginLoadError: one of ``extra`` is broken; it was asked for by hand.

        """
        plugins = cls()
        points = entry_points(group=hookspecs.NAME) if found is None else found
        plugins._load_found([candidate_of(point) for point in points])
        for plugin in extra:
            name = getattr(plugin, "__name__", type(plugin).__name__)
            candidate = Candidate(name=name, module=name)
            problem = plugins._register(candidate, plugin)
            if problem is not None:
                raise PluginLoadError(str(problem), plugin=name) from problem.error
        return plugins

    @property
    def problems(self) -> tuple[PluginProblem, ...]:
        """Why some plugins do not take part."""
        return tuple(self._problems)

    # --- registration -------------------------------------------------------------------------

    def platforms(self) -> Mapping[str, PlatformSpec]:
        """Return the registered platforms by name.

        Raises:
            PluginClashError: two plugins offer one name.

        """
        if self._platforms is None:
            self._platforms = self._records("platform", "infometis_platforms", PlatformSpec)
        return self._platforms

    def borders(self) -> Mapping[str, BorderSpec]:
        """Return the registered border adapters by name.

        Raises:
            PluginClashError: two plugins offer one name.

        """
        if self._borders is None:
            self._borders = self._records("border", "infometis_borders", BorderSpec)
        return self._borders

    def border(self, wanted: Border) -> tuple[BorderSpec, Any]:
        """Find the border adapter that an environment names, and its settings.

        Raises:
            UnknownPluginError: nobody offers it.
            PluginLoadError: the plugin that should offer it is broken.
            ProjectError: the settings are wrong; every fault.

        """
        known = self.borders()
        if wanted.type not in known:
            raise self._unknown(wanted.type, known, "border")
        spec = known[wanted.type]
        if isinstance(wanted.settings, spec.settings):
            return spec, wanted.settings
        settings, faults = structure(spec.settings, wanted.settings, path=f"border.{spec.name}")
        if faults:
            raise ProjectError(faults)
        return spec, settings

    def services(self) -> Mapping[str, ServiceSource]:
        """Return the registered services by name.

        Raises:
            PluginClashError: two plugins offer one name.

        """
        if self._services is None:
            self._services = self._records("service", "infometis_services", ServiceSource)
        return self._services

    def audit_sinks(self) -> Mapping[str, AuditSinkSpec]:
        """Return the registered audit sinks by name.

        Raises:
            PluginClashError: two plugins offer one name.

        """
        if self._audit_sinks is None:
            self._audit_sinks = self._records("audit sink", "infometis_audit_sinks", AuditSinkSpec)
        return self._audit_sinks

    def audit_sink(self, wanted: Mapping[str, Any]) -> tuple[AuditSinkSpec, Any]:
        """Find the sink that an environment names, ``{"type": …, …}``, and its settings.

        Raises:
            UnknownPluginError: nobody offers it.
            ProjectError: the settings are wrong; every fault.

        """
        return self._named(wanted, self.audit_sinks(), "audit sink", "policies.audit.sinks")

    def notifiers(self) -> Mapping[str, NotifierSpec]:
        """Return the registered notifiers by name.

        Raises:
            PluginClashError: two plugins offer one name.

        """
        if self._notifiers is None:
            self._notifiers = self._records("notifier", "infometis_notifiers", NotifierSpec)
        return self._notifiers

    def notifier(self, wanted: Mapping[str, Any]) -> tuple[NotifierSpec, Any]:
        """Find the notifier that an environment names, ``{"type": …, …}``, and its settings.

        Raises:
            UnknownPluginError: nobody offers it.
            ProjectError: the settings are wrong; every fault.

        """
        return self._named(wanted, self.notifiers(), "notifier", "policies.notify")

    def _named(
        self, wanted: Mapping[str, Any], known: Mapping[str, _Sink], kind: str, path: str
    ) -> tuple[_Sink, Any]:
        name = str(wanted.get("type", ""))
        if name not in known:
            raise self._unknown(name, known, kind)
        body = {key: value for key, value in wanted.items() if key != "type"}
        settings, faults = structure(known[name].settings, body, path=path)
        if faults:
            raise ProjectError(faults)
        return known[name], settings

    def platform(self, wanted: Any) -> tuple[PlatformSpec, Any]:  # noqa: ANN401 - settings of any plugin
        """Find the platform that an environment names, and its settings.

        Args:
            wanted: a typed settings object, or ``{"type": …, …}``.

        Raises:
            UnknownPluginError: nobody offers it.
            PluginLoadError: the plugin that should offer it is broken.
            ProjectError: the settings are wrong; every fault.

        """
        known = self.platforms()
        if not isinstance(wanted, Mapping):
            for spec in known.values():
                if isinstance(wanted, spec.settings):
                    return spec, wanted
            msg = f"no plugin offers a platform with settings {type(wanted).__name__}"
            raise UnknownPluginError(msg, hint="install and enable the plugin of that class")
        name = str(wanted.get("type", ""))
        if name not in known:
            raise self._unknown(name, known)
        body = {key: value for key, value in wanted.items() if key != "type"}
        try:
            settings, faults = structure(known[name].settings, body, path="platform")
        except NameError as error:
            msg = f"the settings of platform {name!r} cannot be read: {error}"
            hint = "import the types of its fields at run time, not under TYPE_CHECKING"
            raise PluginLoadError(msg, plugin=name, hint=hint) from error
        if faults:
            raise ProjectError(faults)
        return known[name], settings

    # --- observers ----------------------------------------------------------------------------

    def before_apply(self, plan: Plan) -> None:
        """Tell every plugin that a plan is about to be applied.

        Raises:
            PluginError: a plugin objects, or is broken; nothing has been written.

        """
        for name, call in self._callers("infometis_before_apply"):
            try:
                call(plan=plan)
            except Exception as error:
                msg = f"plugin {name!r} stopped the apply before the first write: {text_of(error)}"
                raise PluginError(msg, plugin=name) from error

    def after_apply(self, plan: Plan, report: ApplyReport) -> tuple[str, ...]:
        """Tell every plugin how an apply ended.

        Returns:
            One warning for each plugin that failed.

        """
        warnings = []
        for name, call in self._callers("infometis_after_apply"):
            try:
                call(plan=plan, report=report)
            except Exception as error:  # noqa: BLE001 - an observer cannot undo what was done
                warnings.append(f"plugin {name!r} failed after the apply: {text_of(error)}")
        return tuple(warnings)

    # --- listing ------------------------------------------------------------------------------

    def listing(self) -> tuple[PluginInfo, ...]:
        """Return every plugin that was found, by name; raises nothing."""
        for ask in (self.platforms, self.borders, self.services, self.audit_sinks, self.notifiers):
            try:
                ask()
            except PluginClashError:
                continue
        rows = []
        broken = {(p.name, p.distribution): p for p in self._problems}
        offers: dict[str, list[str]] = {}
        for (kind, name), candidate in self._owners.items():
            offers.setdefault(candidate.name, []).append(f"{kind} {name}")
        clashes = {one: what for what, *both in self._clashes for one in both}
        for candidate in self._loaded.values():
            what = clashes.pop(candidate, "")
            problem = broken.pop((candidate.name, candidate.distribution), None)
            state = "clash" if what else "broken" if problem else "loaded"
            detail = (
                f"another plugin offers {what} too" if what else problem.message if problem else ""
            )
            rows.append(info_of(candidate, state, detail, offers.get(candidate.name, ())))
        rows += [
            info_of(c, "clash", f"another plugin is the {what} too") for c, what in clashes.items()
        ]
        rows += [info_of(candidate, "disabled") for candidate in self._disabled]
        rows += [
            PluginInfo(
                name=p.name,
                distribution=p.distribution,
                version=p.version,
                state="broken",
                detail=p.message,
            )
            for p in broken.values()
        ]
        return tuple(sorted(rows, key=lambda row: (row.name, row.distribution)))

    # --- loading ------------------------------------------------------------------------------

    def _load_found(self, candidates: list[Candidate]) -> None:
        barred = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
        by_name: dict[str, list[Candidate]] = {}
        for candidate in sorted(candidates, key=lambda c: (c.name, c.distribution, c.module)):
            out = candidate.name in barred or ("*" in barred and candidate.distribution != _OWN)
            if out:
                self._disabled.append(candidate)
            else:
                by_name.setdefault(candidate.name, []).append(candidate)
        for name, same in by_name.items():
            if len(same) > 1:
                self._clashes += [(f"plugin {name!r}", same[0], other) for other in same[1:]]
                continue
            (candidate,) = same
            try:
                plugin = candidate.load() if candidate.load else None
            except (Exception, SystemExit) as error:  # noqa: BLE001 - importing runs others' code
                message = f"cannot be imported: {text_of(error)}"
                self._problems.append(problem_of(candidate, "import", message, error))
                continue
            problem = self._register(candidate, plugin)
            if problem is not None:
                self._problems.append(problem)

    def _register(self, candidate: Candidate, plugin: Any) -> PluginProblem | None:  # noqa: ANN401
        """Register one plugin, or say why not; pluggy lets most mistakes pass."""
        for mistake in unmarked(plugin):
            return problem_of(candidate, "register", mistake)
        try:
            self._manager.register(plugin, name=candidate.name)
        except Exception as error:  # noqa: BLE001 - pluggy's own, and what a plugin's attributes raise
            return problem_of(candidate, "register", text_of(error), error)
        known = [name for name in hookspecs.__all__ if name.startswith(f"{hookspecs.NAME}_")]
        callers = self._manager.get_hookcallers(plugin) or []
        for caller in callers:
            optional = any(i.optionalhook for i in caller.get_hookimpls() if i.plugin is plugin)
            if not caller.has_spec() and not optional:
                self._manager.unregister(plugin)
                near = nearest(caller.name, known)
                guess = f"; did you mean {near!r}?" if near else ""
                return problem_of(candidate, "register", f"unknown hook {caller.name!r}{guess}")
        if not callers:
            self._manager.unregister(plugin)
            return problem_of(candidate, "register", "has no hook")
        self._loaded[candidate.name] = candidate
        self._objects[candidate.name] = plugin
        return None

    def _callers(self, hook: str) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Yield each plugin that has the hook, and a way to call it alone: errors can name it."""
        for name, plugin in self._objects.items():
            callers = self._manager.get_hookcallers(plugin) or []
            if any(caller.name == hook for caller in callers):
                others = [other for other in self._objects.values() if other is not plugin]
                yield name, self._manager.subset_hook_caller(hook, others)

    def _records(self, kind: str, hook: str, record: type[Record]) -> Mapping[str, Record]:
        if self._clashes:
            raise clash_of(*self._clashes[0])
        found: dict[str, Record] = {}
        for name, call in self._callers(hook):
            candidate = self._loaded[name]
            try:
                items = [item for result in call() for item in result]
            except (Exception, SystemExit) as error:  # noqa: BLE001 - others' code
                message = f"{hook} failed: {text_of(error)}"
                self._problems.append(problem_of(candidate, hook, message, error))
                continue
            wrong = [mistake for item in items if (mistake := misfit(item, record))]
            if wrong:
                self._problems.append(problem_of(candidate, hook, f"{hook} returned {wrong[0]}"))
                continue
            for item in items:
                other = self._owners.setdefault((kind, item.name), candidate)
                if other is not candidate or item.name in found:
                    clash = (f"{kind} {item.name!r}", other, candidate)
                    self._clashes.append(clash)
                    raise clash_of(*clash)
                found[item.name] = item
        return MappingProxyType(found)

    def _unknown(self, name: str, known: Mapping[str, Any], kind: str = "platform") -> PluginError:
        for problem in self._problems:
            if problem.name in (name, f"{kind.replace(' ', '-')}-{name}"):
                error = PluginLoadError(
                    str(problem), plugin=problem.name, hint="mend or reinstall it"
                )
                error.__cause__ = problem.error
                return error
        near = nearest(name, known)
        hints = [f"did you mean {near!r}?"] if near else []
        hints.append(f"known: {', '.join(sorted(known)) or 'none'}")
        hints += [str(problem) for problem in self._problems]
        return UnknownPluginError(
            f"no plugin offers the {kind} {name!r}", plugin=name, hint="; ".join(hints)
        )
