from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infometis_platform_k0s_host import Host, K0sHost
from infometis_platform_k0s_host.connection import (
    HostError,
    LocalConnection,
    SshConnection,
    connect,
)
from infometis_platform_k0s_host.connection.refusals import ssh_fault
from infometis_platform_k0s_host.connection.seam import privilege_fault
from infometis_platform_k0s_host.scripts import script
from infometis_sdk.errors import CancelledError
from infometis_sdk.model.run import CancelToken, Run

HOST = Host(address="10.0.0.5", role="single", user="admin", port=2222)
as_root_here = pytest.mark.skipif(os.geteuid() != 0, reason="acts as root")

# Texts of OpenSSH 9.2, as it printed them.
CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Host key for [10.0.0.5]:2222 has changed and you have requested strict checking.
Host key verification failed."""


@pytest.mark.parametrize(
    ("stderr", "message", "cure"),
    [
        (CHANGED, "the host key has changed", r"ssh-keygen -R '\[10.0.0.5\]:2222'"),
        (
            "No ED25519 host key is known for x and you have requested strict checking.\r\n",
            "the host key is not known",
            "ssh -p 2222 admin@10.0.0.5",
        ),
        ("admin@10.0.0.5: Permission denied (publickey).", "refuses the user 'admin'", "`key`"),
        ("ssh: connect to host x port 22: Connection refused", "SSH is refused", "sshd"),
        ("ssh: connect to host x port 22: Connection timed out", "does not answer", "firewall"),
        ("ssh: connect to host x port 22: No route to host", "does not answer", "firewall"),
        ("ssh: Could not resolve hostname x: Name or service not known", "not known", "DNS"),
        ("client_loop: send disconnect: Broken pipe", "connection was lost", "once more"),
        ("Connection closed by 10.0.0.5 port 22", "connection was lost", "once more"),
        ("kex_exchange_identification: read: Connection reset by peer", "was lost", "once more"),
        ("Timeout, server 10.0.0.5 not responding.", "connection was lost", "once more"),
        ('Load key "/k": invalid format', "private key cannot be used", "`key`"),
        ("/x: terminating, 1 bad configuration options", "configuration is not valid", "ssh -G"),
        ("something new", "ssh failed: something new", ""),
        ("", "no reason given", ""),
    ],
)
def test_what_ssh_says(stderr: str, message: str, cure: str) -> None:
    """Each refusal of OpenSSH is told in one line, with the host and the cure."""
    error = ssh_fault(HOST, stderr)
    assert error.message.startswith("10.0.0.5:2222: ")
    with pytest.raises(HostError, match=message):
        raise error
    assert re.search(cure, error.hint)


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        ("sudo: a password is required", "sudo asks for a password"),
        ("sudo: a terminal is required to read the password", "sudo asks for a password"),
        ("bob is not in the sudoers file.", "may not act as root"),
        ("sh: 1: exec: doas: not found", "neither sudo nor doas"),
    ],
)
def test_who_may_not_act_as_root(stderr: str, message: str) -> None:
    """Each way of not being root is told apart."""
    error = privilege_fault("a", stderr)
    assert error is not None
    assert message in error.message
    assert error.hint
    assert privilege_fault("a", "tar: error") is None


def test_the_command_of_ssh(tmp_path: Path) -> None:
    """The user's own ssh is used strictly: it never asks, never forwards, never trusts anew.

    Words arrive as they are, whatever the shell there makes of its line.
    """
    connection = SshConnection(HOST, config="cfg", sockets=tmp_path / "s")
    argv = connection._argv(["printf", "%s", "a b; $(reboot) 'c'"])
    line = " ".join(argv)
    for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "ClearAllForwardings=yes"):
        assert f"-o {option}" in line
    assert "-a -x" in line
    assert "-p 2222 -l admin" in line
    assert argv[-3:-1] == ["--", "10.0.0.5"]
    remote = subprocess.run(
        ["sh", "-c", argv[-1].replace('"$(id -u)" = 0', "0 = 0")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert remote.stdout == "a b; $(reboot) 'c'"
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700


def test_a_long_path_of_a_socket() -> None:
    """Sockets are named relatively: a path of one has about a hundred characters at most."""
    folder = Path("/tmp") / ("x" * 120)  # noqa: S108 - a name only
    argv = SshConnection(HOST, sockets=folder)._ssh()
    (path,) = [word for word in argv if word.startswith("ControlPath=")]
    assert len(path) < 40


def test_connections_by_their_kind() -> None:
    """`local` needs no ssh."""
    here = Host(role="single", connection="local")
    settings = K0sHost(hosts=(here,))
    assert isinstance(connect(here, settings, None), LocalConnection)
    assert isinstance(connect(HOST, settings, None), SshConnection)


@as_root_here
def test_files_are_put_in_one_step(tmp_path: Path) -> None:
    """A file has its mode from the first moment on, and its old content until the end."""
    connection, target = LocalConnection("here"), tmp_path / "new folder" / "it's"
    run = Run.within(60)
    connection.put(b"secret", str(target), run, timeout=30)
    assert target.read_bytes() == b"secret"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in target.parent.iterdir()] == ["it's"]
    connection.fetch(["cat", str(target)], tmp_path / "copy", run)
    assert (tmp_path / "copy").read_bytes() == b"secret"
    with pytest.raises(HostError, match="No such file"):
        connection.fetch(["cat", "/nowhere"], tmp_path / "none", run)
    assert not (tmp_path / "none").exists()
    with pytest.raises(HostError, match="cannot be written"):
        connection.put(b"", "/proc/nothing/here", run, timeout=30)


@as_root_here
def test_a_command_ends_with_its_time() -> None:
    """A command that hangs is ended and told; a cancelled verb says that it was."""
    connection = LocalConnection("here")
    with pytest.raises(HostError, match="no answer within 0 s"):
        connection.run(["sleep", "60"], Run.within(60), timeout=0.2)
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        connection.run(["sleep", "60"], Run.within(60, cancel=cancel))


@pytest.mark.parametrize("name", ["gather", "lock", "clean"])
def test_scripts_are_for_any_posix_shell(name: str, tmp_path: Path) -> None:
    """Scripts for hosts hold nothing that only one shell knows."""
    if shutil.which("shellcheck") is None:
        if os.environ.get("CI"):
            pytest.fail("there is no shellcheck")
        pytest.skip("there is no shellcheck")
    file = tmp_path / f"{name}.sh"
    file.write_bytes(script(name))
    done = subprocess.run(["shellcheck", str(file)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
