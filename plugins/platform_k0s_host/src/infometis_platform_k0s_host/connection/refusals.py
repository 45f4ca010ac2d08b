"""What OpenSSH says when it does not reach a host, and the cure.

The texts are those of OpenSSH 8 and 9 (``sshconnect.c``, ``sshconnect2.c``, ``clientloop.c``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.connection.seam import HostError

if TYPE_CHECKING:
    from infometis_platform_k0s_host.settings import Host

__all__ = ("ssh_fault",)

_FAULTS: tuple[tuple[str, str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host key has changed: it is another machine, or somebody is in between",
        "was the machine installed anew, then `ssh-keygen -R {known}` and compare the new key",
    ),
    (
        r"host key is known for .* strict checking|Host key verification failed",
        "the host key is not known",
        "compare the key and accept it once by hand: `ssh {login}`",
    ),
    (
        r"Permission denied \(",
        "the host refuses the user{user}: no key of ours is accepted",
        "check `user` and `key`, and that `ssh {login}` works without a password",
    ),
    (
        r"Too many authentication failures",
        "the host refused after too many keys",
        "name the right one with `key`, or set IdentitiesOnly in the SSH configuration",
    ),
    (
        r"Connection refused",
        "SSH is refused: nothing listens there",
        "start sshd on the host, or mend `address` and `port`",
    ),
    (
        r"Could not resolve hostname|Name or service not known",
        "the name of the host is not known",
        "mend `address`, or add the host to DNS or to the SSH configuration",
    ),
    (
        r"timed out|No route to host|Network is unreachable|Host is down",
        "the host does not answer",
        "is it switched on, and does the network or a firewall let SSH through",
    ),
    (
        r"Broken pipe|Connection .*(reset|closed)|from master failed|not responding|kex_exchange",
        "the connection was lost",
        "the host may be starting again; run the same command once more when it is back",
    ),
    (
        r"no such identity|UNPROTECTED PRIVATE KEY|invalid format|error in libcrypto",
        "the private key cannot be used",
        "mend `key`: a private key that this user, and nobody else, may read",
    ),
    (
        r"Bad configuration option|Can't open user config file|terminating, \d+ bad",
        "the SSH configuration is not valid",
        "`ssh -G {login}` shows the fault",
    ),
)


def ssh_fault(host: Host, stderr: str) -> HostError:
    """Say in one line why ``ssh`` ended with 255, and what to do."""
    login = f"{host.user}@{host.address}" if host.user else host.address
    words = {
        "user": f" {host.user!r}" if host.user else "",
        "login": f"-p {host.port} {login}" if host.port else login,
        "known": f"'[{host.address}]:{host.port}'" if host.port else host.address,
    }
    for pattern, message, cure in _FAULTS:
        if re.search(pattern, stderr):
            said = message.format(**words)
            return HostError(f"{host.name}: {said}", host=host.name, hint=cure.format(**words))
    last = (stderr.strip().splitlines() or ["no reason given"])[-1]
    return HostError(f"{host.name}: ssh failed: {last}", host=host.name)
