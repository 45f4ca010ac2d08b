"""Find out who we are: tokens, token files, certificates, credential plugins.

:func:`resolve` never falls back to an anonymous request: where a credential cannot be had,
it raises and names the part that failed.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from infometis_sdk.errors import UnauthorizedError

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk._adapters.kubeconfig import Connection, CredentialPlugin
    from infometis_sdk.model.run import Run

__all__ = ("Credentials", "resolve")

FILE_AGE = 60.0
"""Seconds after which a token file is read again, as client-go's cached file token source does."""

PLUGIN_SECONDS = 60.0
"""Time for a credential plugin; a person may have to answer it."""

_SKEW = 30.0
_STDERR = 500


@frozen(kw_only=True)
class Credentials:
    """What goes into requests and into the TLS handshake.

    Attributes:
        authorization: value of the header; empty for none.
        certificate, key: PEM; empty for none.
        until: on the monotonic clock, when they must be resolved again.

    """

    authorization: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    until: float = float("inf")


def resolve(connection: Connection, run: Run) -> Credentials:
    """Return the credentials of a connection, running its plugin where it has one.

    Raises:
        UnauthorizedError: a token file cannot be read, or the plugin fails; names it.

    """
    own = Credentials(certificate=connection.certificate, key=connection.key)
    if connection.token_file:
        token = _read_token(connection.token_file, connection.source)
        return evolve(own, authorization=f"Bearer {token}", until=time.monotonic() + FILE_AGE)
    if connection.token:
        return evolve(own, authorization=f"Bearer {connection.token}")
    if connection.plugin:
        return _from_plugin(connection, connection.plugin, run)
    if connection.provider:
        return _from_provider(connection)
    if connection.username:
        pair = f"{connection.username}:{connection.password}".encode()
        return evolve(own, authorization=f"Basic {base64.b64encode(pair).decode()}")
    return own


def _read_token(path: Path, source: str) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        msg = f"token file {path} of {source} cannot be read: {error.strerror}"
        raise UnauthorizedError(msg, hint="restore the file, or use another context") from error
    if not token:
        msg = f"token file {path} of {source} is empty"
        raise UnauthorizedError(msg, hint="wait until the token is there, or use another context")
    return token


# --- credential plugins -------------------------------------------------------------------------


def _from_plugin(connection: Connection, plugin: CredentialPlugin, run: Run) -> Credentials:
    who = (
        f"the credential plugin {plugin.command!r} of user {connection.user!r} "
        f"in {connection.source}"
    )
    status = _answer(_start(plugin, who, run), plugin, who)
    token = status.get("token") or ""
    certificate = status.get("clientCertificateData") or ""
    key = status.get("clientKeyData") or ""
    if not token and not (certificate and key):
        msg = f"{who} printed neither a token nor a certificate with its key"
        raise UnauthorizedError(msg, hint="run it by hand to see what it prints")
    return Credentials(
        authorization=f"Bearer {token}" if token else "",
        certificate=certificate.encode() or connection.certificate,
        key=key.encode() or connection.key,
        until=_until(str(status.get("expirationTimestamp") or ""), who),
    )


def _start(plugin: CredentialPlugin, who: str, run: Run) -> str:
    """Run the plugin and return its standard output."""
    interactive = plugin.interactive != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if plugin.interactive == "Always" and not interactive:
        msg = f"{who} wants to ask a person, and there is no terminal"
        raise UnauthorizedError(msg, hint="log in from a terminal first, or use another context")
    spec: dict[str, Any] = {"interactive": interactive}
    if plugin.cluster_info is not None:
        spec["cluster"] = plugin.cluster_info
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    command = plugin.command
    if os.sep in command:
        command = str(plugin.directory / command)
    hint = plugin.install_hint.strip() or "run it by hand to see what is wrong"
    try:
        done = subprocess.run(  # noqa: S603 - the user's own kubeconfig names the program
            [command, *plugin.args],
            env={**os.environ, **plugin.env, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if interactive else subprocess.PIPE,
            timeout=max(1.0, run.remaining(PLUGIN_SECONDS)),
            check=False,
        )
    except FileNotFoundError as error:
        msg = f"{who} is not installed"
        raise UnauthorizedError(msg, hint=hint) from error
    except OSError as error:
        msg = f"{who} cannot be started: {error.strerror}"
        raise UnauthorizedError(msg, hint=hint) from error
    except subprocess.TimeoutExpired as error:
        run.check(f"waiting for {who}")
        msg = f"{who} did not end within {error.timeout:.0f} s"
        raise UnauthorizedError(msg, hint=hint) from None
    if done.returncode:
        said = (done.stderr or b"").decode("utf-8", "replace").strip()[-_STDERR:]
        msg = f"{who} failed with exit code {done.returncode}" + (f": {said}" if said else "")
        raise UnauthorizedError(msg, hint=hint)
    return done.stdout.decode("utf-8", "replace")


def _answer(text: str, plugin: CredentialPlugin, who: str) -> dict[str, Any]:
    """Return ``status`` of the ExecCredential; what was printed may be secret and is not quoted."""
    hint = "run it by hand to see what it prints"
    try:
        document = json.loads(text)
    except ValueError:
        msg = f"{who} printed something that is not JSON"
        raise UnauthorizedError(msg, hint=hint) from None
    if not isinstance(document, dict) or not isinstance(document.get("status"), dict):
        msg = f"{who} printed no ExecCredential with a status"
        raise UnauthorizedError(msg, hint=hint)
    spoken = document.get("apiVersion")
    if spoken != plugin.api_version:
        msg = f"{who} speaks {spoken}, and the kubeconfig says {plugin.api_version}"
        raise UnauthorizedError(msg, hint="update the plugin or write the kubeconfig anew")
    status: dict[str, Any] = document["status"]
    return status


def _until(expiry: str, who: str) -> float:
    """Return when to ask again: a little before the end, less so for short lives."""
    if not expiry:
        return float("inf")
    try:
        life = datetime.fromisoformat(expiry).timestamp() - time.time()
    except ValueError:
        msg = f"{who} printed the expirationTimestamp {expiry!r}"
        raise UnauthorizedError(msg, hint="it must look like 2030-01-31T12:00:00Z") from None
    return time.monotonic() + life - min(_SKEW, max(0.0, life) / 10)


# --- legacy providers ---------------------------------------------------------------------------


def _from_provider(connection: Connection) -> Credentials:
    """Let the Kubernetes client handle ``auth-provider``, the legacy way of OIDC and GCP."""
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, kube_config

    configuration = Configuration()
    who = (
        f"auth-provider {connection.provider!r} of user {connection.user!r} in {connection.source}"
    )
    try:
        kube_config.load_kube_config(
            config_file=str(connection.path),
            context=connection.context,
            client_configuration=configuration,
            persist_config=False,  # we never write the user's file
        )
        authorization = configuration.get_api_key_with_prefix("BearerToken") or ""
    except (ConfigException, OSError, ValueError, KeyError) as error:
        msg = f"{who} gives no token: {error}"
        raise UnauthorizedError(msg, hint="log in again, or move to a credential plugin") from error
    if not authorization:
        msg = f"{who} gives no token"
        raise UnauthorizedError(msg, hint="log in again, or move to a credential plugin")
    return Credentials(
        authorization=authorization,
        certificate=connection.certificate,
        key=connection.key,
        until=time.monotonic() + FILE_AGE,
    )
