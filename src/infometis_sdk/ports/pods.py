"""Ability of a cluster port: streams from and to pods, such as a log that is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.run import Run

__all__ = ("PodStreams",)


@runtime_checkable
class PodStreams(Protocol):
    """Ability: the cluster passes streams to and from its pods.

    A separate protocol, since nothing that deploys needs it, and since simulated pods have
    neither logs nor ports.
    """

    def lines(self, path: str, run: Run, *, params: Mapping[str, str]) -> Iterator[str]:
        """Yield the lines at a path as they come, such as those of a log that is followed.

        Ends with the stream, and after a while without a line: the caller goes on where it was.

        Raises:
            ClusterError: the API server refuses, or does not answer.

        """
        ...

    def carry(self, pod: ObjectRef, port: int, near: socket.socket, run: Run) -> str:
        """Connect a socket with a port of a pod and carry bytes both ways until one side ends.

        Args:
            pod: which pod.
            port: port of a container.
            near: our side; closed when this returns, and left alone when it raises.
            run: deadline and cancel token.

        Returns:
            What the node said about the connection, such as a refusal; empty when all went well.

        Raises:
            ClusterError: there is no such pod, we may not forward, or nobody answers.

        """
        ...
