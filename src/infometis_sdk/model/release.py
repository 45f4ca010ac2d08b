"""Release: the numbered record of one deployment of a Bundle with its values to one stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import field, frozen

from infometis_sdk.errors import TamperedError
from infometis_sdk.model.canonical import canonical_json, sha256_of
from infometis_sdk.model.fault import Origin
from infometis_sdk.model.report import Report, plain
from infometis_sdk.model.table import Table

__all__ = ("FORMAT", "STATES", "Release", "ReleaseList", "ServiceRecord")

FORMAT = "infometis.io/release/v2"
STATES = ("pending", "deployed", "failed", "superseded")


@frozen(kw_only=True)
class ServiceRecord:
    """What was deployed of one service.

    Attributes:
        version: of the software.
        digest: core digest, ``sha256:…``.
        values: every parameter's final value.
        origins: dotted path below the service (``replicas``, ``config.retention``)
            to the layer, file and line that set it.

    """

    version: str
    digest: str = ""
    values: Mapping[str, Any] = field(factory=dict)
    origins: Mapping[str, Origin] = field(factory=dict)


@frozen(kw_only=True, repr=False)
class Release(Report):
    """One deployment; holds no secret, only references and keyed hashes.

    Attributes:
        number: counted from 1 in one stack.
        status: ``pending`` (before the first write), ``deployed``, ``failed`` or ``superseded``.
        mixed: it was limited to some services, or failed halfway:
            the stack then runs parts of several Bundles; it cannot be promoted nor returned to.
        stack_id, environment, namespace, project: which stack.
        bundle: id of the Bundle, the core digest of the stack, ``sha256:…``.
        bundle_digest: digest of the whole stored Bundle.
        verified: every image was pinned by digest.
        scope: services it was limited to; empty for all.
        plan: digest of the plan.
        cluster_uid: UID of the cluster.
        actor: who deployed, as ``user@host``.
        reason: why, in the actor's words.
        time, ended: start and end, UTC, ISO 8601, by the clock of the machine that deployed.
        sdk: version of the SDK.
        plugins: distribution of each plugin to its version.
        commit: git commit of the project; empty where it is in no repository.
        dirty: the project had changes that were not committed.
        services: by name.
        definition: the environment without values and local layer, as plain data.
        credentials: name of each Secret to where its keys are ``from`` (references, or the word
            ``generated``) and, once applied, the keyed hash of all its data (``hmac``).

    """

    number: int
    status: str
    mixed: bool = False
    stack_id: str = ""
    environment: str = ""
    namespace: str = ""
    project: str = ""
    bundle: str = ""
    bundle_digest: str = ""
    verified: bool = False
    scope: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    plan: str = ""
    cluster_uid: str = ""
    actor: str = ""
    reason: str = ""
    time: str = ""
    ended: str = ""
    sdk: str = ""
    plugins: Mapping[str, str] = field(factory=dict)
    commit: str = ""
    dirty: bool = False
    services: Mapping[str, ServiceRecord] = field(factory=dict)
    definition: Mapping[str, Any] = field(factory=dict)
    credentials: Mapping[str, Mapping[str, Any]] = field(factory=dict)

    @property
    def digest(self) -> str:
        """Digest of everything that the Release says, its status too."""
        return sha256_of(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return canonical JSON.

        Example:
            >>> one = Release(number=1, status="deployed")
            >>> Release.from_bytes(one.to_bytes(), one.digest) == one
            True

        """
        return canonical_json({"format": FORMAT, **self.to_dict()})

    @classmethod
    def from_bytes(cls, data: bytes, digest: str, *, name: str = "the release") -> Release:
        """Read what :meth:`to_bytes` wrote.

        Args:
            data: canonical JSON.
            digest: what was recorded of it.
            name: what it is called in messages.

        Raises:
            TamperedError: it is not what was recorded.

        """
        import json

        found = sha256_of(data)
        if found != digest:
            raise TamperedError(name, expected=digest, found=found)
        try:
            document = json.loads(data.decode("utf-8", "surrogatepass"))
            form = document.pop("format")
        except (ValueError, AttributeError, KeyError) as error:
            raise TamperedError(name, expected=FORMAT, found="no release at all") from error
        if form != FORMAT:
            raise TamperedError(name, expected=FORMAT, found=str(form))
        try:
            services = {n: _record(r) for n, r in document.pop("services").items()}
            return cls(services=services, **document)
        except (KeyError, TypeError, AttributeError) as error:
            raise TamperedError(name, expected=FORMAT, found="another shape") from error

    def headline(self) -> str:
        """Say what was deployed when, by whom, and how it ended."""
        mixed = ", mixed" if self.mixed else ""
        who = f" by {self.actor}" if self.actor else ""
        when = f" at {self.time}" if self.time else ""
        return f"release {self.number} of {self.stack_id}: {self.status}{mixed}{when}{who}"

    def table(self) -> Table:
        """Show one row for each service, and the rest below."""
        facts = (
            ("bundle", self.bundle + ("" if self.verified else " (images not all pinned)")),
            ("plan", self.plan),
            ("cluster", self.cluster_uid),
            ("ended", self.ended),
            ("reason", self.reason),
            ("scope", ", ".join(self.scope)),
            ("commit", self.commit + (" with uncommitted changes" if self.dirty else "")),
            ("sdk", self.sdk),
            ("plugins", ", ".join(f"{n} {v}" for n, v in sorted(self.plugins.items()))),
        )
        return Table(
            title=self.headline(),
            columns=("SERVICE", "VERSION", "DIGEST"),
            rows=tuple((n, r.version, r.digest) for n, r in sorted(self.services.items())),
            footer=tuple(f"{name}: {text}" for name, text in facts if text),
        )


def _record(data: dict[str, Any]) -> ServiceRecord:
    origins = {path: Origin(**origin) for path, origin in data.pop("origins").items()}
    return ServiceRecord(origins=origins, **data)


@frozen(kw_only=True, repr=False)
class ReleaseList(Report):
    """The Releases of a stack, oldest first.

    Attributes:
        stack_id: which stack.
        items: those that could be read and are what was recorded.
        problems: what is wrong with the others, and which numbers are missing.

    """

    stack_id: str
    items: tuple[Release, ...] = field(default=(), converter=tuple[Release, ...])
    problems: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @property
    def live(self) -> Release | None:
        """The newest one that is deployed: what runs, as far as we know."""
        return next((r for r in reversed(self.items) if r.status == "deployed"), None)

    def headline(self) -> str:
        """Count them."""
        count = len(self.items)
        return f"{self.stack_id}: {count} release{'s' * (count != 1)}"

    def table(self) -> Table:
        """Show one row for each, oldest first."""
        return Table(
            title=self.headline(),
            columns=("NUMBER", "STATUS", "TIME", "ACTOR", "BUNDLE", "COMMIT", "REASON"),
            rows=tuple(
                (
                    str(r.number),
                    r.status + (" (mixed)" if r.mixed else ""),
                    r.time,
                    r.actor,
                    r.bundle.removeprefix("sha256:")[:12],
                    r.commit[:12] + ("+" if r.dirty else ""),
                    r.reason,
                )
                for r in self.items
            ),
            footer=self.problems,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, without values and definitions."""
        keep = attrs.fields_dict(Release).keys() - {"services", "definition", "credentials"}
        return {
            "stack_id": self.stack_id,
            "items": [{key: plain(getattr(r, key)) for key in sorted(keep)} for r in self.items],
            "problems": list(self.problems),
        }
