"""A plan as JSON, for review and for a later apply."""

from __future__ import annotations

import json

from infometis_sdk._serde import dumps_json, structure, unstructure
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.plan import FORMAT, Plan

__all__ = ("plan_from_json", "plan_to_json")


def plan_to_json(plan: Plan) -> str:
    """Write a plan as canonical JSON, indented for people; holds no secret.

    Example:
        >>> plan = Plan(stack_id="s", environment="dev", namespace="demo")
        >>> plan_from_json(plan_to_json(plan)) == plan
        True

    """
    return dumps_json(unstructure(plan), indent=2) + "\n"


def plan_from_json(text: str, *, file: str = "") -> Plan:
    """Read a plan that :func:`plan_to_json` wrote; whether its digest holds is for apply to say.

    Args:
        text: JSON.
        file: for the faults.

    Raises:
        ProjectError: no JSON, another format version, or not a plan; every fault.

    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        fault = Fault(
            message=f"not valid JSON: {error.msg.lower()}",
            origin=Origin(file=file, line=error.lineno),
        )
        raise ProjectError((fault,), hint="write the plan again") from error
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        fault = Fault(
            message="not a plan of a format that this version reads",
            origin=Origin(file=file),
            path="format",
            found=str(found),
            legal=FORMAT,
        )
        raise ProjectError((fault,), hint="make the plan again with this version")
    plan, faults = structure(Plan, data, file=file)
    if plan is None or faults:
        raise ProjectError(faults, hint="write the plan again; do not edit it by hand")
    return plan
