"""What kind needs of the Windows Subsystem for Linux, and mostly does not get by itself."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("check_wsl",)


def check_wsl(root: Path) -> tuple[Finding, ...]:
    """Look at the kernel of WSL2; nothing is found elsewhere.

    Sources: https://github.com/spurin/wsl-cgroupsv2 and kind's known issues.
    """
    try:
        version = (root / "proc/version").read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return ()
    if "microsoft" not in version:
        return ()
    findings = [_cgroups(root)]
    if _recent(root) is False:
        detail = "this kernel has no xt_recent: Services with session affinity ClientIP do not work"
        cure = "wsl --update; or a kernel built with CONFIG_NETFILTER_XT_MATCH_RECENT"
        findings.append(Finding(check="wsl kernel", level="warning", detail=detail, cure=cure))
    return tuple(findings)


def _cgroups(root: Path) -> Finding:
    """Look for v1 controllers beside v2: "error adding pid to cgroups" is their sign."""
    folder = root / "sys/fs/cgroup"
    if (folder / "cgroup.controllers").exists() and not (folder / "memory").exists():
        return Finding(check="wsl cgroup", level="ok", detail="v2 alone")
    return Finding(
        check="wsl cgroup",
        level="error",
        detail="WSL mixes cgroup v1 and v2, so that nodes cannot start",
        cure="put 'kernelCommandLine = cgroup_no_v1=all' below [wsl2] in .wslconfig, "
        "then run 'wsl --shutdown'",
    )


def _recent(root: Path) -> bool | None:
    """Whether the kernel can match recent peers; ``None`` where it does not tell."""
    try:
        loaded = (root / "proc/net/ip_tables_matches").read_text(encoding="ascii")
        if "recent" in loaded.split():
            return True
    except OSError:
        pass
    try:
        with gzip.open(root / "proc/config.gz", "rt", encoding="ascii") as stream:
            return any(
                line.startswith("CONFIG_NETFILTER_XT_MATCH_RECENT=") and line.strip()[-1] in "ym"
                for line in stream
            )
    except OSError:
        return None
