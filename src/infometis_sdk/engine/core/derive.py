"""Derive influence: vary each parameter by itself, and see which fields of objects follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk.engine.core.influence import uncovered
from infometis_sdk.engine.inputs.values import bound_error, normal, type_error
from infometis_sdk.engine.objects import paths, quantity
from infometis_sdk.engine.templates.configfile import changed_keys
from infometis_sdk.engine.templates.render_service import keyed_objects, render_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.parameter import Parameter
    from infometis_sdk.model.stack import ComposedService, ComposedStack

__all__ = ("Derived", "derive_influence")


@frozen(kw_only=True)
class Derived:
    """What was seen to follow one parameter.

    Attributes:
        varied: the value that was tried instead; ``None`` where none was accepted.
        seen: what changed, written as in ``affects``.
        undeclared: what of that no ``affects`` of the parameter declares.

    """

    varied: Any = None
    seen: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()


def derive_influence(stack: ComposedStack, service: str) -> dict[str, Derived]:
    """Vary every parameter of a service that is not core, one at a time.

    A template may refuse a value that does not fit the others; then other values are tried,
    and where all are refused nothing is said.

    Args:
        stack: a composed stack; its values are the ones that are varied from.
        service: name of one of its services.

    Returns:
        By parameter.

    Raises:
        KeyError: there is no such service.

    Example:
        >>> from infometis_sdk.engine.compose import compose
        >>> from infometis_sdk.model import Environment, Project, Service
        >>> project = Project(name="p", services={"a": Service.web("a", image="a:1", port=80)})
        >>> derived = derive_influence(compose(project, Environment("dev")), "a")
        >>> derived["replicas"].seen
        ('Deployment/a spec.replicas',)

    """
    composed = stack.service(service)
    services = {other.name: other.service for other in stack.services}
    drafts, faults, texts = render_service(stack, composed.service, composed.values, services)
    if faults:
        return {}
    base = keyed_objects(drafts)
    found: dict[str, Derived] = {}
    for name, parameter in composed.service.parameters.items():
        if parameter.scope == "core":
            continue
        found[name] = Derived()
        for value in _others(parameter, composed.values[name]):
            values = {**composed.values, name: value}
            drafts, faults, _ = render_service(
                stack, composed.service, values, services, same_as=texts
            )
            if not faults:
                found[name] = _compare(composed, name, value, base, keyed_objects(drafts))
                break
    return found


_Objects = dict[tuple[str, str], dict[str, Any]]


def _compare(
    composed: ComposedService,
    name: str,
    value: Any,  # noqa: ANN401 - of any parameter
    base: _Objects,
    other: _Objects,
) -> Derived:
    missed = tuple(
        f"{kind}/{obj} {path}".rstrip()
        for (kind, obj), path, _ in uncovered(composed.service, (name,), base, other)
    )
    return Derived(varied=value, seen=tuple(_seen(base, other)), undeclared=missed)


def _seen(base: _Objects, other: _Objects) -> Iterator[str]:
    """Yield every difference, files key by key."""
    for kind, name in sorted({*base, *other}):
        left, right = base.get((kind, name)), other.get((kind, name))
        if left is None or right is None:
            yield f"+ {kind}/{name}"
            continue
        for path, (old, new) in paths.differences(left, right).items():
            keys = changed_keys(path, old, new)
            if keys is None:
                yield f"{kind}/{name} {path}"
            else:
                yield from (f"{kind}/{name} {path} {key}" for key in keys)


def _others(parameter: Parameter, value: Any) -> Iterator[Any]:  # noqa: ANN401 - of any parameter
    """Yield other legal values, the likeliest to be accepted first."""
    for other in (
        *parameter.choices,
        *_guesses(parameter.type, value),
        parameter.min,
        parameter.max,
    ):
        if other is None or type_error(parameter, other):
            continue
        final = normal(parameter, other)
        if final != value and not bound_error(parameter, final):
            yield final
    if parameter.optional and value is not None:
        yield None


def _guesses(kind: str, value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - of any parameter
    match kind:
        case "integer" | "number":
            number = value or 0
            return (number + 1, number - 1, number + 2, number * 2)
        case "quantity":
            amount = quantity.parse(value or "1Gi").value
            return (_plain(amount * 2), _plain(amount / 2), _plain(amount * 5 / 4))
        case "boolean":
            return (not value,)
        case "string":
            return (f"{value or ''}x", "other", "https://other.example.com")
        case "list":
            return ([*(value or ()), {"key": "other", "operator": "Exists"}], ["other"])
        case "map":
            return ({**(value or {}), "other": "value"},)
    return ()


def _plain(amount: Any) -> str:  # noqa: ANN401 - a fraction
    return f"{int(amount * 1000)}m"
