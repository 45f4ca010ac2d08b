"""Turn an environment's scaling policies into HorizontalPodAutoscalers; pure.

An autoscaler writes ``spec.replicas`` and nothing else, so a service may be left to one only as far
as its parameter changes nothing else either, and as far as its templates take every bound.
Source of the object: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects import paths
from infometis_sdk.engine.objects.loose import mapping
from infometis_sdk.engine.objects.normalise import normalise
from infometis_sdk.engine.templates.render_service import (
    Draft,
    key_of,
    keyed_objects,
    render_service,
)
from infometis_sdk.model.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from infometis_sdk.model.capacity import ScalingPolicy
    from infometis_sdk.model.fault import Origin
    from infometis_sdk.model.service import Scaling
    from infometis_sdk.model.stack import ComposedService, ComposedStack

__all__ = ("autoscaler", "autoscaler_drafts")

_REPLICAS = "spec.replicas"


def autoscaler_drafts(
    stack: ComposedStack, drafts: Sequence[Draft]
) -> tuple[list[Draft], list[Fault]]:
    """Make the autoscalers of a stack, and say where a service cannot be left to one.

    Args:
        stack: composed, so every policy is known to be legal by itself.
        drafts: what its services render to.

    Returns:
        One object for each policy, in the zone of the border, and faults.

    """
    made: list[Draft] = []
    faults: list[Fault] = []
    for name, policy in stack.environment.policies.scaling.items():
        composed = stack.service(name)
        rule = composed.service.scaling
        assert rule is not None  # noqa: S101 - composing refuses it
        target = _target(drafts, name, rule)
        path = f"policies.scaling.{name}"
        origin = stack.environment.sources.get(path, stack.environment.origin)
        if target is None:
            message = f"service {name!r} renders no {rule.workload}, which its descriptor scales"
            faults.append(Fault(message=message, origin=composed.service.origin,
                                path="scaling.workload"))  # fmt: skip
            continue
        faults += _value_faults(composed, rule, policy, target)
        faults += _bound_faults(stack, composed, rule, policy)
        body = autoscaler(target, policy, shrinks="in" in rule.directions)
        made.append(Draft(object=normalise(body), service=name, origin=origin, zone="border"))
    return made, faults


def autoscaler(
    target: Mapping[str, Any], policy: ScalingPolicy, *, shrinks: bool
) -> dict[str, Any]:
    """Return the object that drives one workload.

    Args:
        target: the workload.
        policy: bounds, measures and pace.
        shrinks: whether pods may be taken away.

    Example:
        >>> from infometis_sdk.model import ScalingPolicy
        >>> web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
        >>> autoscaler(web, ScalingPolicy(min=2, max=6, cpu=70), shrinks=False)["spec"]["behavior"]
        {'scaleDown': {'selectPolicy': 'Disabled'}}

    """
    name = target["metadata"]["name"]
    measures = (("cpu", policy.cpu), ("memory", policy.memory))
    spec: dict[str, Any] = {
        "scaleTargetRef": {
            "apiVersion": target["apiVersion"],
            "kind": target["kind"],
            "name": name,
        },
        "minReplicas": policy.min,
        "maxReplicas": policy.max,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": word,
                    "target": {"type": "Utilization", "averageUtilization": share},
                },
            }
            for word, share in measures
            if share is not None
        ],
    }
    behavior = dict(policy.behavior)
    if not shrinks:
        behavior["scaleDown"] = {"selectPolicy": "Disabled"}
    if behavior:
        spec["behavior"] = behavior
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": spec,
    }


def _target(drafts: Iterable[Draft], service: str, rule: Scaling) -> Mapping[str, Any] | None:
    kind, _, name = rule.workload.partition("/")
    for draft in drafts:
        if draft.service == service and key_of(draft) == (kind, name):
            return draft.object
    return None


def _value_faults(
    composed: ComposedService, rule: Scaling, policy: ScalingPolicy, target: Mapping[str, Any]
) -> Iterator[Fault]:
    """Refuse a number of pods from which the autoscaler would take some away, or never begin.

    A smaller one is none: the controller raises it to ``min`` at once.
    """
    value = mapping(target.get("spec")).get("replicas", 1)
    origin = composed.history[rule.parameter][-1].origin
    name = f"{composed.name}.{rule.parameter}"
    if value == 0:
        yield Fault(message=f"{name} is 0, and from 0 pods no autoscaler begins", origin=origin,
                    path=f"values.{name}", found="0", legal="1 or more")  # fmt: skip
    elif value > policy.max and "in" not in rule.directions:
        yield Fault(
            message=f"{name} is more than policies.scaling.{composed.name}.max, so the autoscaler"
            f" would take pods away: {rule.why or composed.service.parameters[rule.parameter].why}",
            origin=origin,
            path=f"values.{name}",
            found=str(value),
            legal=f"at most {policy.max}",
        )


def _bound_faults(
    stack: ComposedStack, composed: ComposedService, rule: Scaling, policy: ScalingPolicy
) -> Iterator[Fault]:
    """Render at both bounds: the templates must take them, and differ in nothing else."""
    services = {each.name: each.service for each in stack.services}
    renders = []
    texts = None
    path = f"policies.scaling.{composed.name}"
    for word, count in (("min", policy.min), ("max", policy.max)):
        values = {**composed.values, rule.parameter: count}
        made, faults, texts = render_service(
            stack, composed.service, values, services, same_as=texts
        )
        origin = _origin(stack, f"{path}.{word}")
        for fault in faults:
            message = f"service {composed.name!r} does not take {count} pods: {fault.message}"
            yield Fault(message=message, origin=origin, path=f"{path}.{word}", found=str(count))
        renders.append(None if faults else keyed_objects(made))
    low, high = renders
    if low is None or high is None:
        return
    kind, _, name = rule.workload.partition("/")
    for key in {**low, **high}:
        differing = paths.differences(low.get(key, paths.MISSING), high.get(key, paths.MISSING))
        others = sorted({*differing} - ({_REPLICAS} if key == (kind, name) else set()))
        if others:
            yield Fault(
                message=f"between {policy.min} and {policy.max} pods {'/'.join(key)} {others[0]}"
                " changes too, which no autoscaler does",
                origin=_origin(stack, path),
                path=path,
                legal="bounds between which it stays, or a fixed number of pods",
            )


def _origin(stack: ComposedStack, path: str) -> Origin:
    return stack.environment.sources.get(path, stack.environment.origin)
