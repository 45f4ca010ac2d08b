"""A guard in a thread, on a stack that is built in code, and what it says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs
from tests.integration.engine.lab import MINUTE

from infometis_sdk.engine.guard import Guard, Orders
from infometis_sdk.engine.heal import heal
from infometis_sdk.errors import SecretError
from infometis_sdk.model.environment import DriftPolicy
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.workspace.materials import materials

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.engine.lab import Lab

    from infometis_sdk.engine.guarding.patrol import Healer
    from infometis_sdk.engine.reading.standing import Standing
    from infometis_sdk.model.guard import GuardNote
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.report import ApplyReport
    from infometis_sdk.model.secret import Secret, SecretRef
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster


HEAL = DriftPolicy(action="heal")


def _no_source(ref: SecretRef) -> Secret:
    msg = f"no source {ref}"
    raise SecretError(msg, reference=str(ref))


class Watchman:
    """One guard.

    Attributes:
        wanted: what the latest Release wants; changed by tests.
        heal: what carries out a plan; replaced by tests.
        healed: how many plans were carried out.
        listener: is told each note too.
        notes: everything that was said.

    """

    def __init__(
        self,
        lab: Lab,
        wanted: ManifestSet,
        *,
        policy: DriftPolicy = HEAL,
        cluster: Cluster | None = None,
        term: float = 60.0,
    ) -> None:
        self.lab = lab
        self.cluster = cluster or lab.cluster
        self.policy = policy
        self.wanted = wanted
        self.notes: list[GuardNote] = []
        self.healed = 0
        self.heal: Healer = self._carry_out
        self.listener: Callable[[GuardNote], None] | None = None
        self._moved = threading.Condition()
        self._token = CancelToken()
        orders = Orders(
            cluster=self.cluster,
            stack_id=wanted.stack_id,
            namespace=wanted.namespace,
            desired=self._desired,
            heal=self._now,
            say=self._say,
            term=term,
        )
        self.guard = Guard(orders)
        self.thread = threading.Thread(
            target=self.guard.run, args=(Run(cancel=self._token),), name="watchman", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """End, and make sure that no thread is left."""
        self._token.cancel()
        self.thread.join(MINUTE)
        assert not self.thread.is_alive()

    def _desired(self, standing: Standing, run: Run) -> ManifestSet:
        del standing, run
        environment = self.wanted.environment
        policies = attrs.evolve(environment.policies, drift=self.policy)
        return attrs.evolve(self.wanted, environment=attrs.evolve(environment, policies=policies))

    def _now(self, plan: Plan, manifests: ManifestSet, release: int, run: Run) -> ApplyReport:
        return self.heal(plan, manifests, release, run)

    def _carry_out(self, plan: Plan, manifests: ManifestSet, release: int, run: Run) -> ApplyReport:
        report = heal(
            self.cluster,
            plan,
            manifests,
            materials(manifests, None, _no_source),
            run,
            release=release,
            patience=0.0,
        )
        self.healed += 1
        return report

    def _say(self, note: GuardNote) -> None:
        with self._moved:
            self.notes.append(note)
            self._moved.notify_all()
        if self.listener is not None:
            self.listener(note)

    def said(self, name: str, subject: str = "", **fields: str) -> list[GuardNote]:
        """Return the notes of a name, about a subject, with these fields."""
        return [
            note
            for note in tuple(self.notes)
            if note.name == name
            and subject in ("", note.subject)
            and all(getattr(note, field) == value for field, value in fields.items())
        ]

    def hears(
        self,
        name: str,
        subject: str = "",
        *,
        times: int = 1,
        seconds: float = 2 * MINUTE,
        **fields: str,
    ) -> GuardNote:
        """Wait until something was said so many times, and return the last of them."""
        with self._moved:
            heard = self._moved.wait_for(
                lambda: len(self.said(name, subject, **fields)) >= times, seconds
            )
        assert heard, f"no {name} {subject} {fields} among:\n" + "\n".join(map(str, self.notes))
        return self.said(name, subject, **fields)[times - 1]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        self.lab.until(condition, what)
