"""Resolve references to secrets: the one place that reads them from the world outside a cluster."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_sdk.errors import SecretError
from infometis_sdk.model.secret import Secret, SecretRef

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("resolver",)

_SECONDS = 60


def resolver(
    base: Path | None, in_cluster: Callable[[SecretRef], Secret]
) -> Callable[[SecretRef], Secret]:
    """Return a function that turns a reference into its value.

    Args:
        base: directory that relative ``file:`` paths start from.
        in_cluster: resolves ``secret:name/key``.

    Returns:
        A function that raises SecretError, naming the reference and never the value.

    """

    def resolve(ref: SecretRef) -> Secret:
        if ref.scheme == "env":
            return _env(ref)
        if ref.scheme == "file":
            return _file(ref, base)
        if ref.scheme == "exec":
            return _exec(ref, base)
        if ref.scheme == "secret":
            return in_cluster(ref)
        msg = f"{ref} is made at apply and cannot be resolved"
        raise SecretError(msg, reference=str(ref))

    return resolve


def _env(ref: SecretRef) -> Secret:
    value = os.environ.get(ref.target)
    if not value:
        msg = f"the environment variable {ref.target} is not set, or empty"
        raise SecretError(msg, reference=str(ref), hint=f"export {ref.target} and run it again")
    return Secret(value)


def _file(ref: SecretRef, base: Path | None) -> Secret:
    path = (base or Path()) / Path(ref.target).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        msg = f"the secret file {path} cannot be read: {why}"
        raise SecretError(msg, reference=str(ref), hint="make it, with mode 0600") from error
    value = text.rstrip("\r\n")
    if not value:
        msg = f"the secret file {path} is empty"
        raise SecretError(msg, reference=str(ref), hint="put the secret into it")
    return Secret(value)


def _exec(ref: SecretRef, base: Path | None) -> Secret:
    command = shlex.split(ref.target)
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, as a list, no shell
            command,
            cwd=base,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = (
            f"did not end in {_SECONDS} s"
            if isinstance(error, subprocess.TimeoutExpired)
            else error
        )
        msg = f"the command of a secret, {command[0]}, {why}"
        raise SecretError(msg, reference=f"exec:{command[0]}") from None
    if done.returncode:
        # Its output may hold what it was asked for, so neither stream is shown.
        msg = f"the command of a secret, {command[0]}, ended with code {done.returncode}"
        raise SecretError(
            msg, reference=f"exec:{command[0]}", hint="run it by hand to see what it says"
        )
    value = done.stdout.decode("utf-8", errors="replace").rstrip("\r\n")
    if not value:
        msg = f"the command of a secret, {command[0]}, printed nothing"
        raise SecretError(msg, reference=f"exec:{command[0]}")
    return Secret(value)
