"""A program of the image run once over a node's volumes, in a container that goes afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_platform_k0s_docker.shape import LABEL
from infometis_platform_k0s_docker.troubles import explained, explaining

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infometis_platform_k0s_docker.engine import Engine
    from infometis_platform_k0s_docker.plan import Plan
    from infometis_sdk.model.run import Run

__all__ = ("run_once",)

_TAIL = 20


def run_once(
    engine: Engine,
    plan: Plan,
    argv: Sequence[str],
    run: Run,
    *,
    hostname: str,
    volumes: Mapping[str, str],
    archive: Iterable[bytes],
    marks: Mapping[str, str],
) -> None:
    """Run a program to its end.

    Args:
        engine: Docker.
        plan: whose image has the program.
        argv: the program and its arguments.
        run: deadline, events, cancel token.
        hostname: that of the node, since k0s names the member of etcd by it.
        volumes: name of each volume, and where it is mounted.
        archive: a tar that is unpacked at ``/`` before it starts.
        marks: labels.

    Raises:
        PlatformError: it did not end well.

    """
    from docker.types import Mount

    client = engine.client
    mounts = [Mount(target=to, source=name, type="volume") for name, to in volumes.items()]
    with explaining("Docker cannot make a container for a moment", engine.host):
        made = client.create_container(
            plan.image,
            entrypoint=list(argv[:1]),
            command=list(argv[1:]),
            hostname=hostname,
            labels={**marks, LABEL + "node": "once"},
            host_config=client.create_host_config(mounts=mounts, network_mode="none"),
        )
    try:
        with explaining("Docker cannot write an archive into a container", engine.host):
            client.put_archive(made["Id"], "/", archive)
        engine.start(made["Id"])
        while (state := engine.state_of(made["Id"]))["Running"]:
            run.sleep(0.1, f"running {argv[0]} {argv[1]}")
        if state["ExitCode"]:
            said = client.logs(made["Id"], tail=_TAIL).decode(errors="replace")
            failed = f"{argv[0]} {argv[1]} ended with code {state['ExitCode']}"
            raise explained(failed, said)
    finally:
        engine.remove(made["Id"])
