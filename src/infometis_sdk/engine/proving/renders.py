"""Where two renders differ, and which parameter, patch or policy each difference follows.

Objects are compared as templates make them, before they are stamped:
names, namespaces and labels that every environment has of its own are told once.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.core.influence import changed_parameters, declaring, uncovered
from infometis_sdk.engine.inputs.patches import apply_patches
from infometis_sdk.engine.objects import paths
from infometis_sdk.engine.proving.inputs import masked, place
from infometis_sdk.engine.proving.surroundings import own_differences
from infometis_sdk.engine.templates.configfile import changed_keys, parse_config
from infometis_sdk.engine.templates.render_service import keyed_objects, render_service
from infometis_sdk.model.equivalence import RenderedDifference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infometis_sdk.model.environment import Patch
    from infometis_sdk.model.service import Service
    from infometis_sdk.model.stack import ComposedService, ComposedStack, ManifestSet

__all__ = ("rendered_differences",)

_Key = tuple[str, str]
_Objects = dict[_Key, dict[str, Any]]


def rendered_differences(
    a: ComposedStack, b: ComposedStack, renders: tuple[ManifestSet, ManifestSet]
) -> Iterator[RenderedDifference]:
    """Yield every path that two renders do not share, with both values and what it follows.

    Args:
        a: one stack.
        b: the other; services that only one of them has are left to the caller.
        renders: what each of them renders to.

    """
    names = {composed.name for composed in b.services}
    for composed in a.services:
        if composed.name in names:
            yield from _Pair(a, b, composed.name).differences()
    yield from own_differences(a, b, renders)


class _Pair:
    """One service on both sides, rendered without what only the registry policy adds."""

    def __init__(self, a: ComposedStack, b: ComposedStack, name: str) -> None:
        self._stacks = (_neutral(a), _neutral(b))
        self._a, self._b = a.service(name), b.service(name)
        self._same = a.lock == b.lock and self._a.service == self._b.service
        self._changed = tuple(
            name
            for name in changed_parameters(self._a.service, self._a.values, self._b.values)
            if name in self._b.service.parameters
        )
        self._single: dict[str, _Objects] = {}
        self._texts: Any = None

    def differences(self) -> Iterator[RenderedDifference]:
        """Yield every difference of what templates make, and of what patches change."""
        patches = tuple(_on(side.environment.patches) for side in self._stacks)
        if self._same and not self._changed and not any(patches) and not self._core_moved():
            return
        left, self._texts = self._objects(0, self._a.values)
        right, _ = self._objects(1, self._b.values)
        undeclared = set()
        if not self._core_moved() and self._same:
            undeclared = {
                (obj, path)
                for obj, path, _ in uncovered(self._a.service, self._changed, left, right)
            }
        for key in {**left, **right}:
            if key not in left or key not in right:
                yield self._presence(key, undeclared, on_a=key in left)
                continue
            yield from self._fields(key, left[key], right[key], undeclared)
        yield from self._patched(patches, left, right)

    def _core_moved(self) -> bool:
        core = [n for n, p in self._a.service.parameters.items() if p.scope == "core"]
        return any(self._a.values.get(n) != self._b.values.get(n) for n in core)

    def _objects(self, side: int, values: Mapping[str, Any]) -> tuple[_Objects, Any]:
        stack, composed = self._stacks[side], (self._a, self._b)[side]
        # What templates make; raw manifests follow no parameter.
        service = attrs.evolve(composed.service, manifests=())
        services = {each.name: each.service for each in stack.services}
        drafts, _, texts = render_service(stack, service, values, services, same_as=self._texts)
        return keyed_objects(drafts), texts

    def _presence(
        self, key: _Key, undeclared: set[tuple[_Key, str]], *, on_a: bool
    ) -> RenderedDifference:
        names = declaring(self._a.service, self._changed, key)
        found = self._found(key, "", "", names)
        found = attrs.evolve(found, a="present" if on_a else "", b="" if on_a else "present")
        return attrs.evolve(found, cause="undeclared") if (key, "") in undeclared else found

    def _fields(
        self,
        key: _Key,
        left: Mapping[str, Any],
        right: Mapping[str, Any],
        undeclared: set[tuple[_Key, str]],
    ) -> Iterator[RenderedDifference]:
        for path, (old, new) in paths.differences(left, right).items():
            keys = changed_keys(path, old, new)
            for name in keys if keys is not None else ("",):
                was, now = (_at(path, value, name) for value in (old, new))
                causes = self._causes(key, path, name)
                found = self._found(key, path, name, causes)
                wrong = {(key, path), (key, f"{path} {name}")} & undeclared
                yield attrs.evolve(
                    found,
                    a=masked(key, path, was),
                    b=masked(key, path, now),
                    cause="undeclared" if wrong else found.cause,
                )

    def _causes(self, key: _Key, path: str, name: str) -> tuple[str, ...]:
        """Return the parameters that a difference follows; of several, those that do it alone."""
        named = declaring(self._a.service, self._changed, key, path, name)
        if len(named) <= 1 or not self._same:
            return named
        alone = tuple(n for n in named if self._follows(n, key, path, name))
        return alone or named

    def _follows(self, parameter: str, key: _Key, path: str, name: str) -> bool:
        """Whether one parameter's value of B, among the values of A, changes this place."""
        base, other = self._with(""), self._with(parameter)
        if key not in base or key not in other:
            return key in base or key in other
        old, new = (paths.value_at(objects[key], path) for objects in (base, other))
        return bool(_at(path, old, name) != _at(path, new, name))

    def _with(self, parameter: str) -> _Objects:
        """Render A, but for one parameter whose value is B's."""
        if parameter not in self._single:
            values = dict(self._a.values)
            if parameter:
                values[parameter] = self._b.values.get(parameter)
            self._single[parameter] = self._objects(0, values)[0]
        return self._single[parameter]

    def _found(
        self, key: _Key, path: str, name: str, parameters: Sequence[str]
    ) -> RenderedDifference:
        first = parameters[0] if parameters else ""
        known = self._a.service.parameters
        return RenderedDifference(
            service=self._a.name,
            object="/".join(key),
            path=path,
            key=name,
            cause="parameter" if parameters else "core",
            parameters=tuple(parameters),
            scope=known[first].scope if first else "",
            set_a=_set_by(self._a, first),
            set_b=_set_by(self._b, first),
            durability=any(known[n].durability for n in parameters),
        )

    def _patched(
        self, patches: Sequence[Mapping[_Key, list[Patch]]], left: _Objects, right: _Objects
    ) -> Iterator[RenderedDifference]:
        """Yield what patches make differ, raw manifests included."""
        for key in {**patches[0], **patches[1]}:
            here = tuple(side.get(key, []) for side in patches)
            if [_plain(p) for p in here[0]] == [_plain(p) for p in here[1]]:
                continue
            objects = []
            for side, rendered in enumerate((left, right)):
                obj = rendered.get(key) or _raw((self._a, self._b)[side].service, key)
                made = copy.deepcopy(dict(obj)) if obj else None
                if made is not None:
                    apply_patches([made], here[side])
                objects.append(made)
            if objects[0] is None or objects[1] is None:
                continue
            for path, (old, new) in paths.differences(objects[0], objects[1]).items():
                by = [next((p for p in side if _touches(p, path)), None) for side in here]
                if not any(by):
                    continue  # a parameter's doing, told before
                yield RenderedDifference(
                    service=self._a.name,
                    object="/".join(key),
                    path=path,
                    a=masked(key, path, old),
                    b=masked(key, path, new),
                    cause="patch",
                    set_a=place(by[0].origin) if by[0] else "",
                    set_b=place(by[1].origin) if by[1] else "",
                )


def _neutral(stack: ComposedStack) -> ComposedStack:
    """Return the stack without registry prefix, which is no part of what templates decide."""
    policies = stack.environment.policies
    bare = attrs.evolve(policies, registry=attrs.evolve(policies.registry, prefix=""))
    return attrs.evolve(stack, environment=attrs.evolve(stack.environment, policies=bare))


def _at(path: str, value: Any, name: str) -> Any:  # noqa: ANN401 - JSON
    """Return a value, or of a configuration file the value of one key."""
    if not name or not isinstance(value, str):
        return value
    return parse_config(paths.parse(path)[1], value).get(name, paths.MISSING)


def _set_by(composed: ComposedService, parameter: str) -> str:
    history = composed.history.get(parameter, ())
    return place(history[-1].origin) if history else ""


def _on(patches: Sequence[Patch]) -> dict[_Key, list[Patch]]:
    found: dict[_Key, list[Patch]] = {}
    for patch in patches:
        found.setdefault((patch.kind, patch.name), []).append(patch)
    return found


def _plain(patch: Patch) -> tuple[str, Any]:
    return (paths.render(paths.parse(patch.path)), patch.value)


def _touches(patch: Patch, path: str) -> bool:
    return paths.matches(patch.path, path) or paths.matches(path, patch.path)


def _raw(service: Service, key: _Key) -> Mapping[str, Any] | None:
    for manifest in service.manifests:
        for obj in manifest.get("items") or (manifest,):
            if (obj.get("kind"), (obj.get("metadata") or {}).get("name")) == key:
                found: Mapping[str, Any] = obj
                return found
    return None
