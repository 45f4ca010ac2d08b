"""SSH signatures, checked by ``ssh-keygen -Y verify``.

The format is OpenSSH's ``PROTOCOL.sshsig``, which git uses as well.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from infometis_sdk.errors import MissingPartError, RefusedError
from infometis_sdk.model.promotion import Approval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ("NAMESPACE", "check_signature")

NAMESPACE = "infometis"
"""Of the signatures: one that was made for git or for a file proves nothing here."""

_SECONDS = 20
_GOOD = re.compile(r"with \S+ key (SHA256:\S+)")
_LARGEST = 64 * 1024


def check_signature(signature: Path, message: str, signers: Path) -> Approval:
    """Check a signature over a message against a file of allowed signers.

    Args:
        signature: file, as ``ssh-keygen -Y sign -n infometis`` writes it.
        message: exactly what was signed.
        signers: file of allowed signers.

    Returns:
        Who signed it, with which key.

    Raises:
        RefusedError: it is no good signature of anybody who is allowed.
        MissingPartError: there is no ``ssh-keygen``.

    """
    tool = shutil.which("ssh-keygen")
    if tool is None:
        msg = "ssh-keygen is not here, which checks signatures"
        raise MissingPartError(msg, hint="install the OpenSSH client")
    for path, what in ((signature, "signature"), (signers, "file of allowed signers")):
        if not path.is_file() or path.stat().st_size > _LARGEST:
            msg = f"{path} is no {what}"
            raise RefusedError(msg)
    found = _ask((tool, "-Y", "find-principals", "-s", str(signature), "-f", str(signers)), "")
    names = [line for line in dict.fromkeys(found.stdout.splitlines()) if line]
    if found.returncode or not names:
        msg = f"{signature} is by no key that {signers.name} allows"
        raise RefusedError(msg, hint=" ".join(found.stderr.split()))
    if patterns := [name for name in names if set(name) & set("*?!")]:
        msg = f"{signature} is by a key that {signers.name} gives to {patterns[0]}, which is nobody"
        raise RefusedError(msg, hint="name the person there, not a pattern")
    checked = _ask(
        (
            *(tool, "-Y", "verify", "-n", NAMESPACE, "-I", names[0]),
            *("-f", str(signers), "-s", str(signature)),
        ),
        message,
    )
    key = _GOOD.search(checked.stdout)
    if checked.returncode or key is None:
        msg = f"{signature} by {names[0]} is no good signature of this plan"
        hint = "sign the plan's digest with ssh-keygen -Y sign -n infometis"
        raise RefusedError(msg, hint=hint)
    return Approval(principal=names[0], key=key[1], others=names[1:])


def _ask(command: Sequence[str], message: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - an absolute path, and no shell
            command,
            input=message,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"ssh-keygen does not answer: {type(error).__name__}"
        raise RefusedError(msg) from error
