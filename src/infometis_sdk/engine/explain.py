"""Explain: which layer, file and line set a value, and what that value may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from infometis_sdk.engine.core.derive import derive_influence
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.parameter import Parameter
from infometis_sdk.model.report import Report, Table
from infometis_sdk.model.stack import ComposedService, ComposedStack, Setting

__all__ = ("Explanation", "InfluenceReport", "explain", "explain_influence")


@frozen(kw_only=True, repr=False)
class Explanation(Report):
    """Where one value comes from.

    Attributes:
        path: ``service.parameter``, or below it.
        value: the final value; ``None`` when unset.
        set_by: file and line, or layer, of the word that won.
        chain: every layer's word on it, lowest layer first.
        parameter: what the descriptor says of it.
        affects: where its influence ends; empty for a core parameter, which may change anything.
        driven: between which bounds an autoscaler sets it on the cluster, and who says so;
            empty where the value itself counts.

    """

    path: str
    value: Any
    set_by: Origin
    chain: tuple[Setting, ...] = field(converter=tuple[Setting, ...])
    parameter: Parameter
    affects: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    driven: str = ""

    def headline(self) -> str:
        """Say the value and who set it."""
        where = f"{self.set_by.layer}, {self.set_by}" if self.set_by.file else self.set_by.layer
        return f"{self.path} = {_show(self.value)} ({where})"

    def table(self) -> Table:
        """Show one row a layer, the one that won marked."""
        last = len(self.chain) - 1
        rows = tuple(
            (
                "*" if number == last else "",
                setting.origin.layer,
                _show(setting.value),
                str(setting.origin) if setting.origin.file else "",
            )
            for number, setting in enumerate(self.chain)
        )
        about = f"{self.parameter.type}, scope {self.parameter.scope}, {self.parameter.mutability}"
        footer = [about, self.driven] if self.driven else [about]
        if self.parameter.doc:
            footer.append(self.parameter.doc)
        footer.extend(f"may change {path}" for path in self.affects)
        return Table(
            title=self.headline(),
            columns=("", "LAYER", "VALUE", "WHERE"),
            rows=rows,
            footer=tuple(footer),
        )


@frozen(kw_only=True, repr=False)
class InfluenceReport(Report):
    """What each parameter of each service may change.

    Attributes:
        stack_id: of the stack.
        service: the one that was asked for; empty for all.
        rows: ``service.parameter``, its scope, and the paths that it declares.
        seen: what changed when the parameter alone was varied.
        undeclared: what of that it does not declare; such a value could not be rendered.

    """

    stack_id: str
    service: str = ""
    rows: tuple[tuple[str, str, tuple[str, ...]], ...] = field(
        converter=tuple[tuple[str, str, tuple[str, ...]], ...]
    )
    seen: Mapping[str, tuple[str, ...]] = field(factory=dict)
    undeclared: Mapping[str, tuple[str, ...]] = field(factory=dict)

    def headline(self) -> str:
        """Count the parameters."""
        return f"{len(self.rows)} parameters of {self.service or self.stack_id} are not core"

    def table(self) -> Table:
        """Show one row a declared path, and below what follows a parameter undeclared."""
        return Table(
            title=self.headline(),
            columns=("PARAMETER", "SCOPE", "MAY CHANGE"),
            rows=tuple(
                (name, scope, path)
                for name, scope, paths in self.rows
                for path in paths or ("nothing",)
            ),
            footer=tuple(
                f"{name} also changes {path}, which it does not declare"
                for name, paths in self.undeclared.items()
                for path in paths
            ),
        )


def explain(stack: ComposedStack, path: str) -> Explanation:
    """Tell where a value comes from.

    Args:
        stack: a composed stack.
        path: ``service.parameter``, or deeper into a map, such as ``kafka.config.retention``.

    Raises:
        ProjectError: no such service, parameter or value; with the nearest known name.

    Example:
        >>> from infometis_sdk.engine.compose import compose
        >>> from infometis_sdk.model import Environment, Project, Service
        >>> n = Parameter(type="integer", default=1, scope="scale")
        >>> project = Project(name="p", services={"a": Service(name="a", parameters={"n": n})})
        >>> stack = compose(project, Environment("dev", values={"a": {"n": 2}}))
        >>> explain(stack, "a.n").headline()
        'a.n = 2 (environment)'

    """
    name, _, rest = path.partition(".")
    services = {composed.name: composed for composed in stack.services}
    if name not in services:
        kind = "service"
        raise _unknown(kind, name, list(services))
    composed = services[name]
    key, _, below = rest.partition(".")
    known = composed.service.parameters
    if not key:
        legal = ", ".join(f"{name}.{parameter}" for parameter in sorted(known)) or "none"
        fault = Fault(message=f"{path!r} names a service, not a parameter", legal=legal)
        raise ProjectError([fault])
    if key not in known:
        kind = f"parameter of {name}"
        raise _unknown(kind, key, list(known))
    value = composed.values[key]
    for step in below.split(".") if below else ():
        if not isinstance(value, dict) or step not in value:
            children = list(value) if isinstance(value, dict) else []
            kind = f"value below {name}.{key}"
            raise _unknown(kind, step, [str(child) for child in children])
        value = value[step]
    chain = composed.history.get(rest) or _above(composed, rest)
    return Explanation(
        path=path,
        value=value,
        set_by=chain[-1].origin,
        chain=chain,
        parameter=known[key],
        affects=tuple(str(item) for item in known[key].affects),
        driven=_driven(stack, composed, key),
    )


def _driven(stack: ComposedStack, composed: ComposedService, parameter: str) -> str:
    environment, rule = stack.environment, composed.service.scaling
    policy = environment.policies.scaling.get(composed.name)
    if policy is None or rule is None or rule.parameter != parameter:
        return ""
    origin = environment.sources.get(f"policies.scaling.{composed.name}", environment.origin)
    return f"an autoscaler sets it on the cluster, from {policy.min} to {policy.max} ({origin})"


def explain_influence(stack: ComposedStack, service: str = "") -> InfluenceReport:
    """Tell what each parameter that is not core may change; of one service where it is named.

    Each parameter is also varied by itself, to see what really follows it.

    Raises:
        ProjectError: no such service; with the nearest known name.

    Example:
        >>> from infometis_sdk.engine.compose import compose
        >>> from infometis_sdk.model import Environment, Project
        >>> explain_influence(compose(Project(name="p"), Environment("dev"))).headline()
        '0 parameters of p-dev are not core'

    """
    names = [composed.name for composed in stack.services]
    if service and service not in names:
        kind = "service"
        raise _unknown(kind, service, names)
    derived = {
        f"{composed.name}.{name}": found
        for composed in stack.services
        if service in ("", composed.name)
        for name, found in derive_influence(stack, composed.name).items()
    }
    return InfluenceReport(
        stack_id=stack.stack_id,
        service=service,
        rows=tuple(
            (
                f"{composed.name}.{name}",
                parameter.scope,
                tuple(str(item) for item in parameter.affects),
            )
            for composed in stack.services
            if service in ("", composed.name)
            for name, parameter in composed.service.parameters.items()
            if parameter.scope != "core"
        ),
        seen={name: found.seen for name, found in derived.items()},
        undeclared={name: found.undeclared for name, found in derived.items() if found.undeclared},
    )


def _above(composed: ComposedService, path: str) -> tuple[Setting, ...]:
    """Return the history of the nearest value above one that came as part of it."""
    while path and path not in composed.history:
        path = path.rpartition(".")[0]
    return composed.history[path]


def _unknown(what: str, name: str, known: list[str]) -> ProjectError:
    fault = Fault(
        message=f"unknown {what} {name!r}",
        legal=", ".join(sorted(known)) or "none",
        nearest=nearest(name, known),
    )
    return ProjectError([fault])


def _show(value: Any) -> str:  # noqa: ANN401 - JSON
    return "unset" if value is None else repr(value) if not isinstance(value, str) else value
