"""Alerts of a guard in a genuine Alertmanager."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import socket
import subprocess
import urllib.request
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.conftest import required

from infometis_sdk._adapters.notifiers import (
    Alertmanager,
    AlertmanagerNotifier,
    HttpNotifier,
    Webhook,
    infometis_notifiers,
)
from infometis_sdk.errors import NotifierError, SecretError
from infometis_sdk.model.run import Run
from infometis_sdk.model.secret import Secret, SecretRef
from infometis_sdk.ports.notifier import Alert, NotifierContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

KEY = "s3cr3t-in-the-address"


def _resolve(ref: SecretRef) -> Secret:
    if ref.target != "HOOK":
        msg = f"no source {ref}"
        raise SecretError(msg, reference=str(ref))
    return Secret(f"http://127.0.0.1:1/{KEY}")


CONTEXT = NotifierContext(stack_id="demo-dev", environment="dev", resolve=_resolve)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Give a genuine Alertmanager on loopback; it dies with the test."""
    names = ("prometheus-alertmanager", "alertmanager")
    binary = next(filter(None, map(shutil.which, names)), None)
    if binary is None:
        if required():
            pytest.fail("no Alertmanager; it is in the Debian package prometheus-alertmanager")
        pytest.skip("no Alertmanager; it is in the Debian package prometheus-alertmanager")
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        (
            binary,
            f"--config.file={config}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        run = Run.within(60)
        while not _ready(url):
            run.sleep(0.1, "waiting for Alertmanager")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        return "OK" in _get(f"{url}/-/ready")
    except OSError:
        return False


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - loopback
        return str(answer.read().decode())


def _alerts(url: str) -> list[dict[str, Any]]:
    return list(json.loads(_get(f"{url}/api/v2/alerts")))


def test_an_alert_begins_lasts_and_ends(alertmanager: str) -> None:
    """Alertmanager takes it, knows its parts, takes its repetition as the same, and its end."""
    settings = Alertmanager(url=f"{alertmanager}/", labels={"team": "data"})
    notifier = AlertmanagerNotifier(settings, CONTEXT)
    began = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    alert = Alert(
        name="rollout stuck",
        level="error",
        stack_id="demo-dev",
        environment="dev",
        namespace="demo",
        subject="StatefulSet/kafka",
        service="kafka",
        manager="kubectl-edit",
        summary="0 of 3 pods ready",
        starts=began.isoformat(timespec="milliseconds"),
    )
    for _ in range(2):
        notifier.notify([alert], Run.within(60))
        (live,) = _alerts(alertmanager)
    assert live["labels"] == {
        "alertname": "InfometisRolloutStuck",
        "severity": "error",
        "stack_id": "demo-dev",
        "environment": "dev",
        "namespace": "demo",
        "subject": "StatefulSet/kafka",
        "service": "kafka",
        "team": "data",
    }
    assert live["annotations"] == {"summary": "0 of 3 pods ready", "manager": "kubectl-edit"}
    ends = dt.datetime.fromisoformat(live["endsAt"])
    assert ends - dt.datetime.now(dt.UTC) > dt.timedelta(seconds=2 * notifier.repeat)
    assert live["status"]["state"] in ("active", "unprocessed")
    over = attrs.evolve(alert, ends=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"))
    notifier.notify([over], Run.within(60))
    assert _alerts(alertmanager) == []


def test_what_it_refuses_is_an_error(alertmanager: str) -> None:
    """Its own words are passed on."""
    notifier = AlertmanagerNotifier(Alertmanager(url=alertmanager), CONTEXT)
    bad = Alert(name="x", level="error", stack_id="s", starts="yesterday")
    with pytest.raises(NotifierError, match=r"answers 4\d\d: .*yesterday"):
        notifier.notify([bad], Run.within(60))


def test_a_secret_address_is_in_no_message() -> None:
    """Where nobody listens, the reference is named and never what it stands for."""
    settings = Webhook(url_from=SecretRef.parse("env:HOOK"))
    alert = Alert(name="x", level="error", stack_id="s", starts="now")
    with pytest.raises(NotifierError) as caught:
        HttpNotifier(settings, CONTEXT).notify([alert], Run.within(5))
    assert "env:HOOK" in str(caught.value)
    assert KEY not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"


def test_both_are_registered() -> None:
    """The core registers its own as a third party would."""
    assert {spec.name for spec in infometis_notifiers()} == {"webhook", "alertmanager"}
