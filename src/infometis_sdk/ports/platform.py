"""The port through which a cluster is made and reached."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import field, frozen

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run

__all__ = (
    "Access",
    "AddOns",
    "ClusterBackup",
    "DryRun",
    "ExportImages",
    "Finding",
    "HostPorts",
    "LoadImages",
    "Platform",
    "PlatformContext",
    "PlatformSpec",
    "PlatformStatus",
    "Preflight",
    "StartStop",
    "Upgrade",
)


@frozen(kw_only=True)
class Access:
    """How to reach a cluster.

    Attributes:
        kubeconfig: a file of our own with mode 0600, or where the cluster is not ours, the user's,
            which is read and never written; ``None`` for the credentials of the pod we run in.
        context: the context in that file; empty for its current one.
        namespaces: the namespaces assigned to a guest; empty when the cluster is ours.
        simulated: true when containers do not really run.

    """

    kubeconfig: Path | None
    context: str = ""
    namespaces: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    simulated: bool = False


@frozen(kw_only=True)
class PlatformStatus:
    """What a platform says of its cluster, without changing anything.

    Attributes:
        phase: ``absent``, ``stopped``, ``starting``, ``ready`` or ``failed``.
        detail: one line that says why.
        version: Kubernetes version, such as ``v1.36.3``; empty when unknown.
        simulated: true when containers do not really run.
        parts: name of each part (process, container, host) and its state.

    """

    phase: str
    detail: str = ""
    version: str = ""
    simulated: bool = False
    parts: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class PlatformContext:
    """What a platform's factory is given besides its settings.

    Attributes:
        cluster: name of the cluster: DNS label, unique for this user and project.
        state_dir: a directory of the cluster's own (made by the platform, mode 0700).
        cache_dir: a directory shared by all clusters of this user, for downloads and builds.

    """

    cluster: str
    state_dir: Path
    cache_dir: Path


class Platform(ABC):
    """Makes and reaches one cluster.

    Every method is idempotent, may be repeated after a crash at any step,
    and touches only what the platform made itself.
    """

    @abstractmethod
    def ensure(self, run: Run) -> Access:
        """Make the cluster, or start what is down, and return once its API answers.

        Raises:
            PlatformError: it cannot be made; the message says what to do.

        """

    @abstractmethod
    def status(self) -> PlatformStatus:
        """Say how the cluster is, in under a second, changing nothing."""

    @abstractmethod
    def connect(self) -> Access:
        """Return the access to a cluster that is there.

        Raises:
            PlatformError: there is no such cluster.

        """

    @abstractmethod
    def destroy(self, run: Run) -> None:
        """Remove the cluster and every trace of it; nothing happens where there is none."""

    @property
    def capabilities(self) -> Mapping[str, str]:
        """Name of each capability: ``declared`` or ``absent``; what is not named is unknown."""
        return {}

    @property
    def owned(self) -> bool:
        """Whether ``ensure`` made the cluster, for us alone; only then is it probed unasked."""
        return False


@runtime_checkable
class StartStop(Protocol):
    """Ability: the cluster can pause and go on with its data."""

    def stop(self, run: Run) -> None:
        """Pause the cluster; data stays."""

    def start(self, run: Run) -> Access:
        """Go on after :meth:`stop`."""


@runtime_checkable
class DryRun(Protocol):
    """Ability: the platform can say beforehand what ``ensure`` would do."""

    def steps(self) -> tuple[str, ...]:
        """Return one line a step, in order, changing nothing; empty where nothing is to do."""


@runtime_checkable
class LoadImages(Protocol):
    """Ability: images that are here reach every node without a registry."""

    def load_images(self, images: Sequence[str | Path], run: Run) -> None:
        """Put images on every node, where they then are under their own names.

        Args:
            images: a string names an image of the local container engine;
                a path is an archive, as ``docker save`` or an OCI layout makes it.
            run: deadline, events, cancel token.

        Raises:
            PlatformError: an image is not there, is for another architecture, or does not fit.

        """


@runtime_checkable
class ExportImages(Protocol):
    """Ability: images of the local container engine can be carried to a machine without network."""

    def export_images(self, images: Sequence[str], folder: Path, run: Run) -> tuple[Path, ...]:
        """Write one archive for each image, and their checksums into ``SHA256SUMS`` beside them.

        Args:
            images: names of images of the local container engine.
            folder: is made where it is not there; archives of other images stay.
            run: deadline, events, cancel token.

        Returns:
            The archives in the order of the images, as :meth:`LoadImages.load_images` takes them.

        Raises:
            PlatformError: an image is not there, or does not fit.

        """


@runtime_checkable
class Upgrade(Protocol):
    """Ability: an existing cluster becomes the version that the settings name.

    ``ensure`` of such a platform never changes the version of a cluster that is there.
    """

    def upgrade(self, run: Run) -> Access:
        """Go to the version of the settings; return once the API answers and nodes are ready.

        Raises:
            PlatformError: it is a downgrade, or skips a minor version.

        """


@runtime_checkable
class ClusterBackup(Protocol):
    """Ability: the state of the control plane can be kept and brought back.

    What pods wrote to their volumes is not in it.
    """

    def backup_cluster(self, folder: Path, run: Run) -> Path:
        """Write an archive with mode 0600 into a folder, and return its path."""

    def restore_cluster(self, archive: Path, run: Run) -> Access:
        """Bring the cluster back as it was, in place of what is there.

        Raises:
            PlatformError: the archive is damaged, or of another cluster.

        """


@runtime_checkable
class HostPorts(Protocol):
    """Ability: ports of this machine lead to the nodes, and so to what listens there."""

    def host_ports(self) -> Mapping[int, int]:
        """Return TCP ports of 127.0.0.1 to ports of the nodes; pure."""


@runtime_checkable
class AddOns(Protocol):
    """Ability: the cluster lacks what every stack needs, and the platform knows what to install."""

    def add_ons(self) -> tuple[Mapping[str, Any], ...]:
        """Return Kubernetes objects, such as a storage provisioner; pure.

        The engine applies them before the first stack, and they belong to the cluster:
        every stack there uses the same ones, and none takes them away.
        """


@frozen(kw_only=True)
class Finding:
    """One result of a preflight check.

    Attributes:
        check: what was looked at.
        level: ``ok``, ``warning`` or ``error``.
        detail: what was found.
        cure: what to do; empty when nothing need be done.

    """

    check: str
    level: str
    detail: str
    cure: str = ""


@runtime_checkable
class Preflight(Protocol):
    """Ability: the platform can say beforehand what will not work here."""

    def preflight(self) -> tuple[Finding, ...]:
        """Look at this machine, changing nothing."""


def _no_defaults(settings: Any) -> Mapping[str, Any]:  # noqa: ANN401
    del settings
    return {}


@frozen(kw_only=True)
class PlatformSpec:
    """What a plugin registers for a platform; light, so that nothing heavy is imported.

    Attributes:
        name: what ``platform: {type: …}`` names.
        summary: one line.
        settings: an attrs class; its fields are the legal keys beside ``type``.
        factory: makes the platform from settings and context; imports what is heavy.
        defaults: values for parameters of scope ``platform`` by parameter name,
            given to every service that declares such a parameter.

    """

    name: str
    summary: str
    settings: type
    factory: Callable[[Any, PlatformContext], Platform]
    defaults: Callable[[Any], Mapping[str, Any]] = _no_defaults
