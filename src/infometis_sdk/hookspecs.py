"""Every hook, in the order of a stack's life.

Two kinds only: *registration* hooks, which return light records, and *observer* hooks,
which are told what happened and return nothing.
A plugin imports :data:`hookimpl` from here and never makes a marker of its own,
since pluggy ignores implementations with another project name without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.report import ApplyReport
    from infometis_sdk.model.service import ServiceSource
    from infometis_sdk.ports.audit import AuditSinkSpec
    from infometis_sdk.ports.border import BorderSpec
    from infometis_sdk.ports.notifier import NotifierSpec
    from infometis_sdk.ports.platform import PlatformSpec

__all__ = (
    "NAME",
    "hookimpl",
    "hookspec",
    "infometis_after_apply",
    "infometis_audit_sinks",
    "infometis_before_apply",
    "infometis_borders",
    "infometis_notifiers",
    "infometis_platforms",
    "infometis_services",
)

NAME = "infometis"
"""pluggy project name, entry-point group and hook prefix in one constant."""

hookspec = pluggy.HookspecMarker(NAME)
hookimpl = pluggy.HookimplMarker(NAME)


# --- registration -----------------------------------------------------------------------------


@hookspec
def infometis_platforms() -> Iterable[PlatformSpec]:
    """Register platforms.

    Called once, when a workspace first needs to know the platforms.

    Returns:
        Records; nothing heavy is imported until a record's factory runs.
        Results of all plugins are joined; two records of one name are an error naming both.

    Example:
        .. code-block:: python

            @hookimpl
            def infometis_platforms():
                return (PlatformSpec(name="mine", summary="…", settings=Mine, factory=make),)

    .. versionadded:: 0.1.0

    """
    return ()


@hookspec
def infometis_borders() -> Iterable[BorderSpec]:
    """Register border adapters.

    Called once, when an environment that names a border is first looked at.

    Returns:
        Records; nothing heavy is imported until a record's factory runs.
        Results of all plugins are joined; two records of one name are an error naming both.

    Example:
        .. code-block:: python

            @hookimpl
            def infometis_borders():
                return (BorderSpec(name="mine", summary="…", settings=Mine, factory=MyBorder),)

    .. versionadded:: 0.1.0

    """
    return ()


@hookspec
def infometis_services() -> Iterable[ServiceSource]:
    """Register services that projects may name, as the catalogue does.

    Called once, when a workspace first needs to know the services.

    Returns:
        Records; a service is read from its package only when a project names it.
        Results of all plugins are joined; two records of one name are an error naming both.

    Example:
        .. code-block:: python

            @hookimpl
            def infometis_services():
                return (ServiceSource(name="whoami", summary="…", package="my_pkg.whoami"),)

    .. versionadded:: 0.1.0

    """
    return ()


@hookspec
def infometis_audit_sinks() -> Iterable[AuditSinkSpec]:
    """Register sinks that get a copy of every audit record, where an environment names them.

    Called once, when an environment whose ``policies.audit`` names a sink is first acted on.

    Returns:
        Records; a sink is made only for an environment that names it.
        Results of all plugins are joined; two records of one name are an error naming both.

    Example:
        .. code-block:: python

            @hookimpl
            def infometis_audit_sinks():
                return (AuditSinkSpec(name="siem", summary="…", settings=Siem, factory=make),)

    .. versionadded:: 0.1.0

    """
    return ()


@hookspec
def infometis_notifiers() -> Iterable[NotifierSpec]:
    """Register notifiers, which tell those who are on call what a guard cannot mend.

    Called once, when a guard begins whose environment names a notifier in ``policies.notify``.

    Returns:
        Records; a notifier is made only for an environment that names it.
        Results of all plugins are joined; two records of one name are an error naming both.

    Example:
        .. code-block:: python

            @hookimpl
            def infometis_notifiers():
                return (NotifierSpec(name="pager", summary="…", settings=Pager, factory=make),)

    .. versionadded:: 0.1.0

    """
    return ()


# --- observers --------------------------------------------------------------------------------


@hookspec
def infometis_before_apply(plan: Plan) -> None:
    """Be told that a plan is about to be applied.

    Called after every refusal has been decided and before the first write.

    Args:
        plan: what will be done; holds no secret.

    Returns:
        Nothing; an exception stops the apply, names the plugin, and nothing is written.

    Example:
        .. code-block:: python

            @hookimpl
            def infometis_before_apply(plan):
                print(f"applying {plan.digest}")

    .. versionadded:: 0.1.0

    """


@hookspec
def infometis_after_apply(plan: Plan, report: ApplyReport) -> None:
    """Be told how an apply ended.

    Called once for each apply, also for a failed one.

    Args:
        plan: what was to be done.
        report: what was done.

    Returns:
        Nothing; an exception becomes a warning that names the plugin.

    Example:
        .. code-block:: python

            @hookimpl
            def infometis_after_apply(plan, report):
                print(report.headline())

    .. versionadded:: 0.1.0

    """
