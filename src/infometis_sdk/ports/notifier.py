"""The port to those who are on call: what a guard finds and cannot mend by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.model.secret import Secret, SecretRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.model.run import Run

__all__ = ("Alert", "Notifier", "NotifierContext", "NotifierSpec")


@frozen(kw_only=True)
class Alert:
    """One condition that lasts; it is told again when it is over.

    Attributes:
        name: what it is, such as ``contended`` or ``rollout stuck``.
        level: ``warning`` or ``error``.
        stack_id, environment: which stack.
        namespace, subject, path, service, manager: what it is about, as in
            :class:`~infometis_sdk.model.guard.GuardNote`.
        summary: one line for people; never a secret.
        starts: when it was found, UTC, ISO 8601.
        ends: when it was over; empty while it lasts.

    """

    name: str
    level: str
    stack_id: str
    environment: str = ""
    namespace: str = ""
    subject: str = ""
    path: str = ""
    service: str = ""
    manager: str = ""
    summary: str = ""
    starts: str
    ends: str = ""

    @property
    def identity(self) -> Mapping[str, str]:
        """What tells this alert from others, and stays the same until it is over."""
        known = {
            "name": self.name,
            "stack_id": self.stack_id,
            "environment": self.environment,
            "namespace": self.namespace,
            "subject": self.subject,
            "path": self.path,
        }
        return {key: value for key, value in known.items() if value}


class Notifier(ABC):
    """Tells somebody; called from one thread, never while the guard waits for it.

    Attributes:
        repeat: seconds after which what still lasts must be told again; ``inf`` for never.

    Example:
        .. code-block:: python

            class Printer(Notifier):
                def notify(self, alerts, run):
                    for alert in alerts:
                        print(alert.name, alert.subject, "over" if alert.ends else alert.summary)

    """

    repeat: float = float("inf")

    @abstractmethod
    def notify(self, alerts: Sequence[Alert], run: Run) -> None:
        """Tell of alerts that began, that last, or that are over.

        Raises:
            NotifierError: they could not be delivered; the guard tries again, with longer and
                longer pauses, and never loses the end of an alert that was delivered.

        """


@frozen(kw_only=True)
class NotifierContext:
    """What a notifier's factory is given besides its settings.

    Attributes:
        stack_id, environment: which stack.
        resolve: turns a reference to a secret into its value.

    """

    stack_id: str
    environment: str
    resolve: Callable[[SecretRef], Secret] = field(repr=False)


@frozen(kw_only=True)
class NotifierSpec:
    """One kind of notifier, as a plugin registers it; environments name it in ``policies.notify``.

    Attributes:
        name: what YAML says in ``type``.
        summary: one line for ``infometis plugins list``.
        settings: an attrs class.
        factory: makes the notifier; nothing heavy is imported before it runs.

    """

    name: str
    summary: str
    settings: type[Any]
    factory: Callable[[Any, NotifierContext], Notifier] = field(eq=False)
