"""The embedded platform: one genuine control plane on loopback, with simulated nodes."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from infometis_platform_embedded import life, store
from infometis_platform_embedded.api import Api, is_ready
from infometis_platform_embedded.files import write_files
from infometis_platform_embedded.layout import Layout
from infometis_platform_embedded.locks import hold
from infometis_platform_embedded.plan import Plan, free_ports, is_free
from infometis_platform_embedded.processes import Identity, identity
from infometis_platform_embedded.seed import STORAGE_CLASS, digest, missing, seed
from infometis_sdk.errors import DeadlineError, PlatformError
from infometis_sdk.machine import Machine
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import (
    Access,
    Finding,
    Platform,
    PlatformContext,
    PlatformStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from infometis_platform_embedded.settings import Embedded

__all__ = ("EmbeddedPlatform",)

_TRIES = 3
_RESTART = 30.0  # seconds that a running supervisor gets to bring the API server back
_FAILING = 4
_CHECKS = 60.0  # seconds that looking at binaries may take


class EmbeddedPlatform(Platform):
    """Makes, reaches and removes one embedded cluster; see :class:`Platform`."""

    def __init__(self, settings: Embedded, context: PlatformContext) -> None:
        self._settings = settings
        self._context = context
        self._layout = Layout(context.state_dir)

    # ------------------------------------------------------------------ the port

    def ensure(self, run: Run) -> Access:
        """Make the cluster, or start what is down; see :meth:`Platform.ensure`."""
        with self._locked(run):
            plan = Plan.read(self._layout)
            if plan is not None and self._is_abandoned(plan):
                self._remove(plan)
                plan = None
            if plan is not None:
                self._check_unchanged(plan)
            plan = self._go_on(plan, run) or self._start(plan, run)
            self._fill(plan, run)
            return self._access()

    def status(self) -> PlatformStatus:
        """Say how the cluster is; see :meth:`Platform.status`."""
        plan = Plan.read(self._layout)
        if plan is None:
            return PlatformStatus(phase="absent", detail="no cluster was made", simulated=True)
        alive = life.supervisor(self._layout) is not None
        found = life.parts(self._layout)
        states = {name: _state(part, alive=alive) for name, part in found.items()}
        states["supervisor"] = "running" if alive else "down"
        phase, detail = self._phase(plan, states)
        return PlatformStatus(
            phase=phase,
            detail=detail,
            version=plan.settings.kubernetes,
            simulated=True,
            parts=states,
        )

    def connect(self) -> Access:
        """Return the access to the cluster; see :meth:`Platform.connect`."""
        name = self._context.cluster
        if Plan.read(self._layout) is None or not self._layout.kubeconfig.exists():
            msg = f"there is no embedded cluster {name!r}"
            raise PlatformError(msg, hint="make it with `infometis up`")
        if life.supervisor(self._layout) is None:
            msg = f"the embedded cluster {name!r} is stopped"
            raise PlatformError(msg, hint="start it with `infometis up`; its data is kept")
        return self._access()

    def destroy(self, run: Run) -> None:
        """Remove the cluster and every trace of it; see :meth:`Platform.destroy`."""
        if not self._layout.state_dir.exists():
            return
        with self._locked(run):
            run.emit(Event(name="destroy cluster", subject=self._context.cluster, state="started"))
            self._remove(Plan.read(self._layout))
        run.emit(Event(name="destroy cluster", subject=self._context.cluster, state="finished"))

    @property
    def owned(self) -> bool:
        """The cluster is ours; see :attr:`Platform.owned`."""
        return True

    @property
    def capabilities(self) -> Mapping[str, str]:
        """What the cluster can do; see :attr:`Platform.capabilities`."""
        return {
            "default_storage_class": "declared",
            "encrypted_transport": "absent",
            "host_ports": "absent",
            "load_balancer": "absent",
            "multi_node": "declared" if self._settings.nodes > 1 else "absent",
            "network_policy_enforced": "absent",
            "pods_run": "absent",
            "volume_expansion": "declared",
        }

    # ------------------------------------------------------------------ abilities

    def preflight(self) -> tuple[Finding, ...]:
        """Look at this machine; see :class:`Preflight`."""
        from infometis_platform_embedded.preflight import check

        running = life.supervisor(self._layout) is not None
        run = Run.within(_CHECKS)
        return tuple(check(self._settings, self._context, run, running=running))

    def steps(self) -> tuple[str, ...]:
        """Say what ``ensure`` would do; see :class:`DryRun`."""
        plan = Plan.read(self._layout)
        if plan is not None and self._is_abandoned(plan):
            plan = None
        if plan is not None:
            self._check_unchanged(plan)
        return tuple(self._steps(plan))

    def stop(self, run: Run) -> None:
        """Pause the cluster; its data stays."""
        with self._locked(run):
            plan = Plan.read(self._layout)
            if plan is None:
                msg = f"there is no embedded cluster {self._context.cluster!r} to stop"
                raise PlatformError(msg, hint="make it with `infometis up`")
            plan.evolve(wanted="stopped").write(self._layout)
            run.emit(Event(name="stop cluster", subject=plan.cluster, state="started"))
            life.end(self._layout, gently=True)
            run.emit(Event(name="stop cluster", subject=plan.cluster, state="finished"))

    def start(self, run: Run) -> Access:
        """Go on after :meth:`stop`."""
        if Plan.read(self._layout) is None:
            msg = f"there is no embedded cluster {self._context.cluster!r} to start"
            raise PlatformError(msg, hint="make it with `infometis up`")
        return self.ensure(run)

    # ------------------------------------------------------------------ steps

    def _steps(self, plan: Plan | None) -> Iterator[str]:
        settings = self._settings
        if plan is None or life.supervisor(self._layout) is None or not self._fits(plan):
            from infometis_platform_embedded.binaries import lacking_parts

            version, cache = settings.kubernetes, self._context.cache_dir
            if lacking := lacking_parts(settings, cache, Run.within(_CHECKS)):
                yield f"download or build {', '.join(lacking)} of Kubernetes {version}"
            port = settings.port or (plan.ports["api"] if plan is not None else 0)
            where = f"port {port}" if port else "a free port"
            data = ", with its data" if plan is not None else ""
            yield f"start Kubernetes {version} on {where} of 127.0.0.1{data}"
            yield f"write {self._layout.kubeconfig}"
        if plan is None or plan.seeded != digest(settings):
            yield f"make {_nodes(settings.nodes)} and the StorageClass {STORAGE_CLASS}"

    @contextmanager
    def _locked(self, run: Run) -> Iterator[None]:
        told = False

        def waiting(_seconds: float) -> None:
            nonlocal told
            run.check(f"waiting for another process to finish with {self._context.cluster!r}")
            if not told:
                detail = "another process works on this cluster"
                run.emit(Event(name="wait", subject=self._context.cluster, detail=detail))
                told = True

        with _filesystem_errors(self._context.state_dir), hold(self._layout.lock, waiting):
            yield

    def _access(self) -> Access:
        return Access(
            kubeconfig=self._layout.kubeconfig, context=self._context.cluster, simulated=True
        )

    def _is_abandoned(self, plan: Plan) -> bool:
        """Whether it was to end with a process that is gone."""
        if not plan.ephemeral:
            return False
        owner = Identity.from_dict(dict(plan.owner))
        return owner is None or not owner.alive

    def _check_unchanged(self, plan: Plan) -> None:
        """Refuse settings that an existing cluster cannot take on."""
        old, new = plan.settings, self._settings
        for name in ("lifetime", "data_dir"):
            was, now = getattr(old, name), getattr(new, name)
            if was != now:
                msg = f"{name}: cluster {plan.cluster!r} was made with {was!r}, not {now!r}"
                raise PlatformError(msg, hint="destroy the cluster first, or set it back")
        was, now = (tuple(map(int, each.kubernetes[1:].split("."))) for each in (old, new))
        if now < was or now[1] > was[1] + 1:
            msg = (
                f"kubernetes: {plan.cluster!r} is {old.kubernetes}, not to become {new.kubernetes}"
            )
            raise PlatformError(msg, hint="go up one minor version at a time, and never down")

    def _go_on(self, plan: Plan | None, run: Run) -> Plan | None:
        """Return the plan of a cluster that runs as it should, starting nothing."""
        if plan is None or life.supervisor(self._layout, run) is None:
            return None
        if not self._fits(plan):
            return None
        if not is_ready(plan.ports["api"], self._layout.pki / "ca.crt", timeout=2.0):
            # it starts, or restarts what died; that is its business, and ours is to wait
            try:
                within = Run(
                    deadline=min(run.deadline, time.monotonic() + _RESTART),
                    emit=run.emit,
                    cancel=run.cancel,
                )
                life.wait_ready(plan, self._layout, within)
            except (PlatformError, DeadlineError, life.PortTakenError):
                run.check("waiting for the API server")
                return None
        return plan.evolve(settings=self._settings)

    def _fits(self, plan: Plan) -> bool:
        """Whether its processes may go on as they are."""
        old, new = plan.settings, self._settings
        moved = bool(new.port) and new.port != plan.ports["api"]
        return not moved and old.kubernetes == new.kubernetes and self._layout.kubeconfig.exists()

    def _start(self, plan: Plan | None, run: Run) -> Plan:
        # Only a start needs the certificates and the binaries, and their imports take long.
        from infometis_platform_embedded.binaries import find
        from infometis_platform_embedded.pki import ensure_pki

        name = self._context.cluster
        run.check(f"starting cluster {name!r}")
        run.emit(Event(name="start cluster", subject=name, state="started"))
        binaries = find(self._settings, self._context.cache_dir, run)
        life.end(self._layout, gently=plan is not None)
        self._layout.make()
        for attempt in range(1, _TRIES + 1):
            plan = made = self._make_plan(plan, binaries, fresh=attempt > 1)
            ensure_pki(self._layout.pki)
            write_files(made, self._layout)
            made.write(self._layout)
            life.spawn(made, self._layout)
            try:
                life.wait_ready(made, self._layout, run)
            except life.PortTakenError as error:
                life.end(self._layout, gently=True)
                if attempt == _TRIES or self._settings.port:
                    msg = f"a port of {error} of cluster {name!r} is taken by another program"
                    hint = "end that program, or set `port: 0` to take a free one"
                    raise PlatformError(msg, hint=hint) from error
            else:
                run.emit(Event(name="start cluster", subject=name, state="finished"))
                return made
        raise AssertionError(name)  # the last try returned or raised

    def _make_plan(self, old: Plan | None, binaries: Mapping[str, str], *, fresh: bool) -> Plan:
        wanted = self._settings.port
        for each in Machine().ports([wanted] if wanted else []):
            if each.level == "error":
                hint = "end that program, or set `port: 0` to take a free one"
                raise PlatformError(each.detail, hint=hint)
        ports = dict(old.ports) if old is not None and not fresh else {}
        moved = bool(wanted) and ports.get("api") != wanted
        if not ports or moved or not all(is_free(port) for port in ports.values()):
            ports = free_ports(wanted)
        me = identity(os.getpid())
        return Plan(
            cluster=self._context.cluster,
            settings=self._settings,
            ports=ports,
            binaries=binaries,
            data=old.data
            if old is not None
            else store.make(self._layout, self._settings, self._context.cluster),
            owner=me.to_dict() if me else {},
        )

    def _fill(self, plan: Plan, run: Run) -> None:
        """Put nodes and classes in, unless that has been done, and wait for them."""
        wanted = digest(plan.settings)
        if plan.seeded != wanted:
            api = Api(port=plan.ports["api"], pki=self._layout.pki, user="admin")
            try:
                seed(api, plan.settings)
                while lacking := missing(api, plan.settings):
                    event = Event(
                        name="wait", subject=plan.cluster, state="progress", detail=lacking
                    )
                    run.emit(event)
                    run.sleep(0.05, f"waiting for the cluster: {lacking}")
            finally:
                api.close()
        if plan.seeded != wanted or plan != Plan.read(self._layout):
            plan.evolve(seeded=wanted).write(self._layout)

    def _remove(self, plan: Plan | None) -> None:
        life.end(self._layout, gently=False)
        if plan is not None:
            store.remove(self._layout, plan.data)
        self._layout.remove()

    # ------------------------------------------------------------------ status

    def _phase(self, plan: Plan, states: Mapping[str, str]) -> tuple[str, str]:
        if states["supervisor"] != "running":
            if plan.wanted == "stopped":
                return "stopped", "its data is kept"
            return "stopped", "its processes are gone; `infometis up` starts them again"
        down = [f"{name} is {state}" for name, state in states.items() if state != "running"]
        if not is_ready(plan.ports["api"], self._layout.pki / "ca.crt"):
            failing = [each for each in down if "again and again" in each]
            return (
                ("failed", failing[0]) if failing else ("starting", "the API does not answer yet")
            )
        if down or not plan.seeded:
            return "starting", "; ".join(down) or "its nodes are not there yet"
        return "ready", f"{_nodes(plan.settings.nodes)}, port {plan.ports['api']}"


def _nodes(count: int) -> str:
    return f"{count} simulated node{'s' if count > 1 else ''}"


def _state(part: Mapping[str, Any], *, alive: bool) -> str:
    """Return the state of a part in a few words."""
    who = Identity.from_dict(dict(part))
    if alive and who is not None and who.alive:
        return "running"
    deaths = int(part.get("deaths", 0))
    if alive and deaths >= _FAILING:
        return f"down: {part.get('exit', '')} again and again ({deaths} times)"
    return "down"


@contextmanager
def _filesystem_errors(state_dir: Path) -> Iterator[None]:
    """Turn a full, read-only or foreign file system into an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise life.full_disk(state_dir, "a file cannot be written") from error
        where = error.filename or state_dir
        msg = f"cannot work in {where}: {error.strerror or error}"
        hint = f"make room and let this user write below {state_dir}, then run it again"
        raise PlatformError(msg, hint=hint) from error
