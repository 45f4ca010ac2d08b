"""Hold live objects against what was rendered for them, leaf by leaf, whoever owns them now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from attrs import field, frozen

from infometis_sdk.engine.objects import paths, podspec
from infometis_sdk.engine.objects.containment import lacking, surplus
from infometis_sdk.engine.objects.fieldset import Owner, display, ours, proven
from infometis_sdk.engine.objects.marks import CREDENTIALS, DIGEST, manager_of
from infometis_sdk.engine.planning.autoscaling import without_scaled_replicas
from infometis_sdk.engine.planning.conflicts import additions, left_alone
from infometis_sdk.engine.planning.examine import about_object, changes, dry_run
from infometis_sdk.engine.reading.live import Live
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.reading.writers import last_writer, scaled_at
from infometis_sdk.errors import ClusterError, ForbiddenError
from infometis_sdk.model.environment import DriftPolicy
from infometis_sdk.model.equivalence import LiveField
from infometis_sdk.model.run import Run
from infometis_sdk.model.stack import Manifest, ManifestSet
from infometis_sdk.ports.cluster import Cluster

__all__ = ("HOUSEKEEPING", "Comparison", "Object", "Seen")

Object = Mapping[str, Any]

_CONTROLLERS = "kube-controller-manager"
HOUSEKEEPING = (
    (_CONTROLLERS, "metadata.annotations[deprecated.daemonset.template.generation]"),
    (_CONTROLLERS, "metadata.annotations[pv.kubernetes.io/bind-completed]"),
    (_CONTROLLERS, "metadata.annotations[pv.kubernetes.io/bound-by-controller]"),
    (_CONTROLLERS, "metadata.annotations[volume.*kubernetes.io/storage-provisioner]"),
    (_CONTROLLERS, "metadata.annotations[kubernetes.io/service-account.uid]"),
    (_CONTROLLERS, "spec.volumeName"),
    (_CONTROLLERS, "spec.claimRef"),
    (_CONTROLLERS, "rules"),
    (_CONTROLLERS, "secrets"),
    (_CONTROLLERS, "data"),
    ("kube-scheduler", "metadata.annotations[volume.kubernetes.io/selected-node]"),
)
"""What Kubernetes' own controllers add to objects of ours: (manager, path).

A manager's name is self-declared, so a name alone is not trusted with any path.
Source: the controllers of Kubernetes (pkg/controller, plugin/pkg/scheduler).
"""

_FILLED = (("rules", "ClusterRole"), ("secrets", "ServiceAccount"), ("data", "Secret"))
"""Of these top-level fields, only in these kinds."""

_IN_ONE = ("k3s", "k0s")
"""Distributions that run all controllers in one program."""

_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_QUIET = f"metadata.annotations[{DIGEST}]"
_READERS = f"annotations[{CREDENTIALS}]"


@frozen(kw_only=True)
class Seen:
    """What is known of one object.

    Attributes:
        wanted: what would be sent.
        fields: what differs, and what was left to others.
        unsure: only the API server can tell.
        local: it was asked, and we might not ask.

    """

    manifest: Manifest
    wanted: Object
    fields: tuple[LiveField, ...] = field(default=(), converter=tuple[LiveField, ...])
    unsure: bool = False
    local: bool = False


@frozen(kw_only=True)
class Comparison:
    """One live stack against its render.

    Attributes:
        scaled: keys of the workloads that an autoscaler drives.
        blind: credentials may not be read, so what pods know of them is not compared.

    """

    cluster: Cluster
    manifests: ManifestSet
    live: Live
    run: Run
    side: str
    scaled: frozenset[tuple[str, str, str, str]]
    blind: bool = False

    @property
    def _manager(self) -> str:
        return manager_of(self.manifests.stack_id)

    def all(self, wanted: Sequence[Object]) -> list[Seen]:
        """Compare every object; only those that differ cost a request.

        Args:
            wanted: what would be sent of each manifest.

        Raises:
            ClusterError: the API server does not answer, or not to us.

        """
        pairs = zip(self.manifests.manifests, wanted, strict=True)
        seen = [self._quick(manifest, obj) for manifest, obj in pairs]
        unsure = [each for each in seen if each.unsure]
        asked = parallel(self._ask, unsure, self.run, "asking for a dry-run")
        told = {each.manifest.ref.key: each for each in asked}
        return [told.get(each.manifest.ref.key, each) if each.unsure else each for each in seen]

    def _quick(self, manifest: Manifest, obj: Object) -> Seen:
        """Compare without any request."""
        have = self.live.get(manifest.ref)
        if have is None:
            return Seen(manifest=manifest, wanted=obj, fields=(self._field(manifest, "missing"),))
        if going := have["metadata"].get("deletionTimestamp"):
            path = "metadata.deletionTimestamp"
            found = self._field(manifest, "differs", path=path, live=going)
            return Seen(manifest=manifest, wanted=obj, fields=(found,))
        autoscaled = manifest.ref.key in self.scaled
        sent = without_scaled_replicas(obj, have, self._manager, autoscaled=autoscaled)
        fields = list(self._scaled(manifest, obj, have)) if sent is not obj else []
        sure = proven(sent, have, self._manager)
        if not sure and ours(have, self._manager) is None:
            # Additions cannot be told from the API server's defaults any more.
            gone = "nothing says that we wrote it"
            fields.append(
                self._field(manifest, "foreign", path="metadata.managedFields", live=gone)
            )
        else:
            fields += self._foreign(manifest, sent, have)
        fields += self._restarted(manifest, sent, have)
        unsure = not sure and bool(self._told_locally(sent, have))
        return Seen(manifest=manifest, wanted=sent, fields=tuple(fields), unsure=unsure)

    def _ask(self, seen: Seen) -> Seen:
        """Ask the API server what an apply of everything would change."""
        manifest, ref = seen.manifest, seen.manifest.ref
        have = self.live.objects[ref.key]
        self.run.check("asking for a dry-run")
        local = False
        try:
            after, _ = dry_run(self.cluster, ref, seen.wanted, self._manager, self.run, force=True)
            found = [
                (c.path, c.new, c.old)
                for c in changes(have, after)
                if not (self.blind and c.path.endswith(_READERS))
            ]
        except ClusterError as error:
            if not about_object(error):
                raise
            # Refused for another reason than our rights, it could not be applied as it is:
            # what we see ourselves is what there is to tell.
            local = isinstance(error, ForbiddenError)
            found = self._told_locally(seen.wanted, have)
        if len(found) > 1:
            found = [each for each in found if each[0] != _QUIET]
        fields = [self._difference(manifest, have, *each) for each in found]
        return attrs.evolve(seen, fields=(*seen.fields, *fields), unsure=False, local=local)

    def _told_locally(self, sent: Object, have: Object) -> list[tuple[str, Any, Any]]:
        """Return path, rendered and live value of what differs, as far as we can see."""
        found = [(display(path, have), want, live) for path, want, live in lacking(sent, have)]
        found += [
            (display(path, have), None, live) for path, live in surplus(sent, have, self._manager)
        ]
        return [each for each in found if not (self.blind and each[0].endswith(_READERS))]

    def _difference(
        self,
        manifest: Manifest,
        have: Object,
        path: str,
        want: Any,  # noqa: ANN401 - any leaf
        live: Any,  # noqa: ANN401 - any leaf
    ) -> LiveField:
        owner = last_writer(have, path, self._manager)
        if owner is None:
            return self._field(manifest, "differs", path=path, rendered=want, live=live)
        time = owner.time
        if not time and owner.subresource == "scale":
            time = scaled_at(self.cluster, manifest.ref, have, self._manager, self.run)
        return self._field(
            manifest,
            "yielded" if self._allowed(manifest, owner, path) else "differs",
            path=path,
            rendered=want,
            live=live,
            manager=owner.label,
            time=time,
        )

    def _scaled(self, manifest: Manifest, obj: Object, have: Object) -> Iterator[LiveField]:
        """Tell of replicas that an autoscaler holds, or somebody else in its place."""
        owner = last_writer(have, "spec.replicas", self._manager)
        rendered, live = (each["spec"].get("replicas") for each in (obj, have))
        if owner is None and rendered == live:
            return
        allowed = owner is None or self._allowed(manifest, owner, "spec.replicas")
        yield self._field(
            manifest,
            "yielded" if allowed else "differs",
            path="spec.replicas",
            rendered=rendered,
            live=live,
            manager=owner.label if owner else "",
            time=owner.time if owner else "",
        )

    def _restarted(self, manifest: Manifest, sent: Object, have: Object) -> Iterator[LiveField]:
        """Tell of a rollout that somebody restarted: that is left to whoever did it."""
        noted, rendered = (
            ((podspec.pod_metadata(dict(obj)) or {}).get("annotations") or {}).get(_RESTARTED)
            for obj in (have, sent)
        )
        if noted is None or noted == rendered:
            return
        path = f"spec.template.metadata.annotations[{_RESTARTED}]"
        owner = last_writer(have, path, self._manager)
        yield self._field(
            manifest,
            "yielded",
            path=path,
            live=noted,
            manager=owner.label if owner else "",
            time=owner.time if owner else "",
        )

    def _foreign(self, manifest: Manifest, sent: Object, have: Object) -> Iterator[LiveField]:
        """Tell what others added; what an allow-list leaves to them is yielded."""
        for path, owner, value in additions(sent, have, self._manager, DriftPolicy(), trusted=()):
            text = display(path, have)
            if _housekeeping(manifest.ref.kind, owner, text):
                continue
            yield self._field(
                manifest,
                "yielded" if self._allowed(manifest, owner, text) else "foreign",
                path=text,
                live=value,
                manager=owner.label,
                time=owner.time,
            )

    def _allowed(self, manifest: Manifest, owner: Owner, path: str) -> bool:
        return left_alone(
            owner,
            path,
            policy=self.manifests.environment.policies.drift,
            autoscaled=manifest.ref.key in self.scaled,
        )

    def _field(
        self,
        manifest: Manifest,
        state: str,
        *,
        path: str = "",
        rendered: Any = None,  # noqa: ANN401 - any leaf
        live: Any = None,  # noqa: ANN401 - any leaf
        manager: str = "",
        time: str = "",
    ) -> LiveField:
        return LiveField(
            side=self.side,
            state=state,
            ref=manifest.ref,
            service=manifest.service,
            path=path,
            rendered=_text(manifest, path, rendered),
            live=_text(manifest, path, live),
            manager=manager,
            time=time,
        )


def _housekeeping(kind: str, owner: Owner, path: str) -> bool:
    """Whether this is what a controller of Kubernetes keeps in objects of this kind."""
    if owner.subresource:
        return False
    try:
        named = any(
            (owner.manager == manager or owner.manager in _IN_ONE) and paths.matches(pattern, path)
            for manager, pattern in HOUSEKEEPING
        )
    except ValueError:
        return False  # a key that no pattern could name
    top = paths.parse(path)[0] if named else ""
    return named and all(kind == only for first, only in _FILLED if first == top)


def _text(manifest: Manifest, path: str, value: Any) -> str:  # noqa: ANN401 - any leaf
    if value is None:
        return ""
    if manifest.ref.kind == "Secret" and path.startswith(("data", "stringData")):
        return "(secret)"
    return value if isinstance(value, str) else repr(value)
