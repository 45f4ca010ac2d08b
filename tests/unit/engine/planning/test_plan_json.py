from __future__ import annotations

import pytest
from hypothesis import given, settings

from infometis_sdk.engine.planning.plan_json import plan_from_json, plan_to_json
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import Plan
from infometis_sdk.model.plan import FORMAT
from infometis_sdk.testing.strategies import values_of

PLAN = Plan(stack_id="s", environment="dev", namespace="demo")


@settings(max_examples=40, deadline=None)
@given(values_of(Plan))
def test_a_plan_comes_back_as_it_was(plan: Plan) -> None:
    """What is reviewed as JSON is what apply gets."""
    import attrs

    plan = attrs.evolve(plan, format=FORMAT)
    assert plan_from_json(plan_to_json(plan)) == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON: expecting property name enclosed in double quotes"),
        ("[]", "not a plan of a format that this version reads"),
        ('{"format": "infometis.io/plan/v2"}', "not a plan of a format that this version reads"),
        (plan_to_json(PLAN).replace('"items": []', '"items": {}'), "has the wrong type"),
        (
            plan_to_json(PLAN).replace('"unchanged": 0', '"unchanged_": 0'),
            "unknown key 'unchanged_'",
        ),
    ],
)
def test_what_is_no_plan_is_refused(text: str, message: str) -> None:
    """Broken JSON, another format and edited plans are refused with the reason."""
    with pytest.raises(ProjectError) as caught:
        plan_from_json(text, file="plan.json")
    assert [fault.message for fault in caught.value.faults] == [message]
    assert caught.value.faults[0].origin.file == "plan.json"
