"""A project: its services, its environments and the layers of values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from infometis_sdk.model.environment import Environment
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.pipeline import Pipeline
from infometis_sdk.model.service import Service

__all__ = ("Lock", "Project")


@frozen(kw_only=True)
class Lock:
    """What ``infometis.lock`` pins.

    Attributes:
        services: catalogue service to the digest of its content when it was pinned.
        images: ``repository:tag`` to ``sha256:…``, where known.

    """

    services: Mapping[str, str] = field(factory=dict)
    images: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Project:
    """What an organisation keeps in one repository, or builds in code.

    Attributes:
        name: DNS label.
        id: written once by ``infometis init``; unique, immutable, not the name.
        services: by name.
        environments: by name.
        values: the project layer, ``{service: {parameter: value}}``; may set core parameters.
        modes: values per mode; never core parameters.
        pipelines: the order in which environments get a Bundle, by name.
        probes: ``module:name`` of functions' :class:`~infometis_sdk.model.comparison.Probe`
            values, or of sequences of them, that ``compare`` runs.
        lock: pinned digests.
        root: the project's directory; ``None`` when built in code.
        findings: warnings that loading met; errors are raised.
        sources: dotted path (``project.kafka.replicas``, ``mode.shared.kafka.x``) to file and line.

    """

    name: str
    id: str = ""
    services: Mapping[str, Service] = field(factory=dict)
    environments: Mapping[str, Environment] = field(factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    modes: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(factory=dict)
    pipelines: Mapping[str, Pipeline] = field(factory=dict)
    probes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    lock: Lock = Lock()
    root: Path | None = None
    findings: tuple[Fault, ...] = field(
        default=(), converter=tuple[Fault, ...], eq=False, repr=False
    )
    sources: Mapping[str, Origin] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def load(cls, path: str | Path = ".") -> Project:
        """Read a project directory; see :func:`infometis_sdk.project.load_project`.

        Raises:
            ProjectError: all faults of all its files.

        """
        from infometis_sdk.project import load_project  # noqa: PLC0415 - convenience door, see CONTRIBUTING

        return load_project(Path(path))
