"""The layers of values, and whether the names in them exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.model.environment import MODES, Environment
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from infometis_sdk.model.project import Project

__all__ = ("Layer", "layers_of", "name_faults", "other_mode_faults")


@attrs.frozen(kw_only=True)
class Layer:
    """One layer's values, and where each of them stands.

    ``prefixes`` are what a dotted path may start with in ``sources``.
    """

    name: str
    values: Mapping[str, Mapping[str, Any]]
    sources: Mapping[str, Origin]
    prefixes: tuple[str, ...]
    fallback: Origin

    def origin(self, *steps: str) -> Origin:
        """Return file and line of a value, or of the nearest thing above it."""
        for length in range(len(steps), 0, -1):
            for prefix in self.prefixes:
                found = self.sources.get(f"{prefix}{'.'.join(steps[:length])}")
                if found is not None:
                    return attrs.evolve(found, layer=self.name)
        return attrs.evolve(self.fallback, layer=self.name)


def layers_of(project: Project, environment: Environment) -> tuple[Layer, ...]:
    """Return project, mode, environment and local, lowest first; the others depend on a service."""
    mode = environment.mode
    own = environment.origin
    return (
        Layer(
            name="project",
            values=project.values,
            sources=project.sources,
            prefixes=("project.", "values."),
            fallback=Origin(),
        ),
        Layer(
            name="mode",
            values=project.modes.get(mode, {}),
            sources=project.sources,
            prefixes=(f"mode.{mode}.", f"modes.{mode}."),
            fallback=Origin(),
        ),
        Layer(
            name="environment",
            values=environment.values,
            sources=environment.sources,
            prefixes=("environment.", "values.", ""),
            fallback=own,
        ),
        Layer(
            name="local",
            values=environment.local,
            sources=environment.sources,
            prefixes=("local.values.", "local."),
            fallback=own,
        ),
    )


def name_faults(project: Project, layer: Layer) -> list[Fault]:
    """Return a fault for each service and parameter that a layer names and nobody declares."""
    faults = []
    given: Mapping[str, Any] = layer.values  # built in code, it may hold anything
    for name, values in given.items():
        service = project.services.get(name)
        if service is None:
            faults.append(
                Fault(
                    message=f"there is no service {name!r}",
                    origin=layer.origin(name),
                    path=f"values.{name}",
                    legal=", ".join(sorted(project.services)) or "no service at all",
                    nearest=nearest(name, project.services),
                )
            )
        elif not isinstance(values, Mapping):
            faults.append(
                Fault(
                    message=f"the values of service {name!r} are not a map",
                    origin=layer.origin(name),
                    path=f"values.{name}",
                    found=repr(values),
                    legal="a map of parameters to values",
                )
            )
        else:
            faults += [
                Fault(
                    message=f"service {name!r} has no parameter {key!r}",
                    origin=layer.origin(name, str(key)),
                    path=f"values.{name}.{key}",
                    legal=", ".join(sorted(service.parameters)) or "no parameter at all",
                    nearest=nearest(str(key), service.parameters),
                )
                for key in values
                if key not in service.parameters
            ]
    return faults


def other_mode_faults(project: Project, environment: Environment) -> list[Fault]:
    """Check the names in the modes that this environment does not use, and the modes' own names."""
    faults = []
    for mode, values in project.modes.items():
        layer = Layer(
            name="mode",
            values=values,
            sources=project.sources,
            prefixes=(f"mode.{mode}.", f"modes.{mode}."),
            fallback=Origin(),
        )
        if mode not in MODES:
            faults.append(
                Fault(
                    message=f"unknown mode {mode!r}",
                    origin=project.sources.get(f"mode.{mode}", Origin(layer="mode")),
                    path=f"modes.{mode}",
                    legal=", ".join(MODES),
                    nearest=nearest(mode, MODES),
                )
            )
        elif mode != environment.mode:
            faults += name_faults(project, layer)
    return faults
