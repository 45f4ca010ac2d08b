"""Services that need others: in stages, and without them where they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.engine.lab import config_map, deployment, raw

from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.errors import ApplyError, NotReadyError, StalePlanError
from infometis_sdk.model.report import HealthReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.integration.engine.lab import Lab

    from infometis_sdk.model.stack import ManifestSet

pytestmark = pytest.mark.integration


def chain(lab: Lab, value: str = "1") -> ManifestSet:
    """Return three services, each needing the one before, and one that stands alone."""
    return lab.render(
        raw("one", config_map("one", v=value)),
        raw("two", config_map("two", v=value), needs=["one"]),
        raw("three", config_map("three", v=value), needs=["two"]),
        raw("alone", config_map("alone", v=value)),
    )


def there(lab: Lab) -> set[str]:
    """Return the names of the stack's ConfigMaps."""
    return {name for kind, _, name in lab.members() if kind == "ConfigMap"}


def gate_of(lab: Lab, seen: list[tuple[list[str], set[str]]]) -> Callable[[Sequence[str]], None]:
    """Return a gate that notes what it is asked for and what is there.

    That the Lease is free.
    """

    def gate(services: Sequence[str]) -> None:
        with Writer(lab.cluster, lab.name, lab.namespace, lab.run(), patience=0.0):
            seen.append((list(services), there(lab)))

    return gate


def test_a_first_install_waits_for_what_is_needed(lab: Lab) -> None:
    """Each stage is applied when the needed service of the one before is ready.

    Others may write meanwhile, since the Lease is not held while waiting.
    """
    seen: list[tuple[list[str], set[str]]] = []
    wanted = chain(lab)
    lab.apply(lab.plan(wanted), wanted, gate=gate_of(lab, seen))
    assert seen == [(["one"], {"one", "alone"}), (["two"], {"one", "two", "alone"})]
    lab.settled(wanted)


def test_an_update_waits_for_nobody(lab: Lab) -> None:
    """Needs are about the first start only."""
    lab.up(chain(lab))
    seen: list[tuple[list[str], set[str]]] = []
    wanted = chain(lab, "2")
    lab.apply(lab.plan(wanted), wanted, gate=gate_of(lab, seen))
    assert not seen
    lab.settled(wanted)


def test_a_need_that_does_not_become_ready_ends_the_run_as_failed(lab: Lab) -> None:
    """What needs it is not applied, the Release says failed.

    The next run goes on from there.
    """

    def gate(services: Sequence[str]) -> None:
        msg = f"{services[0]} is not ready"
        raise NotReadyError(msg, report=HealthReport(stack_id="", items=()))

    wanted = chain(lab)
    with pytest.raises(NotReadyError):
        lab.apply(lab.plan(wanted), wanted, gate=gate)
    assert there(lab) == {"one", "alone"}
    release = lab.must_get(lab.ref("ConfigMap", f"infometis-{lab.name}-release-1"))
    assert release["data"]["status"] == "failed"
    lab.up(wanted)
    lab.settled(wanted)


def test_another_apply_while_waiting_makes_the_rest_stale(lab: Lab) -> None:
    """Whoever comes in while the Lease is free counts: the first one does not overwrite it."""
    wanted = chain(lab)

    def gate(services: Sequence[str]) -> None:
        if services == ["one"]:
            lab.up(chain(lab, "2"))

    with pytest.raises(StalePlanError):
        lab.apply(lab.plan(wanted), wanted, gate=gate)
    lab.settled(chain(lab, "2"))


def test_independent_services_finish_where_one_fails(lab: Lab) -> None:
    """What needs a failed service, directly or not, is skipped and says so.

    The others are applied.
    """
    lab.environment = lab.with_quota({"count/deployments.apps": "0"})
    wanted = lab.render(
        raw("bad", deployment("bad")),
        raw("next", config_map("next"), needs=["bad"]),
        raw("last", config_map("last"), needs=["next"]),
        raw("good", config_map("good")),
        raw("also", config_map("also"), needs=["good"]),
    )
    with pytest.raises(ApplyError) as caught:
        lab.up(wanted)
    results = {str(o.ref): o for o in caught.value.report.outcomes}
    assert there(lab) == {"good", "also"}
    for name in ("next", "last"):
        outcome = results[f"ConfigMap/{name}"]
        assert outcome.result == "skipped"
        assert "it needs bad" in outcome.detail
