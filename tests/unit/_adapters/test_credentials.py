"""Credential plugins, token files and legacy providers: what is asked, and what fails."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from infometis_sdk._adapters.credentials import FILE_AGE, resolve
from infometis_sdk._adapters.kubeconfig import Connection, KubeConfig
from infometis_sdk.errors import DeadlineError, UnauthorizedError
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from pathlib import Path

V1 = "client.authentication.k8s.io/v1"


def _connection(folder: Path, user: dict[str, Any], **cluster: Any) -> Connection:
    path = folder / "config"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://c.invalid", **cluster}}],
        "users": [{"name": "alice", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "alice"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return KubeConfig.read(path).connection()


def _plugin(folder: Path, script: str, **more: Any) -> Connection:
    path = folder / "log-in"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o700)
    spec = {"apiVersion": V1, "command": "./log-in", "interactiveMode": "Never", **more}
    cluster = spec.pop("cluster", {})
    return _connection(folder, {"exec": spec}, **cluster)


def _says(status: dict[str, Any], version: str = V1) -> str:
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    return f"cat <<'END'\n{json.dumps(answer)}\nEND"


def test_plugin_is_told_what_it_may_know(tmp_path: Path) -> None:
    """A plugin gets its arguments, its variables and, if it asks, the cluster; ours stay away."""
    seen = tmp_path / "seen"
    script = f'echo "$KUBERNETES_EXEC_INFO" > {seen}; echo "$1 $REGION" >> {seen}\n'
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"tenant": "t"}}
    connection = _plugin(
        tmp_path,
        script + _says({"token": "t0ken"}),
        args=["--please"],
        env=[{"name": "REGION", "value": "north"}],
        provideClusterInfo=True,
        cluster={"tls-server-name": "inside", "extensions": [extension]},
    )
    assert resolve(connection, Run.within(30)).authorization == "Bearer t0ken"
    info, rest = seen.read_text(encoding="utf-8").splitlines()
    assert rest == "--please north"
    assert json.loads(info) == {
        "apiVersion": V1,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {
                "server": "https://c.invalid",
                "tls-server-name": "inside",
                "config": {"tenant": "t"},
            },
        },
    }


@pytest.mark.parametrize(
    ("expiry", "low", "high"),
    [
        ("", float("inf"), float("inf")),
        ("+3600", 3565, 3571),
        ("+10", 7, 9.1),
        ("-5", -6, 0),
    ],
)
def test_when_a_plugin_is_asked_again(tmp_path: Path, expiry: str, low: float, high: float) -> None:
    """A little before the end, so that no request leaves with a token that ends on the way."""
    from datetime import UTC, datetime, timedelta

    status: dict[str, Any] = {"token": "t"}
    if expiry:
        end = datetime.now(UTC) + timedelta(seconds=float(expiry))
        status["expirationTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    until = resolve(_plugin(tmp_path, _says(status)), Run.within(30)).until - time.monotonic()
    assert low - 2 <= until <= high


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no session >&2; exit 4", "failed with exit code 4: no session"),
        ("echo s3cret", "not JSON"),
        ("echo '{\"s3cret\": 1}'", "no ExecCredential with a status"),
        (_says({"token": "s3cret"}, "client.authentication.k8s.io/v1beta1"), "speaks client"),
        (_says({"clientCertificateData": "s3cret"}), "neither a token nor a certificate"),
        (_says({"token": "s3cret", "expirationTimestamp": "soon"}), "expirationTimestamp 'soon'"),
    ],
)
def test_plugins_that_fail(tmp_path: Path, script: str, words: str) -> None:
    """Every failure names plugin, user and context, and never shows what might be a token."""
    with pytest.raises(UnauthorizedError, match=words) as caught:
        resolve(_plugin(tmp_path, script), Run.within(30))
    for name in ("./log-in", "'alice'", "context 'x'"):
        assert name in caught.value.message
    assert "s3cret" not in str(caught.value)
    assert caught.value.hint


def test_plugin_that_is_not_installed(tmp_path: Path) -> None:
    """What the kubeconfig says on installing the plugin is the hint."""
    spec = {"apiVersion": V1, "command": "no-such-login", "installHint": "brew install login"}
    with pytest.raises(UnauthorizedError, match=r"'no-such-login' .* is not installed") as caught:
        resolve(_connection(tmp_path, {"exec": spec}), Run.within(30))
    assert caught.value.hint == "brew install login"


def test_plugin_that_hangs(tmp_path: Path) -> None:
    """A plugin that does not end is stopped when the run's time is used up."""
    with pytest.raises(DeadlineError, match="log-in"):
        resolve(_plugin(tmp_path, "exec sleep 60"), Run.within(1))


def test_plugin_that_needs_a_person(tmp_path: Path) -> None:
    """Without a terminal, a plugin that must ask a person is not started."""
    ran = tmp_path / "ran"
    connection = _plugin(tmp_path, f"touch {ran}", interactiveMode="Always")
    with pytest.raises(UnauthorizedError, match="there is no terminal"):
        resolve(connection, Run.within(30))
    assert not ran.exists()


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("\n", "is empty")])
def test_token_file_without_a_token(tmp_path: Path, content: str | None, words: str) -> None:
    """A token file without a token is an error, not an anonymous request."""
    if content is not None:
        (tmp_path / "token").write_text(content, encoding="utf-8")
    with pytest.raises(UnauthorizedError, match=words):
        resolve(_connection(tmp_path, {"tokenFile": "token"}), Run.within(30))


def test_token_file_ages(tmp_path: Path) -> None:
    """A token file is read again after a minute; it wins over a token beside it."""
    (tmp_path / "token").write_text(" fresh \n", encoding="utf-8")
    who = resolve(_connection(tmp_path, {"tokenFile": "token", "token": "old"}), Run.within(30))
    assert who.authorization == "Bearer fresh"
    assert 0 < who.until - time.monotonic() <= FILE_AGE


def _identity(seconds: float) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'exp': time.time() + seconds})}.c2ln"


def test_legacy_provider(tmp_path: Path) -> None:
    """An OIDC token of the old ``auth-provider`` is used, through the official client."""
    identity = _identity(3600)
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": identity}}}
    connection = _connection(tmp_path, user)
    before = (tmp_path / "config").read_bytes()
    assert resolve(connection, Run.within(30)).authorization == f"Bearer {identity}"
    assert (tmp_path / "config").read_bytes() == before


def test_legacy_provider_without_a_token(tmp_path: Path) -> None:
    """A provider that nobody knows any more is an error that names it, not anonymity."""
    connection = _connection(tmp_path, {"auth-provider": {"name": "azure", "config": {}}})
    with pytest.raises(UnauthorizedError, match="auth-provider 'azure' of user 'alice'"):
        resolve(connection, Run.within(30))


def test_nobody_in_particular(tmp_path: Path) -> None:
    """A context whose user has no credentials is anonymous, as the file says."""
    connection = evolve(_connection(tmp_path, {}))
    assert resolve(connection, Run.within(30)).authorization == ""
