"""Pipelines: the order in which environments get a Bundle, and what must hold before each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("ALLOWANCES", "Gates", "Pipeline", "PipelineStep", "seconds_of")

ALLOWANCES = ("simulated", "kubernetes", "cni", "storage", "encryption")
"""What may differ or be simulated where a step, or the caller, allows it by this name."""

_UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"([0-9]+)(s|m|h|d)")


def seconds_of(text: str) -> int:
    """Return the seconds of a time such as ``30m``, ``24h`` or ``7d``; 0 for the empty text.

    Raises:
        ValueError: it is none.

    Example:
        >>> seconds_of("24h"), seconds_of("")
        (86400, 0)

    """
    if not text:
        return 0
    found = _SPAN.fullmatch(text)
    if found is None:
        msg = f"no time: {text!r}; legal: a number with s, m, h or d, such as 24h"
        raise ValueError(msg)
    return int(found[1]) * _UNITS[found[2]]


@frozen(kw_only=True)
class Gates:
    """What must hold before the first write to an environment.

    Attributes:
        soak: how long the Release must have been deployed in the source environment, as ``24h``.
        drift: the source environment must have no open drift.
        equivalence: worst verdict of the proof of the source against its own Release that is
            good enough: ``equal``, ``equal-with-foreign`` or ``unverified``; empty for no proof.
        backup: how young the newest backup of the target must be, as ``24h``.
        approvals: how many people must have signed the plan's digest.
        signers: file of allowed signers, relative to the project; see ``ssh-keygen(1)``.
        functions: ``module:function`` of the project's own gates, each called with a
            :class:`~infometis_sdk.workspace.gates.GateContext`; ``True`` opens, a text closes.
        timeout: seconds that one function may take.

    """

    soak: str = ""
    drift: bool = True
    equivalence: str = ""
    backup: str = ""
    approvals: int = 0
    signers: str = ""
    functions: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    timeout: int = 60


@frozen(kw_only=True)
class PipelineStep:
    """One environment of a pipeline, and how it is entered.

    Attributes:
        environment: its name.
        gates: what must hold before the first write to it.
        checks: ``module:function`` called with the environment's Stack once it is deployed;
            ``True`` passes, a text is what failed.
        jobs: files with a Job each, relative to the project, that must complete.
        allow: names of :data:`ALLOWANCES`.
        rollback: return to the Release before where the deployment or its verification fails.

    """

    environment: str
    gates: Gates = Gates()
    checks: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    jobs: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    allow: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    rollback: bool = False


@frozen(kw_only=True)
class Pipeline:
    """Environments in the order in which a Bundle passes through them.

    Attributes:
        steps: one for each environment, the first one built from the project's files.

    Example:
        >>> Pipeline(steps=[PipelineStep(environment=e) for e in ("dev", "uat")]).environments
        ('dev', 'uat')

    """

    steps: tuple[PipelineStep, ...] = field(default=(), converter=tuple[PipelineStep, ...])

    @property
    def environments(self) -> tuple[str, ...]:
        """Names of the environments, in order."""
        return tuple(step.environment for step in self.steps)
