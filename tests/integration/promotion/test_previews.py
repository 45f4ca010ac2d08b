"""Short-lived environments on the genuine API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from infometis_sdk.engine.objects.marks import EXPIRES
from infometis_sdk.errors import RefusedError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.workspace.previews import preview_of

if TYPE_CHECKING:
    from tests.integration.promotion.conftest import Site

pytestmark = pytest.mark.integration


def test_a_preview_lives_beside_and_ends_without_a_trace(site: Site) -> None:
    """It has a namespace of its own, is known by every verb, and any machine can remove it."""
    ws = site.ws()
    name = f"br-{site.stem[-8:]}"
    made = ws.preview(name, of="dev", ttl="1h")
    space = made.compose().namespace
    assert space not in (site.namespace(each) for each in ("dev", "uat", "prod"))
    made.up(run=site.run())
    ref = ObjectRef(api_version="v1", kind="Namespace", name=space)
    live = site.get(ref)
    assert live is not None
    assert live["metadata"]["annotations"][EXPIRES] == made.environment.preview.expires
    # Read again from its file, it is the same environment, with nothing to do.
    again = site.ws()[name]
    assert again.stack_id == made.stack_id
    assert again.plan(run=site.run()).empty
    with pytest.raises(RefusedError, match="preview"):
        again.destroy()
    gone, wrong = site.ws().destroy_expired(of="dev", run=site.run())
    assert (name in gone, wrong) == (False, ())
    # Another machine, which has no file of it, finds it once its time is over.
    overdue = attrs.evolve(
        preview_of(site.ws(), name, "dev", "2020-01-01T00:00:00+00:00"), namespace=space
    )
    ws = site.ws()
    known = {**ws.project.environments, name: overdue}
    ws.with_project(attrs.evolve(ws.project, environments=known))[name].up(run=site.run())
    file = site.root / "environments" / f"{name}.yaml"
    file.unlink()
    gone, wrong = site.ws().destroy_expired(of="dev", run=site.run())
    assert (name in gone, wrong) == (True, ())
    run = site.run()
    while (left := site.get(ref)) is not None:
        assert left["metadata"].get("deletionTimestamp")
        run.sleep(0.2, "waiting for the namespace to go")


def test_what_lasts_is_no_preview(site: Site) -> None:
    """An environment of the project can be neither made nor removed as a preview."""
    ws = site.ws()
    with pytest.raises(RefusedError, match="lasts"):
        ws.preview("uat", of="dev")
    with pytest.raises(RefusedError, match="lasts"):
        ws.destroy_preview("uat")
    with pytest.raises(RefusedError, match="no preview's name"):
        ws.preview("Feature/X")
    with pytest.raises(RefusedError, match="no time"):
        ws.preview("x", ttl="soon")
