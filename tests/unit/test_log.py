from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from hypothesis import given, strategies as st

from infometis_sdk._log import ROOT, formatter, get_logger, redact
from infometis_sdk.model.secret import Secret


def test_silent_by_default() -> None:
    """Nobody who imports the library hears a word on stdout or stderr."""
    code = (
        "from infometis_sdk._log import get_logger\n"
        "get_logger('infometis_sdk.x').error('apply failed', password='geheim')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_import_is_light() -> None:
    """Neither making a logger nor a record that nobody hears imports structlog."""
    code = (
        "import sys\n"
        "from infometis_sdk._log import get_logger\n"
        "log = get_logger('infometis_sdk.x')\n"
        "log.debug('request answered', status=200)\n"
        "assert 'structlog' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_json(caplog: pytest.LogCaptureFixture) -> None:
    """A handler with our formatter writes one JSON object a record, a key called name included."""
    log = get_logger(f"{ROOT}.engine.x")
    with caplog.at_level(logging.INFO, logger=ROOT):
        log.info("object applied", name="kafka", token="geheim", value=Secret("geheim"))

    text = formatter(json=True).format(caplog.records[0])

    data = json.loads(text)
    assert data["event"] == "object applied"
    assert data["name"] == "kafka"
    assert data["level"] == "info"
    assert data["logger"] == f"{ROOT}.engine.x"
    assert "geheim" not in text


def test_text(caplog: pytest.LogCaptureFixture) -> None:
    """Text lines have no colours and no secrets."""
    with caplog.at_level(logging.INFO, logger=ROOT):
        get_logger(f"{ROOT}.x").warning("request refused", url="https://u:geheim@example.org/x")

    text = formatter(json=False).format(caplog.records[0])

    assert "request refused" in text
    assert "https://u:***@example.org/x" in text
    assert "\x1b" not in text


def test_exception_text_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    """A secret inside a traceback is masked too."""
    log = get_logger(f"{ROOT}.x")
    with caplog.at_level(logging.INFO, logger=ROOT):
        try:
            raise ValueError("Authorization: Bearer abcdefghijkl")  # noqa: TRY301, EM101, TRY003
        except ValueError:
            log.exception("request failed")

    for json_lines in (True, False):
        text = formatter(json=json_lines).format(caplog.records[0])
        assert "ValueError" in text
        assert "abcdefghijkl" not in text


def test_below_level_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What is below the level is dropped."""
    with caplog.at_level(logging.WARNING, logger=ROOT):
        get_logger(f"{ROOT}.x").debug("request sent")
    assert not caplog.records


@given(
    secret=st.text(alphabet="abcXYZ019+/=", min_size=8, max_size=30),
    key=st.sampled_from(["password", "token", "admin_password", "authorization", "Authorization"]),
)
def test_named_secrets_never_show(secret: str, key: str) -> None:
    """Whatever a secret looks like, its key masks it, nested too."""
    event = redact(None, "info", {"event": "e", key: secret, "deep": [{"x": {key: secret}}]})
    assert event[key] == "***"
    assert event["deep"] == [{"x": {key: "***"}}]


def test_names_of_secrets_show() -> None:
    """The name of a Secret object is no secret."""
    event = redact(None, "info", {"event": "e", "secret_name": "kafka-admin", "token": None})
    assert event == {"event": "e", "secret_name": "kafka-admin", "token": None}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Basic dXNlcjpnZWhlaW0=",
        "postgres://user:geheim@db/x",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIgeheim\n-----END RSA PRIVATE KEY-----",
        "cut off -----BEGIN PRIVATE KEY-----\nMIIgeheim",
    ],
)
def test_secrets_inside_texts(text: str) -> None:
    """Credentials in headers, URLs and PEM keys are masked inside any text."""
    shown = redact(None, "info", {"event": text})["event"]
    assert "geheim" not in shown
    assert "dXNlcjpnZWhlaW0" not in shown
