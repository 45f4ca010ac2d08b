"""What is known of a plugin, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.errors import PluginClashError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = (
    "DISABLE",
    "Candidate",
    "PluginInfo",
    "PluginProblem",
    "candidate_of",
    "clash_of",
    "info_of",
    "problem_of",
    "text_of",
)

DISABLE = "INFOMETIS_DISABLE_PLUGINS"
"""Environment variable: names of entry points that are not loaded, separated by commas;
``*`` for all that do not belong to the SDK itself."""


@frozen(kw_only=True)
class PluginProblem:
    """Why a plugin does not take part.

    Attributes:
        name: of its entry point.
        distribution, version: of what brought it.
        phase: ``import``, ``register`` or the hook that failed.
        message: what went wrong.
        error: the exception, where there was one.

    """

    name: str
    distribution: str = ""
    version: str = ""
    phase: str
    message: str
    error: BaseException | None = field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        dist = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"plugin {self.name!r}{dist}: {self.message}"


@frozen(kw_only=True)
class PluginInfo:
    """One row of ``infometis plugins list``.

    Attributes:
        state: ``loaded``, ``disabled``, ``broken`` or ``clash``.
        offers: such as ``platform embedded`` or ``service kafka``.
        detail: why it is broken.

    """

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    state: str
    offers: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    detail: str = ""


@frozen(kw_only=True)
class Candidate:
    """A plugin that was found, loaded or not."""

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    load: Callable[[], Any] | None = field(default=None, eq=False, repr=False)

    @property
    def owner(self) -> str:
        return f"{self.distribution} {self.version}".strip() or self.module or "code"


def candidate_of(point: EntryPoint) -> Candidate:
    # Each access to the metadata reads and parses the file.
    metadata = point.dist.metadata if point.dist else None
    return Candidate(
        name=point.name,
        distribution=metadata["Name"] if metadata else "",
        version=metadata["Version"] if metadata else "",
        module=point.value,
        load=point.load,
    )


def problem_of(
    candidate: Candidate, phase: str, message: str, error: BaseException | None = None
) -> PluginProblem:
    return PluginProblem(
        name=candidate.name,
        distribution=candidate.distribution,
        version=candidate.version,
        phase=phase,
        message=message,
        error=error,
    )


def info_of(
    candidate: Candidate, state: str, detail: str = "", offers: Iterable[str] = ()
) -> PluginInfo:
    return PluginInfo(
        name=candidate.name,
        distribution=candidate.distribution,
        version=candidate.version,
        module=candidate.module,
        state=state,
        offers=tuple(sorted(offers)),
        detail=detail,
    )


def clash_of(what: str, one: Candidate, other: Candidate) -> PluginClashError:
    msg = f"{what} is offered twice: by {one.owner} and by {other.owner}"
    hint = f"uninstall one of them, or leave one out with {DISABLE}"
    return PluginClashError(msg, plugin=other.name, hint=hint)


def text_of(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__
