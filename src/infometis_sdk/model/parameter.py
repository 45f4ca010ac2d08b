"""A typed, documented value that a template may use."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

__all__ = ("MUTABILITIES", "SCOPES", "SHRINKS", "TYPES", "Influence", "Parameter")

SCOPES = ("core", "scale", "platform", "border")
MUTABILITIES = ("live", "restart", "create-only")
SHRINKS = ("allow", "never", "drain")
TYPES = ("string", "integer", "number", "boolean", "quantity", "list", "map")


@frozen(kw_only=True)
class Influence:
    """A place in the rendered objects that a parameter may change.

    Written in a descriptor as ``StatefulSet/kafka spec.replicas``,
    ``ConfigMap/kafka-config data[server.properties] num.partitions`` (a key inside a parsed
    configuration file) or ``+ PodDisruptionBudget/kafka`` (an object that may come and go).
    Names may hold ``*``.

    Attributes:
        kind: Kubernetes kind.
        name: object name, may hold ``*``.
        path: field path; list items by key, as in ``containers[name=kafka].resources``;
            covers all below it.
        key: key inside the parsed configuration file at ``path``; empty for all of it.
        presence: the object as a whole may come and go.

    """

    kind: str
    name: str
    path: str = ""
    key: str = ""
    presence: bool = False

    @classmethod
    def parse(cls, text: str) -> Influence:
        """Read the form that descriptors use; ``str`` writes it again.

        Raises:
            ValueError: not in that form; the message names the text.

        Example:
            >>> Influence.parse("StatefulSet/kafka spec.replicas").path
            'spec.replicas'

        """
        words = text.split()
        presence = words[:1] == ["+"]
        target, *rest = words[presence:] or [""]
        kind, slash, name = target.partition("/")
        at_most = 0 if presence else 2
        if not (kind and slash and name) or "/" in name or len(rest) > at_most:
            msg = f"{text!r} names no place in an object"
            raise ValueError(msg)
        if not presence and not rest:
            msg = f"{text!r} names no path; '+ {target}' says that the object comes and goes"
            raise ValueError(msg)
        path, key = [*rest, "", ""][:2]
        return cls(kind=kind, name=name, path=path, key=key, presence=presence)

    def __str__(self) -> str:
        if self.presence:
            return f"+ {self.kind}/{self.name}"
        return " ".join(part for part in (f"{self.kind}/{self.name}", self.path, self.key) if part)


@frozen(kw_only=True)
class Parameter:
    """A parameter of a Service.

    Attributes:
        type: one of ``string``, ``integer``, ``number``, ``boolean``,
            ``quantity`` (Kubernetes quantity such as ``500m`` or ``2Gi``), ``list``, ``map``.
        default: value at the base layer; ``None`` together with ``optional`` means unset.
        min, max: bounds, inclusive, for numbers and quantities.
        choices: the only legal values, where not empty.
        pattern: a regular expression that the whole string must match.
        scope: who may set it: ``core`` (base and project only), ``scale``, ``platform``,
            ``border``.
        mutability: ``live``, ``restart`` (pods restart) or ``create-only``.
        shrink: ``allow``, ``never`` (the value may only grow) or ``drain`` (needs a drain first);
            what a smaller value means for a running service.
        affects: where its influence ends.
        durability: true when it changes how well data survives (replication, min ISR).
        optional: whether ``null`` is legal.
        doc: what it does, its unit, and the source of its default.
        why: why it cannot change, or shrink, on a running service; part of the plan's error.

    """

    type: str
    default: Any = None
    min: int | float | str | None = None
    max: int | float | str | None = None
    choices: tuple[Any, ...] = field(default=(), converter=tuple[Any, ...])
    pattern: str = ""
    scope: str = "core"
    mutability: str = "restart"
    shrink: str = "allow"
    affects: tuple[Influence, ...] = field(default=(), converter=tuple[Influence, ...])
    durability: bool = False
    optional: bool = False
    doc: str = ""
    why: str = ""
