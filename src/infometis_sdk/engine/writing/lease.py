"""One writer per stack: a Lease around the writes, and the session through which alone they go.

The holder's name tells host, boot, process and its start time,
so that a dead holder on this machine is replaced at once;
one elsewhere is replaced when its Lease has not changed for a whole term *by our own clock*,
since the clocks of two machines need not agree.
A session stops writing when its Lease is older than half the term, by a clock that counts suspend:
a laptop that slept must not wake up and write.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attrs import field, frozen

from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.objects.marks import STACK
from infometis_sdk.errors import (
    ClusterError,
    ConflictError,
    LockedError,
    NotFoundError,
    UnreachableError,
)
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.cluster import Cluster, Write, Written

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("PATIENCE", "TERM", "Holder", "Writer", "boottime")

TERM = 60.0
"""Seconds after which an unchanged Lease is free."""

PATIENCE = 90.0
"""Seconds that a second writer waits: longer than a term, so that a crash elsewhere is outlived."""

_RENEW = 12.0
_POLL = 1.0
_PARTS = 7
_TRIES = 5


def boottime() -> float:
    """Return seconds by a clock that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Holder:
    """Who holds a Lease: ``host/machine/boot/processes/pid/start/nonce``.

    ``machine`` is a hash of the machine's id and ``processes`` the namespace that the pid counts
    in: two runners may well have the same host name, and two containers the same pids.
    """

    def __init__(self, text: str) -> None:
        parts = text.split("/")
        self.text = text
        self.host, self.machine, self.boot, self.space, self.pid, self.start, _ = (
            parts if len(parts) == _PARTS else [text, *[""] * (_PARTS - 1)]
        )

    @classmethod
    def me(cls) -> Holder:
        """Return this process, with a nonce so that two sessions in it are told apart."""
        pid = os.getpid()
        where = (socket.gethostname(), _machine(), _boot_id(), _process_space())
        return cls("/".join((*where, str(pid), _start_of(pid), os.urandom(4).hex())))

    @property
    def dead(self) -> bool:
        """Whether the holder surely was a process of this machine that is no more.

        Where that is not sure, such as in another container, only time can tell.
        """
        if self.host != socket.gethostname() or not self.boot or not self.pid.isdigit():
            return False
        if self.boot != _boot_id():
            # Another boot of this machine, or another machine of the same name.
            return bool(self.machine) and self.machine == _machine()
        if self.space != _process_space():
            return False
        return _start_of(int(self.pid)) != self.start

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else (self.text or "nobody")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _machine() -> str:
    """Return a hash of the machine's id, which is not to be shown itself; see machine-id(5)."""
    try:
        text = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return hashlib.sha256(f"infometis lease {text}".encode()).hexdigest()[:12] if text else ""


def _process_space() -> str:
    """Return the namespace in which this process has its pid; see pid_namespaces(7)."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    """Return the start time of a process as the kernel counts it; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The command's name may hold spaces and brackets, so count from its end.
    return stat.rpartition(")")[2].split()[19]


@frozen(kw_only=True)
class _HeldRun(Run):
    """The run of a write, tried for up to a minute: before each try the Lease must hold."""

    hold: Callable[[], None] = field(eq=False)

    def check(self, doing: str) -> None:
        """See :meth:`Run.check`.

        Raises:
            LockedError: the Lease was lost.

        """
        self.hold()
        Run.check(self, doing)


class Writer:
    """A session that holds the Lease of a stack; the one way to write for it.

    Use as a context manager.

    Args:
        cluster: the API.
        stack_id: which stack.
        namespace: its home, where the Lease lives.
        run: deadline, events and cancel token of the waiting.
        clock: seconds, suspended ones too.
        patience: seconds to wait for another holder.
        term: seconds after which an unchanged Lease is free.
        name: of another Lease than the writer's, such as that of the guard that leads.
        poll: seconds between two looks at another holder's Lease.
        lost: called, in a thread of the session, when somebody else took the Lease.

    """

    def __init__(
        self,
        cluster: Cluster,
        stack_id: str,
        namespace: str,
        run: Run,
        *,
        clock: Callable[[], float] = boottime,
        patience: float = PATIENCE,
        term: float = TERM,
        name: str = "",
        poll: float = _POLL,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._stack_id = stack_id
        self._run = run
        self._clock = clock
        self._patience = patience
        self._term = term
        self._holder = Holder.me()
        self.ref = ObjectRef(
            api_version="coordination.k8s.io/v1",
            kind="Lease",
            namespace=namespace,
            name=name or parent_name(stack_id),
        )
        self._poll = poll
        self._on_loss = lost
        self._renewed = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._acquire()
        self._thread = threading.Thread(target=self._keep, name="infometis-lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=5)
        self._release()

    def write(self, write: Write, run: Run) -> Written:
        """Write, if the Lease is surely ours.

        Raises:
            LockedError: the Lease was lost; nothing was written.

        """
        self._hold(run)
        held = _HeldRun(
            deadline=run.deadline, emit=run.emit, cancel=run.cancel, hold=lambda: self._hold(run)
        )
        return self._cluster.write(write, held)

    def _hold(self, run: Run) -> None:
        """Make sure that the Lease is ours for a while; asked before every try of a request."""
        if self._stale:
            self._renew(run)

    @property
    def held(self) -> bool:
        """Whether the Lease surely is still ours, by our own clock."""
        return not self._stale

    @property
    def _stale(self) -> bool:
        return self._clock() - self._renewed > self._term / 2

    def _acquire(self) -> None:
        seen, since = "", self._clock()
        begun = self._clock()
        told = False
        while True:
            self._run.check("waiting for the writer's Lease")
            live = self._cluster.get(self.ref, self._run)
            if live is None:
                if self._create():
                    return
                continue
            spec = live.get("spec") or {}
            holder = Holder(spec.get("holderIdentity") or "")
            if holder.text == self._holder.text:
                # Our own request got through, only its answer was lost.
                self._renewed = begun
                return
            version = live["metadata"]["resourceVersion"]
            if version != seen:
                seen, since = version, self._clock()
            term = float(spec.get("leaseDurationSeconds") or self._term)
            if not holder.text or holder.dead or self._clock() - since > term:
                if self._replace(self._body((spec.get("leaseTransitions") or 0) + 1), version):
                    return
                continue
            waited = self._clock() - begun
            if waited > self._patience:
                msg = f"another writer holds stack {self._stack_id}: {holder}"
                raise LockedError(
                    msg,
                    holder=str(holder),
                    age=self._clock() - since,
                    hint="wait for it to end; if it is gone, its Lease frees itself "
                    f"{self._term:.0f} s after its last sign of life",
                )
            if not told:
                told = True
                self._run.emit(
                    Event(name="lock", subject=self._stack_id, detail=f"waiting for {holder}")
                )
            self._run.rest(self._poll)

    def _body(self, transitions: int) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "apiVersion": self.ref.api_version,
            "kind": self.ref.kind,
            "metadata": {
                "name": self.ref.name,
                "namespace": self.ref.namespace,
                "labels": {
                    STACK: self._stack_id,
                    "app.kubernetes.io/managed-by": "infometis-sdk",
                },
            },
            "spec": {
                "holderIdentity": self._holder.text,
                "leaseDurationSeconds": int(self._term),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }

    def _create(self) -> bool:
        begun = self._clock()
        try:
            self._put("create", self._body(0), "", self._run)
        except ConflictError:
            return False
        except UnreachableError as error:
            if error.status:
                raise
            # It may have been made, so look; whether there is any time left is checked there.
            return False
        self._renewed = begun
        return True

    def _replace(self, body: dict[str, Any], version: str) -> bool:
        begun = self._clock()
        try:
            self._put("replace", body, version, self._run)
        except (ConflictError, NotFoundError):
            return False
        self._renewed = begun
        return True

    def _put(self, verb: str, body: dict[str, Any], version: str, run: Run) -> None:
        self._cluster.write(
            Write(
                verb=verb,
                ref=self.ref,
                body=body,
                manager="infometis-lease",
                resource_version=version,
            ),
            run,
        )

    def _renew(self, run: Run) -> None:
        with self._lock:
            for _ in range(_TRIES):
                begun = self._clock()
                live = self._cluster.get(self.ref, run)
                spec = (live or {}).get("spec") or {}
                if live is None or spec.get("holderIdentity") != self._holder.text:
                    raise self._lost(Holder(spec.get("holderIdentity") or ""))
                body = {**live, "spec": {**spec, "renewTime": self._body(0)["spec"]["renewTime"]}}
                try:
                    self._put("replace", body, live["metadata"]["resourceVersion"], run)
                except ConflictError:
                    # Taken by somebody else, or our own request came through twice: look again.
                    continue
                self._renewed = begun
                return
            raise self._lost(Holder(""))

    def _lost(self, holder: Holder) -> LockedError:
        msg = f"the writer's Lease of stack {self._stack_id} was lost to {holder}"
        return LockedError(
            msg,
            holder=str(holder),
            hint="this machine slept or was cut off; run the same command again",
        )

    def _keep(self) -> None:
        while not self._stop.wait(min(_RENEW, self._term / 5)):
            try:
                self._renew(Run.within(self._term / 4))
            except LockedError:
                self._on_loss()
                return  # the next write finds out and says so
            except ClusterError:
                continue  # the API may come back within the term; write() looks at the age

    def _release(self) -> None:
        run = Run.within(5)
        try:
            live = self._cluster.get(self.ref, run)
            spec = (live or {}).get("spec") or {}
            if live is None or spec.get("holderIdentity") != self._holder.text:
                return
            self._cluster.write(
                Write(
                    verb="replace",
                    ref=self.ref,
                    body={**live, "spec": {**spec, "holderIdentity": ""}},
                    manager="infometis-lease",
                    resource_version=live["metadata"]["resourceVersion"],
                ),
                run,
            )
        except ClusterError:
            return  # a Lease that cannot be given back frees itself after its term
