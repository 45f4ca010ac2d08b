"""What will not work here, with the cure, before the first container is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infometis_platform_k0s_docker.images import find_image
from infometis_sdk.machine import moment
from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_platform_k0s_docker.engine import Engine
    from infometis_platform_k0s_docker.settings import K0sDocker
    from infometis_sdk.machine import Machine

__all__ = ("check_docker", "check_machine", "check_settings")

_GIB = 5  # the images of k0s and of a small stack
_INSTANCES = 1024  # k0s, external-runtime-deps; it recommends 8192
_LEGACY = "1"


def check_docker(engine: Engine, machine: Machine) -> Iterator[Finding]:
    """Look at Docker and at the machine that it runs on, by what it tells of both."""
    info = engine.info()
    version = str(info.get("ServerVersion") or "")
    yield Finding(check="docker", level="ok", detail=f"version {version} at {engine.host}")
    yield _system(info)
    yield _rootless(info)
    yield _cgroup(info)
    yield machine.image_store(info)
    root = Path(str(info.get("DockerRootDir") or ""))
    if not engine.machine and root.is_absolute() and root.exists():
        # Elsewhere Docker lives in a machine of its own, whose disk we cannot see.
        yield machine.disk(root, gib=_GIB)
    # where it does not tell, ours alone is judged
    yield machine.clock(moment(str(info.get("SystemTime") or "")) or None)


def check_settings(
    settings: K0sDocker, engine: Engine, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Look at what the settings ask for, as far as it can be seen beforehand."""
    if find_image(engine, settings.reference) is not None:
        yield Finding(check="image", level="ok", detail=f"{settings.reference} is here")
    else:
        detail = f"{settings.reference} is not here, and will be pulled"
        cure = "without a network, bring it by 'docker save' there and 'docker load' here"
        yield Finding(check="image", level="warning", detail=detail, cure=cure)
    for path in settings.ca_files:
        if not Path(path).expanduser().is_file():
            cure = "mend `ca_files`"
            yield Finding(check="ca_files", level="error", detail=f"{path} is no file", cure=cure)
    for name in ("HTTP_PROXY", "HTTPS_PROXY") if settings.proxy else ():
        value = environ.get(name) or environ.get(name.lower()) or ""
        host = urlsplit(value).hostname or ""
        if host == "localhost" or host.startswith("127."):
            cure = "have the proxy listen on an address that containers reach, and name that"
            detail = f"{name} names {host}, which a node would look for in itself"
            yield Finding(check="proxy", level="warning", detail=detail, cure=cure)
    if engine.machine and settings.listen.startswith("127."):
        detail = (
            f"Docker is on {engine.machine}, and ports would listen on its own {settings.listen}"
        )
        cure = f"set `listen` to an address of {engine.machine}"
        yield Finding(check="listen", level="error", detail=detail, cure=cure)


def check_machine(machine: Machine) -> Iterator[Finding]:
    """Look at the kernel, whose limits nodes share."""
    yield machine.inotify(instances=_INSTANCES)
    yield machine.map_count()


def _system(info: Mapping[str, Any]) -> Finding:
    system = str(info.get("OSType") or "linux")
    if system == "linux":
        return Finding(check="containers", level="ok", detail="linux")
    cure = "switch Docker Desktop to Linux containers"
    return Finding(
        check="containers", level="error", detail=f"Docker runs {system} containers", cure=cure
    )


def _rootless(info: Mapping[str, Any]) -> Finding:
    options = [str(each) for each in info.get("SecurityOptions") or ()]
    if not any("name=rootless" in each for each in options):
        return Finding(check="rootless", level="ok", detail="Docker runs as root")
    return Finding(
        check="rootless",
        level="error",
        detail="Docker runs without root, and a node of k0s has to mount, route and limit",
        cure="use the Docker of the system ('docker context use default'), or `platform: "
        "{type: kind}`, which knows how to do without",
    )


def _cgroup(info: Mapping[str, Any]) -> Finding:
    """Judge the cgroups that nodes would get, which need not be those of this machine."""
    if str(info.get("CgroupVersion") or "") != _LEGACY:
        return Finding(check="cgroup", level="ok", detail="v2")
    return Finding(
        check="cgroup",
        level="error",
        detail="Docker has cgroup v1, which Kubernetes 1.35 and later refuse",
        cure="boot with systemd.unified_cgroup_hierarchy=1; under WSL put "
        "'kernelCommandLine = cgroup_no_v1=all' below [wsl2] in .wslconfig; or have k0s do with v1 "
        "by `ignore_preflight: [cgroup]`",
    )
