"""Check what an environment says of autoscalers, limits and quotas, against its services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.engine.inputs.values import bound_error
from infometis_sdk.engine.objects import quantity
from infometis_sdk.model.capacity import QUOTA_SCOPES
from infometis_sdk.model.environment import Policies
from infometis_sdk.model.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.capacity import QuotaPolicy, ScalingPolicy
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.service import Scaling, Service

__all__ = ("capacity_faults",)

_QUANTITY = "a quantity such as 4, 500m or 16Gi"
_RULES = ("policies", "selectPolicy", "stabilizationWindowSeconds", "tolerance")
_SELECT = ("Max", "Min", "Disabled")
_OPPOSED = (("Terminating", "NotTerminating"), ("BestEffort", "NotBestEffort"))
_OF_THE_NAMESPACE = ("resource_quota", "scoped_quotas", "limits")


def capacity_faults(services: Mapping[str, Service], environment: Environment) -> Iterator[Fault]:
    """Yield the faults in ``policies.scaling``, ``.limits`` and the quotas.

    Args:
        services: of the project, by name.
        environment: whose policies are checked.

    Example:
        >>> from infometis_sdk.model import Environment, Policies, ScalingPolicy, Service
        >>> policies = Policies(scaling={"db": ScalingPolicy(min=1, max=3, cpu=70)})
        >>> uat = Environment("uat", policies=policies)
        >>> [fault.message for fault in capacity_faults({"db": Service(name="db")}, uat)]
        ["service 'db' may not be scaled: its descriptor says nothing of scaling"]

    """
    for name, policy in environment.policies.scaling.items():
        yield from _scaling(services, environment, name, policy)
    if environment.mode == "shared":
        for word in _OF_THE_NAMESPACE:
            if getattr(environment.policies, word) != getattr(Policies(), word):
                yield _fault(
                    environment,
                    f"policies.{word}",
                    "the namespace of a guest is not ours",
                    legal="none; who owns the cluster sets it",
                )
    yield from _limits(environment)
    for key, amount in environment.policies.resource_quota.items():
        yield from _amount(environment, f"policies.resource_quota.{key}", amount)
    for name, quota in environment.policies.scoped_quotas.items():
        yield from _quota(environment, f"policies.scoped_quotas.{name}", quota)


def _fault(environment: Environment, path: str, message: str, **more: str) -> Fault:
    where = path
    while where and where not in environment.sources:
        where = where.rpartition(".")[0]
    origin = environment.sources.get(where, environment.origin)
    return Fault(message=message, origin=origin, path=path, **more)


def _scaling(
    services: Mapping[str, Service], environment: Environment, name: str, policy: ScalingPolicy
) -> Iterator[Fault]:
    path = f"policies.scaling.{name}"
    service = services.get(name)
    if service is None:
        yield _fault(
            environment,
            path,
            f"there is no service {name!r}",
            legal=", ".join(sorted(services)),
            nearest=nearest(name, services),
        )
        return
    rule = service.scaling
    if rule is None or "out" not in rule.directions:
        why = rule.why if rule else "its descriptor says nothing of scaling"
        message = f"service {name!r} may not be scaled: {why}"
        yield _fault(environment, path, message, legal="a fixed number of pods")
        return
    yield from _bounds(service, rule, environment, path, policy)
    if policy.cpu is None and policy.memory is None:
        yield _fault(
            environment,
            path,
            "says nothing that pods are measured by",
            legal="cpu or memory, in per cent of the request, such as cpu: 70",
        )
    for word, share in (("cpu", policy.cpu), ("memory", policy.memory)):
        if share is not None and share < 1:
            yield _fault(
                environment,
                f"{path}.{word}",
                "is out of bounds",
                found=str(share),
                legal="1 or more, in per cent of the request",
            )
    yield from _behavior(service, rule, environment, f"{path}.behavior", policy)


def _bounds(
    service: Service, rule: Scaling, environment: Environment, path: str, policy: ScalingPolicy
) -> Iterator[Fault]:
    if policy.min > policy.max:
        yield _fault(
            environment,
            f"{path}.min",
            "is more than max",
            found=f"min {policy.min}, max {policy.max}",
            legal=f"at most {policy.max}",
        )
    if policy.min < 1:
        yield _fault(
            environment,
            f"{path}.min",
            "is out of bounds",
            found=str(policy.min),
            legal="1 or more: an autoscaler cannot bring pods back from none",
        )
    parameter = service.parameters.get(rule.parameter)
    if parameter is None:
        return  # the descriptor's own fault
    for word, count in (("min", policy.min), ("max", policy.max)):
        if legal := bound_error(parameter, count):
            message = f"is out of the bounds of {service.name}.{rule.parameter}"
            yield _fault(environment, f"{path}.{word}", message, found=str(count), legal=legal)
    if parameter.choices and set(range(policy.min, policy.max + 1)) - set(parameter.choices):
        message = (
            f"{service.name}.{rule.parameter} takes no value in between, and an autoscaler does"
        )
        yield _fault(environment, path, message, legal="a fixed number of pods")


def _behavior(
    service: Service, rule: Scaling, environment: Environment, path: str, policy: ScalingPolicy
) -> Iterator[Fault]:
    for way, rules in policy.behavior.items():
        if way not in ("scaleUp", "scaleDown"):
            yield _fault(
                environment,
                f"{path}.{way}",
                f"unknown key {way!r}",
                legal="scaleUp, scaleDown",
                nearest=nearest(way, ("scaleUp", "scaleDown")),
            )
            continue
        if way == "scaleDown" and "in" not in rule.directions:
            message = f"the service may not scale in: {_reason(service, rule)}"
            yield _fault(environment, f"{path}.{way}", message, legal="scaleUp alone")
        if not isinstance(rules, Mapping):
            yield _fault(
                environment,
                f"{path}.{way}",
                "has the wrong type",
                found=repr(rules),
                legal="a mapping",
            )
            continue
        for key in rules:
            if key not in _RULES:
                yield _fault(
                    environment,
                    f"{path}.{way}.{key}",
                    f"unknown key {key!r}",
                    legal=", ".join(_RULES),
                    nearest=nearest(key, _RULES),
                )
        if rules.get("selectPolicy", "Max") not in _SELECT:
            yield _fault(
                environment,
                f"{path}.{way}.selectPolicy",
                "unknown word",
                found=repr(rules["selectPolicy"]),
                legal=", ".join(_SELECT),
            )


def _reason(service: Service, rule: Scaling) -> str:
    """Say why pods may not be taken away: the rule's own word, or the parameter's."""
    parameter = service.parameters.get(rule.parameter)
    return rule.why or (parameter.why if parameter else "")


def _amount(environment: Environment, path: str, amount: str | float) -> Iterator[Fault]:
    try:
        good = quantity.parse(amount).value >= 0
    except ValueError:
        good = False
    if not good:
        yield _fault(environment, path, "is no quantity", found=repr(amount), legal=_QUANTITY)


def _limits(environment: Environment) -> Iterator[Fault]:
    """Check one by one, and then in the order in which Kubernetes demands them to rise."""
    limits = environment.policies.limits
    rising = (
        ("min", limits.min),
        ("default_request", limits.default_request),
        ("default", limits.default),
        ("max", limits.max),
    )
    found = [
        fault
        for word, amounts in rising
        for key, amount in amounts.items()
        for fault in _amount(environment, f"policies.limits.{word}.{key}", amount)
    ]
    yield from found
    if found:
        return
    for place, (low, lows) in enumerate(rising):
        for high, highs in rising[place + 1 :]:
            for key in lows:
                if key in highs and quantity.compare(lows[key], highs[key]) > 0:
                    yield _fault(
                        environment,
                        f"policies.limits.{low}.{key}",
                        f"is more than {high}",
                        found=str(lows[key]),
                        legal=f"at most {highs[key]}",
                    )


def _quota(environment: Environment, path: str, quota: QuotaPolicy) -> Iterator[Fault]:
    for key, amount in quota.hard.items():
        yield from _amount(environment, f"{path}.hard.{key}", amount)
    if not quota.scopes and not quota.priority_classes:
        yield _fault(
            environment,
            path,
            "counts everything",
            legal="scopes or priority_classes; else policies.resource_quota",
        )
    for scope in quota.scopes:
        if scope not in QUOTA_SCOPES:
            yield _fault(
                environment,
                f"{path}.scopes",
                f"unknown scope {scope!r}",
                legal=", ".join(QUOTA_SCOPES),
                nearest=nearest(scope, QUOTA_SCOPES),
            )
    for one, other in _OPPOSED:
        if {one, other} <= set(quota.scopes):
            message = f"{one} and {other} have nothing in common"
            yield _fault(environment, f"{path}.scopes", message, legal="one of both")
