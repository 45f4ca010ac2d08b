"""Keeps the parts of one cluster running until it is told to stop, or its parent is gone."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_platform_embedded.api import is_ready
from infometis_platform_embedded.daemon.children import Child
from infometis_platform_embedded.layout import Layout, read_json, write_json
from infometis_platform_embedded.locks import try_lock
from infometis_platform_embedded.processes import Identity, identity

if TYPE_CHECKING:
    from types import FrameType

__all__ = ("EPHEMERAL_PREFIX", "Supervisor")

EPHEMERAL_PREFIX = "infometis-ephemeral-"

_STORE = ("etcd", "kube-apiserver")
_TICK = 1.0
_PROBE = 0.05  # between two looks at an API server that is starting
_ANSWER = 2.0  # for an answer on a busy machine
_PATIENCE = 5.0  # for etcd to close its files, and for a lock at the end


class Supervisor:
    """The one parent of all parts; it holds a lock for as long as it lives."""

    def __init__(self, state_dir: Path, parent: int) -> None:
        self._layout = Layout(state_dir)
        self._plan = read_json(self._layout.plan)
        self._parent = parent
        self._me = identity(os.getpid())
        self._children: list[Child] = []
        self._ready = False
        self._ending: signal.Signals | None = None
        self._reported: object = None
        self._woken = -1
        self._parent_descriptor = -1

    def run(self, *, started: int) -> int:
        """Supervise; ``started`` is a pipe that learns when the pid file is written."""
        if not self._hold() or not self._plan or self._me is None:
            return 1
        self._listen()
        self._children = self._make_children()
        write_json(self._layout.pid, self._me.to_dict())
        os.write(started, b"1")
        os.close(started)
        orphaned = False
        try:
            orphaned = self._supervise()
        finally:
            self._end_children(gently=self._ending is signal.SIGTERM and not orphaned)
            if orphaned:
                self._remove_everything()
            elif self._is_ours():
                self._layout.parts.unlink(missing_ok=True)
                self._layout.pid.unlink(missing_ok=True)
        return 0

    def _hold(self) -> bool:
        """Take the lock of the living, which a short look by others may hold for a moment."""
        end = time.monotonic() + _TICK
        while try_lock(self._layout.alive) is None:
            if time.monotonic() > end:
                return False
            time.sleep(_PROBE)
        return True

    def _listen(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        self._woken = read
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._on_end)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if self._parent and sys.platform.startswith("linux"):
            try:
                self._parent_descriptor = os.pidfd_open(self._parent)
            except OSError:
                self._ending = signal.SIGUSR1

    def _on_end(self, number: int, _frame: FrameType | None) -> None:
        self._ending = signal.Signals(number)

    def _make_children(self) -> list[Child]:
        environment = {
            "HOME": str(self._layout.config),
            "KWOK_WORKDIR": str(self._layout.config),
            "PATH": os.environ.get("PATH", os.defpath),
            "TMPDIR": str(self._layout.config),
        }
        own = Path(__file__).with_name("__main__.py")
        commands = dict(self._plan["commands"])
        commands["provisioner"] = [
            *(sys.executable, "-I", "-S", "-B", str(own)),
            *("provisioner", str(self._layout.state_dir)),
        ]
        return [
            Child(name, command, self._layout.log(name), environment)
            for name, command in commands.items()
        ]

    def _supervise(self) -> bool:
        """Keep everything running; return whether the parent of an ephemeral cluster has gone."""
        while self._ending is None:
            for child in self._children:
                if child.reap() and child.name in _STORE:
                    self._ready = False
            if not self._ready:
                self._ready = self._probe()
            for child in self._children:
                wanted = self._ready or child.name in _STORE
                if wanted and not child.running and child.due_in() <= 0:
                    child.start()
            if not self._is_ours():
                return False
            self._report()
            if self._parent_gone(self._pause()):
                return True
        return bool(self._parent) and not self._parent_alive()

    def _probe(self) -> bool:
        port = int(self._plan["ports"]["api"])
        running = all(child.running for child in self._children if child.name in _STORE)
        return running and is_ready(port, self._layout.pki / "ca.crt", timeout=_ANSWER)

    def _pause(self) -> float:
        dues = [child.due_in() for child in self._children if not child.running]
        waiting = [_TICK, *(due for due in dues if due > 0)]
        return min(waiting) if self._ready else min(_PROBE, *waiting)

    def _parent_gone(self, seconds: float) -> bool:
        """Wait for news; return whether the news is that the parent has gone."""
        watched = [self._woken]
        if self._parent:
            watched.append(0)
            watched.extend([self._parent_descriptor] if self._parent_descriptor >= 0 else [])
        news, _, _ = select.select(watched, [], [], seconds)
        if self._woken in news:
            os.read(self._woken, 4096)
        return any(each != self._woken for each in news)

    def _parent_alive(self) -> bool:
        return identity(self._parent) is not None

    def _is_ours(self) -> bool:
        """Whether the state directory is there; mend the pid file if somebody spoilt it."""
        if self._me is None or not self._layout.plan.exists():
            return False
        if Identity.from_dict(read_json(self._layout.pid)) != self._me:
            write_json(self._layout.pid, self._me.to_dict())
        return True

    def _report(self) -> None:
        report = {
            "ready": self._ready,
            "parts": {child.name: child.report() for child in self._children},
        }
        if report != self._reported:
            write_json(self._layout.parts, report)
            self._reported = report

    def _end_children(self, *, gently: bool) -> None:
        """End all parts at once; only etcd has files that are worth a word before."""
        etcd = [child for child in self._children if child.name == "etcd"]
        others = [child for child in self._children if child.name != "etcd"]
        for child in others:
            child.end(signal.SIGKILL)
        for child in others:
            child.wait(_PATIENCE)
        for child in etcd:
            child.end(signal.SIGTERM if gently else signal.SIGKILL)
            if not child.wait(_PATIENCE):
                child.end(signal.SIGKILL)
                child.wait(_PATIENCE)

    def _remove_everything(self) -> None:
        """Leave no trace of an ephemeral cluster, unless somebody makes it anew right now."""
        end = time.monotonic() + _PATIENCE
        while try_lock(self._layout.lock) is None:
            if time.monotonic() > end:
                return
            time.sleep(_PROBE)
        data = Path(str(self._plan["data"]))
        if data.parent.name.startswith(EPHEMERAL_PREFIX):
            shutil.rmtree(data.parent, ignore_errors=True)
        self._layout.remove()
