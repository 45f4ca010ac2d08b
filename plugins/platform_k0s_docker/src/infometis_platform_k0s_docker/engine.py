"""The Docker that nodes run in, through the docker SDK: the one place where it is talked to."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_platform_k0s_docker.shape import LABEL, SPEC, NodeShape
from infometis_platform_k0s_docker.troubles import explained, explaining
from infometis_platform_k0s_docker.where import docker_host, machine_of
from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infometis_sdk.model.run import Run

__all__ = ("Done", "Engine", "Found", "open_engine")

_OLDEST = (1, 41)  # Docker 20.10: the first that knows private cgroup namespaces
_PATIENCE = 120.0  # seconds without a word from Docker
_GRACE = 60  # seconds that k0s gets to end; it takes two at rest
_TAIL = 20
_NO_PROGRAM = (126, 127)  # what runc and shells end with where there is none
_CHUNK = 1 << 20


@frozen(kw_only=True)
class Found:
    """A container that carries the name of a node.

    Attributes:
        id, name, state: as Docker says, such as ``running`` or ``exited``.
        labels: all of its labels.
        image: ID of its image.

    """

    id: str
    name: str
    state: str
    labels: Mapping[str, str]
    image: str = ""

    @property
    def running(self) -> bool:
        """Whether its processes run."""
        return self.state == "running"

    @property
    def spec(self) -> str:
        """Digest of the shape that it was made by."""
        return self.labels.get(SPEC, "")

    @property
    def owner(self) -> str:
        """The ID of the cluster that it belongs to; empty for a foreign one."""
        return self.labels.get(LABEL + "id", "")


@frozen(kw_only=True)
class Done:
    """How a command in a container ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """What it said, for an error message."""
        return (self.stderr.strip() or self.stdout.strip())[-2000:]


@contextmanager
def open_engine(host: str, timeout: float = _PATIENCE) -> Iterator[Engine]:
    """Open Docker for the life of the context.

    Args:
        host: of Docker; empty for ``DOCKER_HOST``, else the context of the docker program.
        timeout: seconds without a word after which it is given up.

    Raises:
        PlatformError: it is not there, does not run, does not let us in, or is no Docker for us.

    """
    import docker

    where, tls = docker_host(host)
    with explaining("Docker cannot be used", where):
        client = docker.APIClient(base_url=where, version="auto", tls=tls, timeout=timeout)
    try:
        engine = Engine(client, where)
        engine.check()
        yield engine
    finally:
        client.close()


class Engine:
    """Docker, as far as this platform needs it.

    Args:
        client: of the docker SDK, low level.
        host: where Docker was found.

    """

    def __init__(self, client: Any, host: str) -> None:  # noqa: ANN401
        self.client = client
        self.host = host
        self._info: Mapping[str, Any] = {}

    # ------------------------------------------------------------------ Docker itself

    def check(self) -> None:
        """Refuse what is no Docker, or too old.

        Raises:
            PlatformError: with the reason and the cure.

        """
        with explaining("Docker does not tell its version", self.host):
            version = self.client.version(api_version=False)
        names = [str(each.get("Name", "")) for each in version.get("Components") or ()]
        if any("podman" in name.lower() for name in names):
            msg = f"{self.host} is Podman, and nodes of k0s need Docker"
            hint = (
                "Podman has no restart after a reboot by itself, and other networks; install "
                "Docker, or use `platform: {type: kind}` with KIND_EXPERIMENTAL_PROVIDER=podman"
            )
            raise PlatformError(msg, hint=hint)
        api = tuple(int(part) for part in str(version.get("ApiVersion", "0")).split("."))
        if api < _OLDEST:
            msg = f"Docker {version.get('Version')} is too old: its API is {version['ApiVersion']}"
            raise PlatformError(msg, hint="upgrade to Docker 20.10 or later")

    def info(self) -> Mapping[str, Any]:
        """Return what Docker says of itself and its machine; it is asked once."""
        if not self._info:
            with explaining("Docker does not tell about itself", self.host):
                self._info = self.client.info()
        return self._info

    @property
    def machine(self) -> str:
        """Name of the machine where Docker runs; empty where it is this one."""
        return machine_of(self.host)

    # ------------------------------------------------------------------ containers

    def containers(self, *, cluster: str = "", name: str = "") -> tuple[Found, ...]:
        """Return containers with that label of a cluster's ID, or of that very name."""
        wanted = {"label": f"{LABEL}id={cluster}"} if cluster else {"name": f"^/{name}$"}
        with explaining("Docker does not list containers", self.host):
            found = self.client.containers(all=True, filters=wanted)
        return tuple(
            Found(
                id=each["Id"],
                name=each["Names"][0].lstrip("/") if each.get("Names") else "",
                state=each["State"],
                labels=each.get("Labels") or {},
                image=each.get("ImageID", ""),
            )
            for each in found
        )

    def create(
        self, shape: NodeShape, image: str, network: str, listen: str, marks: Mapping[str, str]
    ) -> str:
        """Make the container of a node, with its files, and return its ID; nothing starts."""
        from docker.types import Mount

        client = self.client
        mounts = [
            Mount(target=target, source=name, type="volume", no_copy=True)
            for name, target in shape.volumes.items()
        ]
        with explaining(f"Docker cannot make the container {shape.name}", self.host):
            made = client.create_container(
                image,
                command=list(shape.command),
                name=shape.name,
                hostname=shape.name,
                environment=dict(shape.environment),
                labels={**marks, SPEC: shape.spec, LABEL + "node": str(shape.number)},
                ports=[tuple(port.split("/")) for port in shape.ports],
                host_config=client.create_host_config(
                    mounts=mounts,
                    port_bindings={port: (listen, on) for port, on in shape.ports.items()},
                    network_mode=network,
                    **shape.options,
                ),
                networking_config=client.create_networking_config(
                    {network: client.create_endpoint_config(ipv4_address=shape.address)}
                ),
                stop_signal="SIGTERM",
            )
        container = str(made["Id"])
        self.put(container, shape.files)
        return container

    def put(self, container: str, files: Mapping[str, bytes], mode: int = 0o600) -> None:
        """Write files into a container, running or not; folders are made on the way."""
        if not files:
            return
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for folder in sorted({part for path in files for part in _parents(path)}):
                info = tarfile.TarInfo(folder)
                info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, int(time.time())
                archive.addfile(info)
            for path, content in files.items():
                info = tarfile.TarInfo(path)
                info.size, info.mtime = len(content), int(time.time())
                info.mode = 0o644 if path.endswith(".pem") else mode
                archive.addfile(info, io.BytesIO(content))
        with explaining("Docker cannot write files into a container", self.host):
            self.client.put_archive(container, "/", buffer.getvalue())

    def has(self, container: str, path: str) -> bool:
        """Whether there is such a file in a container, running or not."""
        import docker

        try:
            with explaining("Docker cannot read a container", self.host):
                stream, _ = self.client.get_archive(container, path)
                stream.close()
        except PlatformError as error:
            if isinstance(error.__cause__, docker.errors.NotFound):
                return False
            raise
        return True

    def fetch(self, container: str, path: str) -> Iterator[bytes]:
        """Yield the tar that holds a file of a container."""
        with explaining("Docker cannot read a container", self.host):
            stream, _ = self.client.get_archive(container, path, chunk_size=_CHUNK)
            yield from stream

    def start(self, name: str) -> None:
        """Start a container."""
        with explaining(f"Docker cannot start {name}", self.host):
            self.client.start(name)

    def stop(self, name: str) -> None:
        """Stop a container; nothing happens if it does not run."""
        with explaining(f"Docker cannot stop {name}", self.host):
            self.client.stop(name, timeout=_GRACE)

    def remove(self, container: str) -> None:
        """Remove a container, running or not, with the volumes that have no name."""
        import docker

        with explaining("Docker cannot remove a container", self.host):
            try:
                self.client.remove_container(container, v=True, force=True)
            except docker.errors.NotFound:
                return

    def ending(self, container: str) -> str:
        """Say how a container ended, with its last lines."""
        state = self.state_of(container)
        with explaining("Docker does not tell about a container", self.host):
            lines = self.client.logs(container, tail=_TAIL).decode(errors="replace")
        how = f"ended with code {state.get('ExitCode')}"
        if state.get("OOMKilled"):
            how += ", killed for lack of memory"
        if state.get("Error"):
            how += f", {state['Error']}"
        return f"{how}; its last lines:\n{lines.strip()}"

    def run_in(
        self, container: str, argv: Sequence[str], run: Run, seconds: float = _PATIENCE
    ) -> Done:
        """Run a command in a container to its end, which comes after ``seconds`` at the latest.

        Some verbs of k0s block for minutes, and Docker cannot end what it was told to run:
        the command is ended inside.
        """
        run.check(f"running {' '.join(argv[:3])}")
        limit = max(1, int(run.remaining(seconds)))
        with explaining(f"Docker cannot run {argv[0]} in a container", self.host):
            made = self.client.exec_create(container, ["timeout", "-s", "KILL", str(limit), *argv])
            out, err = self.client.exec_start(made["Id"], demux=True)
            code = self.client.exec_inspect(made["Id"])["ExitCode"]
        done = Done(
            code=int(code if code is not None else -1),
            stdout=(out or b"").decode(errors="replace"),
            stderr=(err or b"").decode(errors="replace"),
        )
        if done.code in _NO_PROGRAM:
            msg = f"Docker cannot run {argv[0]} in a container"
            raise explained(msg, done.said)
        return done

    # ------------------------------------------------------------------ volumes and networks

    def volumes(self, cluster: str) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of each volume of a cluster by its name."""
        with explaining("Docker does not list volumes", self.host):
            found = self.client.volumes(filters={"label": f"{LABEL}id={cluster}"})
        return {each["Name"]: each.get("Labels") or {} for each in found["Volumes"] or ()}

    def make_volume(self, name: str, marks: Mapping[str, str]) -> None:
        """Make a volume, unless it is there and ours.

        Raises:
            PlatformError: somebody else's volume has the name.

        """
        with explaining(f"Docker cannot make the volume {name}", self.host):
            # one that is there is returned with its own labels, and stays as it is
            made = self.client.create_volume(name, labels=dict(marks))
        if (made.get("Labels") or {}).get(LABEL + "id") != marks[LABEL + "id"]:
            msg = f"there is a volume {name!r} already, which this cluster did not make"
            hint = f"it may hold data: look at it, and remove it with 'docker volume rm {name}'"
            raise PlatformError(msg, hint=hint)

    def remove_volume(self, name: str) -> None:
        """Remove a volume; nothing happens where there is none."""
        import docker

        with explaining(f"Docker cannot remove the volume {name}", self.host):
            try:
                self.client.remove_volume(name)
            except docker.errors.NotFound:
                return

    def networks(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """Return the networks of that very name."""
        with explaining("Docker does not list networks", self.host):
            found = self.client.networks(names=[name])
        return tuple(each for each in found if each["Name"] == name)

    def networks_of(self, cluster: str) -> tuple[str, ...]:
        """Return the IDs of the networks with that label of a cluster's ID."""
        with explaining("Docker does not list networks", self.host):
            found = self.client.networks(filters={"label": f"{LABEL}id={cluster}"})
        return tuple(each["Id"] for each in found)

    def make_network(self, name: str, marks: Mapping[str, str], subnet: str) -> str:
        """Make a network, and return its subnet; one that is not given is Docker's choice.

        Nodes have fixed addresses, and those Docker allows only in a subnet that it was told:
        so a choice of its own is looked at, and then told.
        """
        from docker.types import IPAMConfig, IPAMPool

        with explaining(f"Docker cannot make the network {name}", self.host):
            if not subnet:
                made = self.client.create_network(name, labels=dict(marks), check_duplicate=True)
                subnet = _subnet(self.client.inspect_network(made["Id"]))
                self.client.remove_network(made["Id"])
            pool = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
            self.client.create_network(name, labels=dict(marks), ipam=pool, check_duplicate=True)
        return subnet

    def remove_network(self, network: str) -> None:
        """Remove a network; nothing happens where there is none."""
        import docker

        with explaining("Docker cannot remove a network", self.host):
            try:
                self.client.remove_network(network)
            except docker.errors.NotFound:
                return

    def state_of(self, container: str) -> Mapping[str, Any]:
        """Return the state of a container, as Docker tells it."""
        with explaining("Docker does not tell about a container", self.host):
            state: Mapping[str, Any] = self.client.inspect_container(container)["State"]
        return state


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def _subnet(network: Mapping[str, Any]) -> str:
    for each in (network.get("IPAM") or {}).get("Config") or ():
        if ":" not in each.get("Subnet", ":"):
            return str(each["Subnet"])
    msg = f"the network {network.get('Name')} has no IPv4 subnet"
    raise PlatformError(msg, hint="name a subnet with `network`, such as 172.30.9.0/24")
