"""Credentials of container registries: from where Docker and Podman keep them.

Sources: https://docs.docker.com/reference/cli/docker/login/ (configuration file, credential stores)
and containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk.errors import MissingPartError, RegistryError
from infometis_sdk.machine.commands import run_command
from infometis_sdk.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.run import Run

__all__ = ("Login", "login_for")

_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - what a helper calls the user where the secret is a token


@frozen(kw_only=True)
class Login:
    """What a registry, or its token server, is shown.

    Attributes:
        user: empty with an identity token.
        secret: password, or identity token.

    """

    user: str = ""
    secret: Secret


def login_for(
    host: str, repository: str, run: Run, environ: Mapping[str, str] = os.environ
) -> Login | None:
    """Return the credentials for a registry; ``None`` where nobody logged in.

    Read are ``$REGISTRY_AUTH_FILE``, else ``$DOCKER_CONFIG/config.json``,
    else ``~/.docker/config.json``; helpers and stores named there are asked.

    Args:
        host: of the registry.
        repository: Podman keeps credentials for parts of a registry too.
        run: deadline and cancel token.
        environ: environment variables.

    Raises:
        RegistryError: the file cannot be read, or a helper fails.

    """
    path = _path(environ)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        msg = f"credentials of registries cannot be read from {path}"
        raise RegistryError(msg, hint="mend the file, or log in again") from error
    if not isinstance(data, dict):
        return None
    helpers = data.get("credHelpers") or {}
    for key in _keys(host, repository):
        helper = helpers.get(key)
        found = _ask(helper, key, run) if helper else None
        if found is None and (entry := (data.get("auths") or {}).get(key)):
            found = _written(entry, path)
        if found is not None:
            return found
    if store := data.get("credsStore"):
        return _ask(store, _HUB_KEY if host == _HUB else host, run)
    return None


def _path(environ: Mapping[str, str]) -> Path:
    if environ.get("REGISTRY_AUTH_FILE"):
        return Path(environ["REGISTRY_AUTH_FILE"])
    folder = environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def _keys(host: str, repository: str) -> Iterator[str]:
    """Yield what an entry for a repository may be called, the nearest one first."""
    steps = repository.split("/")
    for count in range(len(steps), 0, -1):
        yield "/".join((host, *steps[:count]))
    yield from (host, f"https://{host}", f"https://{host}/v1/", f"https://{host}/v2/")
    if host == _HUB:
        yield from (_HUB_KEY, "index.docker.io")


def _written(entry: Any, path: Path) -> Login | None:  # noqa: ANN401 - whatever a file holds
    if not isinstance(entry, dict):
        return None
    if entry.get("identitytoken"):
        return Login(secret=Secret(str(entry["identitytoken"])))
    text = entry.get("auth")
    if not text:
        return None  # a store holds it
    try:
        user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        msg = f"credentials of registries cannot be read from {path}"
        raise RegistryError(msg, hint="log in again") from error
    return Login(user=user, secret=Secret(password.rstrip("\0")))


def _ask(helper: str, key: str, run: Run) -> Login | None:
    """Ask a credential helper; the registry's name goes in by stdin, as its protocol says."""
    program = f"docker-credential-{helper}"
    if "/" in helper:
        msg = f"{helper!r} is not the name of a credential helper"
        raise RegistryError(msg, hint="mend credHelpers or credsStore in the configuration file")
    try:
        done = run_command((program, "get"), run, stdin=key.encode())
    except MissingPartError as error:
        raise RegistryError(error.message, hint=error.hint) from error
    if not done.ok:
        # What it says may hold anything; that it has nothing is no fault.
        if "not found" in f"{done.stdout}{done.stderr}".lower():
            return None
        msg = f"the credential helper {program} failed for {key} with exit code {done.code}"
        raise RegistryError(msg, hint=f"run it by hand: echo {key} | {program} get")
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"the credential helper {program} gave no credentials for {key}"
        raise RegistryError(msg) from error
    return Login(user="" if user == _TOKEN_USER else user, secret=Secret(secret))
