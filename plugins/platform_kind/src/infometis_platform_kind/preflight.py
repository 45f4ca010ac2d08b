"""What will not work here, with the cure, before the first container is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from infometis_platform_kind.wsl import check_wsl
from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import moment
from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_platform_kind.engine import Engine
    from infometis_sdk.machine import Machine
    from infometis_sdk.model.run import Run

__all__ = ("check_engine", "check_machine")

_OLDEST_API = (1, 41)  # Docker 20.10: kind passes --cgroupns
_LEGACY = "1"


def check_engine(engine: Engine, machine: Machine, run: Run) -> Iterator[Finding]:
    """Look at the container engine; one finding alone where it does not answer."""
    program = engine.program
    try:
        info = engine.info(run)
    except PlatformError as error:
        yield Finding(check=program, level="error", detail=error.message, cure=error.hint)
        return
    version = str(info.get("ServerVersion") or "")
    yield Finding(check=program, level="ok", detail=f"version {version}" if version else "answers")
    if program == "docker":
        yield from _docker_version(engine, run)
    yield _cgroup(info)
    rootless = any("name=rootless" in str(each) for each in info.get("SecurityOptions") or ())
    if rootless and any(info.get(key) is False for key in ("MemoryLimit", "PidsLimit")):
        yield Finding(
            check="rootless",
            level="error",
            detail="the engine runs without root and may not limit memory or processes",
            cure="set Delegate=yes for user@.service, see kind's page on rootless engines",
        )
    yield machine.image_store(info)
    root = Path(str(info.get("DockerRootDir") or ""))
    if root.is_absolute() and root.exists():
        # Elsewhere the engine lives in a machine of its own, whose disk we cannot see.
        yield machine.disk(root, percent=0, gib=5)
    # where it does not tell, ours alone is judged
    yield machine.clock(moment(str(info.get("SystemTime") or "")) or None)


def check_machine(machine: Machine) -> Iterator[Finding]:
    """Look at the kernel, whose limits nodes share."""
    yield machine.inotify()
    yield machine.map_count()
    yield from check_wsl(machine.root)


def _docker_version(engine: Engine, run: Run) -> Iterator[Finding]:
    done = engine.ask(run, "version", "--format", "{{.Server.APIVersion}}")
    words = done.stdout.strip().split(".")
    if len(words) == len(_OLDEST_API) and tuple(map(int, words)) < _OLDEST_API:
        yield Finding(
            check="docker version",
            level="error",
            detail=f"its API is {done.stdout.strip()}, and kind needs 1.41",
            cure="upgrade to Docker 20.10 or later",
        )


def _cgroup(info: Mapping[str, Any]) -> Finding:
    """Judge the cgroups that nodes would get, which need not be those of this machine."""
    if str(info.get("CgroupVersion") or "") != _LEGACY:
        return Finding(check="cgroup", level="ok", detail="v2")
    return Finding(
        check="cgroup",
        level="error",
        detail="the engine has cgroup v1, which Kubernetes 1.35 and later refuse",
        cure="boot with systemd.unified_cgroup_hierarchy=1; under WSL put "
        "'kernelCommandLine = cgroup_no_v1=all' below [wsl2] in .wslconfig",
    )
