"""The verbs of k0s on one host, with its outputs made values and its quirks known.

Outputs and exit codes are those measured on the genuine binary:
`status` may wait for minutes; `kubectl` obeys ``$KUBECONFIG``; `sysinfo` ends with 1 and still
says everything; `start` fails without systemd, so the service manager is asked itself;
`reset` removes nothing of another data directory than the one it is given.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_platform_k0s_host.connection import PATIENCE, Connection, HostError
from infometis_platform_k0s_host.planning.config import CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infometis_sdk.machine import Done
    from infometis_sdk.model.run import Run

__all__ = ("BINARY", "ApiError", "K0s", "Token", "is_ready", "read_token", "scrubbed")

BINARY = "/usr/local/bin/k0s"
_PAUSE = 0.5
_SERVICE_TIME = 300.0  # seconds for a service manager; systemd gives a stop 90 by itself
_DEAD = 6  # looks in a row at a service that does not run, before it is given up
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# A join token is base64 of gzip, whose first bytes are always the same; then bootstrap tokens.
_SECRETS = re.compile(r"H4sI[A-Za-z0-9+/=]{20,}|\b[a-z0-9]{6}\.[a-z0-9]{16}\b")

_SERVICE = (
    'if [ -d /run/systemd/system ]; then exec systemctl "$2" "$1"; fi; '
    "if command -v rc-service >/dev/null 2>&1 && [ -d /run/openrc ]; then "
    'exec rc-service "$1" "$2"; fi; exec service "$1" "$2"'
)
_JOURNAL = (
    "if [ -d /run/systemd/system ]; then "
    'exec journalctl -u "$1" -n 15 --no-pager -o cat; fi; '
    'tail -q -n 8 "/var/log/$1.log" "/var/log/$1.err" 2>/dev/null'
)
_GONE = """
gone() {
  for process in /proc/[0-9]*; do
    case $(tr '\\000' ' ' 2>/dev/null <"$process/cmdline") in
      "$1 controller"* | "$1 worker"*) return 1 ;;
    esac
  done
}
for _ in $(seq 120); do gone "$1" && exit 0; sleep 0.5; done
exit 1
"""
# A look at the service and at the API in one trip.
_LOOK = (
    'if [ -d /run/systemd/system ]; then systemctl is-active "$1" >/dev/null 2>&1; '
    "elif command -v rc-service >/dev/null 2>&1 && [ -d /run/openrc ]; then "
    'rc-service "$1" status >/dev/null 2>&1; else service "$1" status >/dev/null 2>&1; fi; '
    "echo $?; unset KUBECONFIG; shift; exec timeout 60 " + BINARY + ' kubectl "$@"'
)


class ApiError(HostError):
    """The API does not answer on a host."""


@frozen(kw_only=True)
class Token:
    """A join token.

    Attributes:
        text: what k0s is given; a secret.
        id: by which it is listed and invalidated; no secret.
        server: where it joins.
        kubeconfig: what it holds; a secret.

    """

    text: str
    id: str
    server: str
    kubeconfig: bytes

    def __repr__(self) -> str:
        return f"Token(id={self.id!r}, server={self.server!r})"


def read_token(text: str) -> Token | None:
    """Read a join token: base64 of gzip of a kubeconfig; ``None`` where it is none."""
    import yaml

    try:
        raw = gzip.decompress(base64.b64decode(text.strip(), validate=True))
        document = yaml.safe_load(raw)
        secret = document["users"][0]["user"]["token"]
        server = document["clusters"][0]["cluster"]["server"]
    except (ValueError, OSError, EOFError, KeyError, IndexError, TypeError, yaml.YAMLError):
        return None
    return Token(
        text=text.strip(), id=str(secret).partition(".")[0], server=str(server), kubeconfig=raw
    )


def scrubbed(text: str) -> str:
    """Return a text without the tokens that may stand in it.

    Example:
        >>> scrubbed("join with abcdef.0123456789abcdef now")
        'join with <token> now'

    """
    return _SECRETS.sub("<token>", text)


class K0s:
    """k0s on one host.

    Args:
        connection: to the host.
        data_dir: where its data is.
        unit: name of its service.

    """

    def __init__(self, connection: Connection, *, data_dir: str, unit: str) -> None:
        self.host = connection
        self._data = data_dir
        self._unit = unit

    @property
    def name(self) -> str:
        """The host, for messages."""
        return self.host.name

    # ------------------------------------------------------------------ the binary and its service

    def version(self, run: Run) -> str:
        """Return the version of the binary, which must run on this host.

        Raises:
            HostError: it does not.

        """
        done = self.host.run([BINARY, "version"], run)
        if not done.ok or not done.stdout.startswith("v"):
            msg = f"{self.name}: the binary does not run there: {done.tail(1)}"
            hint = "is it for the architecture of that host, and is its disk mounted `noexec`"
            raise HostError(msg, host=self.name, hint=hint)
        return done.stdout.split()[0]

    def validate_config(self, run: Run) -> None:
        """Let k0s check its configuration.

        Raises:
            HostError: every fault it names.

        """
        done = self._k0s(["config", "validate", "-c", CONFIG], run)
        if not done.ok:
            msg = f"{self.name}: k0s does not accept its configuration: {_said(done)}"
            raise HostError(msg, host=self.name, hint="mend `config` in the platform's settings")

    def rejected(self, run: Run, *, controller: bool, worker: bool) -> tuple[str, ...]:
        """Return what ``k0s sysinfo`` says that this host lacks; it ends with 1 then."""
        words = ["sysinfo", f"--data-dir={self._data}", "-o", "json"]
        words += [f"--controller={str(controller).lower()}", f"--worker={str(worker).lower()}"]
        done = self._k0s(words, run)
        try:
            probes = json.loads(done.stdout)
        except ValueError:
            return ()  # an older k0s without JSON: its own start-up checks tell
        return tuple(
            f"{probe.get('displayName', '')}: {probe.get('prop') or probe.get('message') or ''}"
            for probe in probes
            if isinstance(probe, dict) and probe.get("category") == "rejected"
        )

    def install(self, arguments: Sequence[str], run: Run) -> None:
        """Install the service; one that is there is replaced, since its flags are baked in.

        Raises:
            HostError: k0s refuses; what it says is told.

        """
        done = self._k0s(["install", *arguments, "--force"], run)
        if not done.ok:
            msg = f"{self.name}: the service cannot be installed: {_said(done)}"
            raise HostError(msg, host=self.name)

    def service(self, verb: str, run: Run) -> Done:
        """Ask the service manager to ``start`` or ``stop`` k0s."""
        return self.host.run(
            ["sh", "-c", _SERVICE, "sh", self._unit, verb], run, timeout=_SERVICE_TIME
        )

    def start(self, run: Run) -> float:
        """Start the service; return when that was, in seconds since 1970 by the host's clock.

        Raises:
            HostError: it does not even start; its journal is told.

        """
        clock = self.host.run(["date", "+%s"], run).stdout.strip()
        done = self.service("start", run)
        if not done.ok:
            msg = f"{self._unit} does not start: {done.tail(1)}"
            raise self._failed(msg, run)
        return float(clock) if clock.isdigit() else 0.0

    def stop(self, run: Run) -> None:
        """Stop the service and wait until k0s is gone; one that does not run is fine."""
        self.service("stop", run)
        if not self.host.run(["sh", "-c", _GONE, "sh", BINARY], run, timeout=_SERVICE_TIME).ok:
            msg = f"{self._unit} does not stop"
            raise self._failed(msg, run)

    def reset(self, run: Run) -> None:
        """Remove what a stopped k0s has made.

        Raises:
            HostError: it still runs, or something cannot be removed.

        """
        done = self._k0s(["reset", f"--data-dir={self._data}"], run, timeout=300)
        if not done.ok:
            msg = f"{self.name}: k0s cannot be reset: {_said(done)}"
            raise HostError(msg, host=self.name)

    def journal(self, run: Run) -> str:
        """Return the last lines of the service's journal, without secrets."""
        done = self.host.run(["sh", "-c", _JOURNAL, "sh", self._unit], run)
        return scrubbed(done.stdout.strip())

    # ------------------------------------------------------------------ the cluster

    def await_api(self, run: Run, seconds: float) -> None:
        """Wait until the API says that it is ready.

        Raises:
            HostError: k0s ended, or the time is over; the journal is told.

        """
        self._await(["get", "--raw=/readyz"], lambda text: text.strip() == "ok", run, seconds)

    def await_node(self, node: str, run: Run, seconds: float, *, since: float = 0.0) -> None:
        """Wait, on a controller, until a node is ready.

        Args:
            node: its name.
            run: deadline and cancel token of the verb.
            seconds: that it gets for it.
            since: when its kubelet was started, by its own clock. What the API says of a node
                is stored, and the last life's word counts for 40 seconds.

        Raises:
            HostError: it is not; the reason that its kubelet gives is told.

        """
        end, last = time.monotonic() + seconds, "it has not appeared"
        while time.monotonic() < end:
            try:
                found = self.node(node, run)
                if found is not None:
                    ready, last = _ready(found)
                    if ready and self._heard_of(node, run) >= since:
                        return
                    last = "its kubelet is silent since the start" if ready else last
            except ApiError as error:
                # A controller that joins or is busy keeps the API from answering for a while.
                last = error.message
            run.sleep(_PAUSE, f"waiting for the node {node}: {last}")
        msg = f"the node {node} is not ready: {last}"
        raise HostError(msg, host=self.name)

    def _heard_of(self, node: str, run: Run) -> float:
        """Return when a kubelet last renewed its lease, in seconds since 1970 by its own clock."""
        done = self.kubectl(["get", f"--raw={_LEASES}/{node}"], run)
        try:
            text = json.loads(done.stdout)["spec"]["renewTime"]
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, KeyError, TypeError):
            return 0.0

    def node(self, name: str, run: Run) -> Mapping[str, Any] | None:
        """Return a node, or ``None`` where there is none.

        Raises:
            ApiError: the API does not answer.

        """
        done = self.kubectl(["get", "node", name, "-o", "json"], run)
        if not done.ok:
            if "NotFound" in done.stderr or "not found" in done.stderr:
                return None
            msg = f"{self.name}: the API does not answer: {done.tail(1)}"
            raise ApiError(msg, host=self.name)
        value = json.loads(done.stdout)
        return value if isinstance(value, dict) else None

    def kubectl(
        self, words: Sequence[str], run: Run, *, kubeconfig: str = "", timeout: float = PATIENCE
    ) -> Done:
        """Run k0s' own kubectl; with the admin's credentials unless others are named."""
        environment = [f"KUBECONFIG={kubeconfig}"] if kubeconfig else ["-u", "KUBECONFIG"]
        argv = ["env", *environment, BINARY, "kubectl", *words]
        return self.host.run(argv, run, timeout=timeout)

    def create_token(self, role: str, run: Run) -> Token:
        """Make a join token that is valid for ten minutes.

        Raises:
            HostError: k0s refuses, as under ``--single``.

        """
        done = self._k0s(["token", "create", f"--role={role}", "--expiry=10m"], run)
        token = read_token(done.stdout) if done.ok else None
        if token is None:
            msg = f"{self.name}: no token can be made: {_said(done)}"
            raise HostError(msg, host=self.name)
        return token

    def invalidate_token(self, token: Token, run: Run) -> None:
        """Make a token worthless; one that is gone is fine."""
        self._k0s(["token", "invalidate", token.id], run)

    def admin_kubeconfig(self, run: Run) -> str:
        """Return the kubeconfig of the cluster's admin, a secret.

        It must run: a stopped k0s without its configuration names the wrong port and ends with 0.
        """
        done = self._k0s(["kubeconfig", "admin"], run)
        if not done.ok:
            msg = f"{self.name}: no kubeconfig: {_said(done)}"
            raise HostError(msg, host=self.name)
        return done.stdout

    def etcd_members(self, run: Run) -> dict[str, str]:
        """Return the peer URL of each member of etcd by its name; none where there is none."""
        done = self._k0s(["etcd", "member-list", f"--data-dir={self._data}"], run)
        try:
            members = json.loads(done.stdout)["members"]
        except (ValueError, KeyError, TypeError):
            return {}
        return {str(name): str(url) for name, url in members.items()}

    def etcd_leave(self, address: str, run: Run) -> None:
        """Take a member out of etcd; one that is not in it is fine.

        Raises:
            HostError: it cannot be, as when the others are no majority.

        """
        if not any(f"//{address}:" in url for url in self.etcd_members(run).values()):
            return
        words = ["etcd", "leave", f"--data-dir={self._data}", f"--peer-address={address}"]
        done = self._k0s(words, run)
        if not done.ok:
            msg = f"{self.name}: {address} cannot leave etcd: {_said(done)}"
            raise HostError(msg, host=self.name)

    # ------------------------------------------------------------------ helpers

    def _k0s(self, words: Sequence[str], run: Run, *, timeout: float = PATIENCE) -> Done:
        return self.host.run([BINARY, *words], run, timeout=timeout)

    def _await(self, words: Sequence[str], good: Any, run: Run, seconds: float) -> None:  # noqa: ANN401
        end, dead, last = time.monotonic() + seconds, 0, ""
        while time.monotonic() < end:
            done = self.host.run(["sh", "-c", _LOOK, "sh", self._unit, *words], run)
            alive, _, text = done.stdout.partition("\n")
            if done.ok and good(text):
                return
            last = (done.stderr.strip().splitlines() or [text.strip()])[-1]
            dead = dead + 1 if alive.strip() != "0" else 0
            if dead >= _DEAD:
                msg = "k0s ended while it was starting"
                raise self._failed(msg, run)
            run.sleep(_PAUSE, f"waiting for the API on {self.name}")
        msg = f"the API is not ready after {seconds:.0f} s: {last}"
        raise self._failed(msg, run)

    def _failed(self, what: str, run: Run) -> HostError:
        tail = self.journal(run)
        shown = f"\nthe journal of {self._unit} ends with:\n{tail}" if tail else ""
        return HostError(f"{self.name}: {scrubbed(what)}{shown}", host=self.name)


def _said(done: Done) -> str:
    """Return what k0s said, without its prefix; never standard output, which may be secret."""
    lines = [line.removeprefix("Error: ").strip() for line in done.stderr.splitlines()]
    return scrubbed("; ".join(line for line in lines if line)[-800:]) or f"exit code {done.code}"


def is_ready(node: Mapping[str, Any] | None) -> bool:
    """Whether a node is there and ready.

    Example:
        >>> is_ready({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        True
        >>> is_ready(None)
        False

    """
    return node is not None and _ready(node)[0]


def _ready(node: Mapping[str, Any]) -> tuple[bool, str]:
    for each in node.get("status", {}).get("conditions", ()):
        if each.get("type") == "Ready":
            return each.get("status") == "True", str(each.get("message") or each.get("reason"))
    return False, "its kubelet has said nothing yet"
