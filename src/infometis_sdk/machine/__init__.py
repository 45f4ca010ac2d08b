"""What platforms ask of the machine they run on: locks, private files, commands, checks.

Standard library only, but for certificates once they are judged;
and nothing here knows Kubernetes or containers,
so that a plugin may use it without paying for more.
Names are loaded when they are first used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk import _lazy

if TYPE_CHECKING:
    from infometis_sdk.machine.certificates import judge_authorities, judge_certificate
    from infometis_sdk.machine.checks import Machine
    from infometis_sdk.machine.commands import Command, Done, run_command
    from infometis_sdk.machine.downloads import (
        DownloadError,
        Downloads,
        Source,
        published_digest,
    )
    from infometis_sdk.machine.files import private_folder, write_private
    from infometis_sdk.machine.listening import Listener, listeners
    from infometis_sdk.machine.locks import hold
    from infometis_sdk.machine.moments import moment

__all__ = (
    "Command",
    "Done",
    "DownloadError",
    "Downloads",
    "Listener",
    "Machine",
    "Source",
    "hold",
    "judge_authorities",
    "judge_certificate",
    "listeners",
    "moment",
    "private_folder",
    "published_digest",
    "run_command",
    "write_private",
)

_HOMES = {
    "Command": "commands",
    "Done": "commands",
    "DownloadError": "downloads",
    "Downloads": "downloads",
    "Listener": "listening",
    "Machine": "checks",
    "Source": "downloads",
    "hold": "locks",
    "judge_authorities": "certificates",
    "judge_certificate": "certificates",
    "listeners": "listening",
    "moment": "moments",
    "private_folder": "files",
    "published_digest": "downloads",
    "run_command": "commands",
    "write_private": "files",
}

if not TYPE_CHECKING:
    __getattr__ = _lazy.lazy(__name__, _HOMES)


def __dir__() -> list[str]:
    return [*__all__]
