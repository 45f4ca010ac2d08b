"""Every error that the SDK raises, in one tree.

::

    InfometisError                      exit code 1
    ├── ProjectError                    2   faults in files or values, all at once
    │   ├── RenderError                 2   a template or a patch cannot be rendered
    │   └── ValidationError             2   the rendered manifests are wrong
    ├── PluginError                     2
    │   ├── PluginLoadError             2   one plugin cannot be imported or registered
    │   ├── PluginClashError            2   two distributions offer one name
    │   └── UnknownPluginError          2   nobody offers the name that was asked for
    ├── SecretError                     2   a secret reference cannot be resolved
    ├── RefusedError                    3   something forbids the action
    │   ├── PlanRefusedError            3   the plan holds items that may not be applied
    │   ├── StalePlanError              3   the cluster moved since the plan was made
    │   ├── LockedError                 3   another writer holds the stack
    │   ├── ProtectedError              3   a protected environment demands more
    │   ├── TamperedError               3   what is stored is not what was recorded
    │   ├── AuditError                  3   the audit cannot be written, so nothing is changed
    │   ├── GateError                   3   a promotion may not write yet; ``.report``
    │   └── WrongClusterError           3   this is not the cluster the stack lives on
    ├── PlatformError                   4   a cluster cannot be made, or is not there
    │   └── MissingPartError            4   a binary or a tool is not to be had
    ├── ClusterError                    4   a request to the Kubernetes API failed
    │   ├── UnreachableError            4   no answer, or no valid certificate
    │   ├── UnauthorizedError           4   401
    │   ├── ForbiddenError              4   403
    │   ├── NotFoundError               4   404
    │   ├── ConflictError               3   409, with the causes
    │   ├── InvalidError                2   400 and 422: the API server refuses the object
    │   ├── ThrottledError              4   429 after the last retry
    │   └── UnknownKindError            4   the API server serves no such kind
    ├── ProofError                      4   one side of a proof cannot be looked at; ``.side``
    ├── StoreError                      4   a store of Releases cannot be read or written
    ├── NotifierError                   4   an alert could not be delivered
    ├── RegistryError                   4   a container registry does not answer the question
    ├── ApplyError                      5   some objects were not applied; ``.report``
    ├── NotReadyError                   5   applied, but not ready; ``.report``
    ├── PromotionError                  5   a promotion failed after its first write; ``.report``
    ├── DeadlineError                   5   the time for the whole verb is used up
    └── CancelledError                  130 the caller's token stopped the verb at a safe point

Exit codes 6 (drift found), 7 (the audit was tampered with)
and 8 (two environments are not the same, or one is worse) belong to results, not to errors.
Messages start in lower case, have no full stop, and name the thing and the value;
``hint`` says what to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.model.fault import Fault
    from infometis_sdk.model.reference import ObjectRef

__all__ = (
    "ApplyError",
    "AuditError",
    "CancelledError",
    "ClusterError",
    "ConflictError",
    "DeadlineError",
    "ForbiddenError",
    "GateError",
    "InfometisError",
    "InvalidError",
    "LockedError",
    "MissingPartError",
    "NotFoundError",
    "NotReadyError",
    "NotifierError",
    "PlanRefusedError",
    "PlatformError",
    "PluginClashError",
    "PluginError",
    "PluginLoadError",
    "ProjectError",
    "PromotionError",
    "ProofError",
    "ProtectedError",
    "RefusedError",
    "RegistryError",
    "RenderError",
    "SecretError",
    "StalePlanError",
    "StoreError",
    "TamperedError",
    "ThrottledError",
    "UnauthorizedError",
    "UnknownKindError",
    "UnknownPluginError",
    "UnreachableError",
    "ValidationError",
    "WrongClusterError",
)


class InfometisError(Exception):
    """Base of all errors of the SDK.

    Attributes:
        message: what is wrong, naming the thing and the value.
        hint: what to do about it; empty when there is nothing to add.
        exit_code: what the command line ends with.

    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ProjectError(InfometisError):
    """The project's files or values are wrong; ``faults`` holds every fault of every file."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault], *, hint: str = "") -> None:
        self.faults = tuple(faults)
        errors = [fault for fault in self.faults if fault.level != "warning"]
        warnings = [fault for fault in self.faults if fault.level == "warning"]
        counts = [f"{len(errors)} fault{'s' if len(errors) != 1 else ''}"]
        counts += [f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}"] if warnings else []
        lines = [f"{' and '.join(counts)} found"]
        lines += [f"  {fault}" for fault in errors]
        lines += [f"  warning: {fault}" for fault in warnings]
        super().__init__("\n".join(lines), hint=hint)


class RenderError(ProjectError):
    """A template or a patch cannot be rendered."""


class ValidationError(ProjectError):
    """The rendered manifests are wrong."""


class PluginError(InfometisError):
    """A plugin is at fault; ``plugin`` is its name."""

    exit_code = 2

    def __init__(self, message: str, *, plugin: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin


class PluginLoadError(PluginError):
    """A plugin cannot be imported, registered or called."""


class PluginClashError(PluginError):
    """Two distributions offer the same name."""


class UnknownPluginError(PluginError):
    """Nobody offers the platform, border or service that was asked for."""


class SecretError(InfometisError):
    """A secret reference cannot be resolved; ``reference`` names it, never its value."""

    exit_code = 2

    def __init__(self, message: str, *, reference: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reference = reference


class RefusedError(InfometisError):
    """Something forbids the action; nothing was changed."""

    exit_code = 3


class PlanRefusedError(RefusedError):
    """The plan holds items that may not be applied; ``plan`` is that plan."""

    def __init__(self, message: str, *, plan: Any, hint: str = "") -> None:  # noqa: ANN401
        super().__init__(message, hint=hint)
        self.plan = plan


class StalePlanError(RefusedError):
    """Objects moved between plan and apply; ``moved`` names them."""

    def __init__(self, message: str, *, moved: Sequence[ObjectRef] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.moved = tuple(moved)


class LockedError(RefusedError):
    """Another writer holds the stack's Lease; ``holder`` names it, ``age`` is in seconds."""

    def __init__(self, message: str, *, holder: str, age: float = 0.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.holder = holder
        self.age = age


class ProtectedError(RefusedError):
    """The environment is protected and the caller did not bring what that demands."""


class AuditError(RefusedError):
    """The audit cannot be written, so nothing is changed."""


class TamperedError(RefusedError):
    """What is stored is not what was recorded.

    Attributes:
        thing: what it is, such as ``release 3 of stack demo-dev``.
        expected: the digest that was recorded.
        found: the digest of what is there.

    """

    def __init__(self, thing: str, *, expected: str, found: str, hint: str = "") -> None:
        msg = f"{thing} is not what was recorded: expected {expected}, found {found}"
        cure = "it was changed or damaged after it was written; restore it, or build it anew"
        super().__init__(msg, hint=hint or cure)
        self.thing = thing
        self.expected = expected
        self.found = found


class GateError(RefusedError):
    """A gate is closed, or a check before the first write failed; nothing was changed.

    ``report`` is the PromotionReport, which says what would open each gate.
    """

    def __init__(self, message: str, *, report: Any, hint: str = "") -> None:  # noqa: ANN401
        super().__init__(message, hint=hint)
        self.report = report


class WrongClusterError(RefusedError):
    """The cluster that answers is not the one the stack was first applied to."""


class PlatformError(InfometisError):
    """A cluster cannot be made, or is not there."""

    exit_code = 4


class MissingPartError(PlatformError):
    """A binary or a tool is not to be had; ``tried`` says where we looked and why each failed."""

    def __init__(self, message: str, *, tried: Sequence[str] = (), hint: str = "") -> None:
        self.tried = tuple(tried)
        super().__init__("\n".join((message, *(f"  - {way}" for way in self.tried))), hint=hint)


class ClusterError(InfometisError):
    """A request to the Kubernetes API failed.

    Attributes:
        status: HTTP status, or 0 when there was no answer.
        ref: the object, where the request was about one.
        reason: the API server's own word, such as ``AlreadyExists``.
        causes: ``details.causes`` of the API server's answer, as plain mappings.

    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        ref: ObjectRef | None = None,
        reason: str = "",
        causes: Sequence[dict[str, Any]] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.ref = ref
        self.reason = reason
        self.causes = tuple(causes)


class UnreachableError(ClusterError):
    """The API server does not answer, or its certificate is not valid."""


class UnauthorizedError(ClusterError):
    """The API server does not accept our credentials (401)."""


class ForbiddenError(ClusterError):
    """RBAC or admission forbids the request (403)."""


class NotFoundError(ClusterError):
    """There is no such object, or no such path (404)."""


class ConflictError(ClusterError):
    """The request conflicts with the state of the object (409)."""

    exit_code = 3


class InvalidError(ClusterError):
    """The API server refuses the object (400, 422)."""

    exit_code = 2


class ThrottledError(ClusterError):
    """The API server still asks us to wait (429) after the last retry."""


class UnknownKindError(ClusterError):
    """The API server serves no such kind."""


class StoreError(InfometisError):
    """A store of Releases cannot be read or written, or holds no such Release."""

    exit_code = 4


class RegistryError(InfometisError):
    """A container registry does not say which digest a tag has; ``image`` names it."""

    exit_code = 4

    def __init__(self, message: str, *, image: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.image = image


class ProofError(InfometisError):
    """One side of a proof or a comparison cannot be looked at; nothing is said about either.

    ``side`` is the environment; ``__cause__`` is the error that tells why, such as an
    :class:`UnreachableError` or a :class:`ForbiddenError`.
    """

    exit_code = 4

    def __init__(self, message: str, *, side: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.side = side


class NotifierError(InfometisError):
    """An alert could not be delivered."""

    exit_code = 4


class ApplyError(InfometisError):
    """Some objects were not applied; ``report`` is the ApplyReport."""

    exit_code = 5

    def __init__(self, message: str, *, report: Any, hint: str = "") -> None:  # noqa: ANN401
        super().__init__(message, hint=hint)
        self.report = report


class NotReadyError(InfometisError):
    """Applied, but not ready; ``report`` is the HealthReport."""

    exit_code = 5

    def __init__(self, message: str, *, report: Any, hint: str = "") -> None:  # noqa: ANN401
        super().__init__(message, hint=hint)
        self.report = report


class PromotionError(InfometisError):
    """A promotion failed after its first write; ``report`` is the PromotionReport."""

    exit_code = 5

    def __init__(self, message: str, *, report: Any, hint: str = "") -> None:  # noqa: ANN401
        super().__init__(message, hint=hint)
        self.report = report


class DeadlineError(InfometisError):
    """The time for the whole verb is used up."""

    exit_code = 5


class CancelledError(InfometisError):
    """The caller's token stopped the verb at a safe point."""

    exit_code = 130
