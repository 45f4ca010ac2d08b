"""What goes wrong with hosts: each a clear error with its cure, and a second run that converges."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.settling import settled

from infometis_platform_k0s_host.acting.lock import Lock
from infometis_platform_k0s_host.acting.together import HostsError
from infometis_platform_k0s_host.acting.world import World
from infometis_platform_k0s_host.platform import K0sHostPlatform
from infometis_sdk.errors import LockedError, PlatformError
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import PlatformContext
from infometis_sdk.testing.platform_contract import cluster_uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.k0s_hosts import Site
    from tests.machines import Machine

    from infometis_platform_k0s_host import K0sHost

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def _within(emit: Callable[[Event], None] = lambda _: None) -> Run:
    return Run.within(600, emit=emit)


@pytest.fixture
def bare(hosts: Site) -> Machine:
    """Give a machine with nothing of k0s on it."""
    return hosts.machine("bare")


def _refused(hosts: Site, settings: K0sHost, pattern: str, cure: str) -> None:
    """Require that nothing can be done, why, and that the cure is told."""
    platform = hosts.platform("refused", settings)
    with pytest.raises(PlatformError, match=pattern) as caught:
        platform.ensure(_within())
    assert re.search(cure, str(caught.value)), caught.value
    findings = [each for each in platform.preflight() if each.level == "error"]
    assert any(re.search(pattern, each.detail) for each in findings), findings
    assert all(each.cure for each in findings)
    platform.destroy(_within())


# ---------------------------------------------------------------------- before the first write


def test_ssh_is_refused(hosts: Site, bare: Machine) -> None:
    """Where nothing listens, the error says so and where to look."""
    settings = hosts.settings(hosts.host("bare", "single", port=2222))
    _refused(hosts, settings, "SSH is refused", "start sshd")
    assert bare.ssh("ls /etc/k0s", check=False).returncode


def test_another_host_key(hosts: Site, bare: Machine) -> None:
    """A key that has changed is never accepted, one that is not known neither."""
    settings = hosts.settings(hosts.host("bare", "single"))
    bare.new_host_key()
    bare.reboot()
    _refused(hosts, settings, "the host key has changed", r"ssh-keygen -R")
    known = hosts.farm.folder / "known_hosts"
    known.write_text("")
    _refused(hosts, settings, "the host key is not known", r"`ssh \S+`")
    assert known.read_text() == ""
    hosts.farm.trust()
    assert hosts.platform("refused", settings).steps()


def test_users_that_may_not(hosts: Site, bare: Machine) -> None:
    """A user without a key, one whose sudo asks, one whom sudo does not know: all are told."""
    if bare.ssh("command -v sudo", check=False).returncode:
        pytest.skip("there is no sudo on this machine")
    for user in ("asks", "barred", "helper"):
        # a password that nobody has: sshd turns accounts without one away
        bare.ssh(f"useradd -m -s /bin/sh -p x {user}")
    bare.ssh("echo 'asks ALL=(ALL) ALL' > /etc/sudoers.d/asks")
    bare.ssh("echo 'helper ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/helper")

    def settings(user: str) -> K0sHost:
        return hosts.settings(hosts.host("bare", "single", user=user))

    _refused(hosts, settings("nobody-at-all"), "refuses the user", "`user` and `key`")
    _refused(hosts, settings("asks"), "sudo asks for a password", "NOPASSWD")
    _refused(hosts, settings("barred"), "sudo asks for a password|may not act", "sudo")
    assert hosts.platform("refused", settings("helper")).steps()

    # what a login shell prints by itself would stand in front of tokens and backups
    bare.ssh("usermod -s /bin/bash helper; echo 'echo welcome' > ~helper/.bashrc")
    _refused(hosts, settings("helper"), "prints something before every command: 'welcome'", "~/")


def test_somebody_elses_kubernetes(hosts: Site, bare: Machine) -> None:
    """A host with a k0s, another Kubernetes, another binary or a damaged mark is never touched."""
    settings = hosts.settings(hosts.host("bare", "single"))
    signs = {
        "it has a k0s that we did not make": "/var/lib/k0s/pki/ca.crt",
        "it has another Kubernetes": "/etc/kubernetes/kubelet.conf",
        "our mark .* is damaged": "/etc/k0s/infometis.json",
    }
    for pattern, path in signs.items():
        bare.ssh(f"mkdir -p $(dirname {path}); echo theirs > {path}")
        _refused(hosts, settings, pattern, "take another host")
        assert bare.ssh(f"cat {path}").stdout == "theirs\n"
        bare.ssh(f"rm -r $(dirname {path})")
    bare.ssh("printf '#!/bin/sh\\necho v1.30.0+k0s.0\\n' > /usr/local/bin/k0s")
    bare.ssh("chmod 755 /usr/local/bin/k0s")
    with pytest.raises(PlatformError, match=r"k0s is there \(v1.30.0\+k0s.0\) and not ours"):
        hosts.platform("refused", settings).ensure(_within())
    assert "echo v1.30.0" in bare.ssh("cat /usr/local/bin/k0s").stdout
    bare.ssh("rm /usr/local/bin/k0s")
    assert hosts.platform("refused", settings).steps()


def test_hosts_that_will_not_do(hosts: Site, bare: Machine) -> None:
    """Ports with their holder, clocks and names are all told in one error, of every host."""
    twin = hosts.machine("twin")
    settings = hosts.settings(hosts.host("bare", "controller"), hosts.host("twin", "worker"))
    server = "import socket,time; s=socket.create_server(('0.0.0.0',6443)); time.sleep(600)"
    bare.ssh(f'nohup python3 -c "{server}" >/dev/null 2>&1 &')
    bare.until("ss -Hlnt | grep -q :6443")
    twin.ssh("hostname bare")
    # its clock is an hour ahead
    twin.ssh(
        "printf '#!/bin/sh\\necho $(($(/bin/date +%%s) + 3600))\\n' > /usr/local/bin/date; "
        "chmod 755 /usr/local/bin/date"
    )
    with pytest.raises(HostsError) as caught:
        hosts.platform("refused", settings).ensure(_within())
    said = caught.value.message
    assert re.search(r"6443 \(Kubernetes API\) is taken by python3 \(process \d+\)", said)
    assert re.search(r"3\d\d\d s ahead of ours", said)
    assert said.count("the host name 'bare' is that of") == 2
    assert "hostnamectl" in said
    assert "NTP" in said
    assert bare.ssh("ls /etc/k0s", check=False).returncode
    twin.ssh("rm /usr/local/bin/date; hostname twin")
    # not by its words, which stand in the shell that would look for them too
    bare.ssh("pkill -x python3")
    bare.until("! ss -Hlnt | grep -q :6443")
    assert hosts.platform("refused", settings).steps()


def test_a_dead_controller_of_a_new_cluster(hosts: Site, bare: Machine) -> None:
    """Where a controller is silent nobody knows whether the cluster exists: nothing is written."""
    silent = hosts.host("twin", "controller", port=2222)
    settings = hosts.settings(hosts.host("bare", "controller"), silent)
    with pytest.raises(HostsError, match="SSH is refused") as caught:
        hosts.platform("refused", settings).ensure(_within())
    assert "nothing was changed" in str(caught.value)
    assert bare.ssh("ls /etc/k0s", check=False).returncode


def test_another_operator_at_work(hosts: Site, bare: Machine) -> None:
    """The lock of another operator is told with holder and age; a dead one's is replaced."""
    settings = hosts.settings(hosts.host("bare", "single"))
    theirs, ours = World(settings, None), World(settings, None)
    held = Lock(theirs.connections)
    held.acquire(_within())
    path = "/run/infometis/lock"
    text = bare.ssh(f"cat {path}").stdout
    # a process of another machine, of which we cannot know whether it lives
    bare.ssh(f'sed -i \'s/"host": "[^"]*"/"host": "laptop"/\' {path}')
    with pytest.raises(LockedError, match="laptop") as caught:
        Lock(ours.connections, patience=1.0).acquire(Run.within(120))
    assert caught.value.age >= 0
    assert "laptop" in caught.value.holder
    # nobody refreshed it for more than a minute
    bare.ssh(f"touch -d '2 minutes ago' {path}")
    taken = Lock(ours.connections)
    taken.acquire(_within())
    held.refresh()
    with pytest.raises(LockedError, match="another operator took the lock"):
        held.check()
    taken.release()
    # a process of this machine that is dead
    dead = re.sub(r'"pid": \d+', '"pid": 4194303', text)
    bare.ssh(f"mkdir -p /run/infometis; cat > {path} <<'END'\n{dead}\nEND")
    taken = Lock(ours.connections, patience=0.0)
    taken.acquire(_within())
    taken.release()
    assert bare.ssh("ls /run/infometis", check=False).returncode


# ---------------------------------------------------------------------- while it works


def test_the_worst_day_of_a_cluster(hosts: Site) -> None:  # noqa: PLR0915 - one story
    """Power cuts, two operators, a worthless token, a torn file: each run after one converges."""
    first, second = hosts.machine("day-a"), hosts.machine("day-b")
    settings = hosts.settings(
        hosts.host("day-a", "controller+worker"), hosts.host("day-b", "worker")
    )
    platform = hosts.platform("day", settings)

    def cut(machine: Machine, kind: str, when: str) -> Callable[[Event], None]:
        done: list[Event] = []

        def emit(event: Event) -> None:
            if (event.name, event.state) == (kind, when) and not done:
                done.append(event)
                machine.off()

        return emit

    # k0s itself refuses the configuration, before anything is started
    wrong = attrs.evolve(settings, config={"apii": {}})
    with pytest.raises(HostsError, match=r"does not accept its configuration.*apii"):
        hosts.platform("day", wrong).ensure(_within())

    # the disk is full while the binary comes
    second.ssh("mount -t tmpfs -o size=1m tmpfs /usr/local/bin")
    with pytest.raises(PlatformError, match="No space left") as full:
        hosts.platform("day", wrong).ensure(_within())
    assert "make room on that disk" in str(full.value)
    second.ssh("umount /usr/local/bin")

    # the power goes while the first controller starts
    with pytest.raises(PlatformError, match=first.address):
        platform.ensure(_within(cut(first, "first controller", "started")))
    settled(platform, "failed")
    first.on()
    # half of a binary, as after a crash in the middle
    first.ssh("head -c 1000000 /usr/local/bin/k0s > /root/k0s; mv /root/k0s /usr/local/bin/k0s")
    # an API server that takes no token, as it takes none whose time is over
    deaf = {"api": {"extraArgs": {"enable-bootstrap-token-auth": "false"}}}
    with pytest.raises(HostsError, match="does not accept a token") as caught:
        hosts.platform("day", attrs.evolve(settings, config=deaf)).ensure(_within())
    assert list(caught.value.failures) == [settings.hosts[1].name]
    assert "ten minutes" in caught.value.message

    # the worker's power goes while it joins
    with pytest.raises(HostsError, match=second.address):
        platform.ensure(_within(cut(second, "join worker", "started")))
    second.on()

    # two operators at once, each with a memory of its own, end with one cluster
    state = hosts.folder / "state" / "day-of-the-other"
    context = PlatformContext(cluster="day", state_dir=state, cache_dir=hosts.folder / "cache")
    other = K0sHostPlatform(settings, context)
    results: list[object] = []

    def ensure(each: K0sHostPlatform) -> None:
        try:
            results.append(cluster_uid(each.ensure(_within())))
        except LockedError as error:
            results.append(error)

    threads = [threading.Thread(target=ensure, args=(each,)) for each in (platform, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    uid = cluster_uid(platform.ensure(_within()))
    assert {each for each in results if isinstance(each, str)} == {uid}
    assert cluster_uid(other.ensure(_within())) == uid

    # the whole site loses power
    for machine in (first, second):
        machine.off()
    with pytest.raises(PlatformError):
        platform.ensure(_within())
    for machine in (first, second):
        machine.on()
    assert cluster_uid(platform.ensure(_within())) == uid

    # another cluster may not have these hosts
    thief = hosts.platform("thief", settings)
    with pytest.raises(HostsError, match="belongs to the cluster 'day'"):
        thief.ensure(_within())
    thief.destroy(_within())
    settled(platform, "ready")

    # a host that is off when the cluster goes: the rest is clean, and a second run ends it
    second.off()
    with pytest.raises(HostsError, match=second.address):
        platform.destroy(_within())
    assert first.ssh("ls /etc/k0s", check=False).returncode
    second.on()
    platform.destroy(_within())
    assert second.ssh("ls /etc/k0s", check=False).returncode
    assert not (hosts.folder / "state" / "day").exists()
    assert other.status().phase != "ready"
    other.destroy(_within())
