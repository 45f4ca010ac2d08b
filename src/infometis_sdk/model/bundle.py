"""Bundle: the immutable core of a project, known by its content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from infometis_sdk.errors import TamperedError
from infometis_sdk.model.canonical import canonical_json, sha256_of
from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table

__all__ = ("FORMAT", "RENDER_FORMAT", "Bundle")

FORMAT = "infometis.io/bundle/v1"
RENDER_FORMAT = "infometis.io/render/v1"
"""Moves only when the same inputs would render to other objects; all digests move with it."""


@frozen(kw_only=True, repr=False)
class Bundle(Report):
    """Everything of a project but its environments; what promotion moves.

    Its identity is the core digest of the stack: the digest of the very inputs that it holds.
    So what it contains cannot differ from what it is called.

    Attributes:
        project, project_id: name and id of the project, from which stack ids derive.
        services: service to the inputs of its core digest:
            ``format``, ``descriptor``, ``parameters``, ``values`` (core ones), ``images``,
            ``raw_images``, ``templates``, ``files`` and ``manifests``.
        values: the project layer's values of other scopes than core; no part of :attr:`id`.
        modes: values per mode; no part of :attr:`id`.

    """

    project: str
    project_id: str = ""
    services: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    values: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    modes: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(factory=dict)

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Core digest of each service, ``sha256:…``."""
        return {name: sha256_of(canonical_json(inputs)) for name, inputs in self.services.items()}

    @cached_property
    def id(self) -> str:
        """Core digest of the stack, ``sha256:…``: equal for equal cores, whatever the values."""
        return sha256_of(canonical_json([RENDER_FORMAT, sorted(self.digests.items())]))

    @cached_property
    def digest(self) -> str:
        """Digest of the whole file, with what is no part of :attr:`id`."""
        return sha256_of(self._body)

    @property
    def versions(self) -> Mapping[str, str]:
        """Version of each service's software."""
        return {
            name: str(inputs.get("descriptor", {}).get("version", ""))
            for name, inputs in self.services.items()
        }

    @cached_property
    def _body(self) -> bytes:
        return canonical_json(
            {
                "format": FORMAT,
                "id": self.id,
                "project": {"id": self.project_id, "name": self.project},
                "services": {
                    name: {"digest": self.digests[name], "inputs": inputs}
                    for name, inputs in self.services.items()
                },
                "values": self.values,
                "modes": self.modes,
            }
        )

    def to_bytes(self) -> bytes:
        """Return the file: canonical JSON, then a line with its digest.

        The same inputs give the same bytes on any machine.

        Example:
            >>> Bundle.from_bytes(Bundle(project="demo").to_bytes()) == Bundle(project="demo")
            True

        """
        return self._body + b"\n" + self.digest.encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str = "the bundle") -> Bundle:
        """Read a file that :meth:`to_bytes` wrote; every byte of it is checked.

        Args:
            data: the file.
            name: what it is called in messages.

        Raises:
            TamperedError: it was changed, cut short, or is no Bundle.

        """
        body, _, tail = data.partition(b"\n")
        expected, found = tail.removesuffix(b"\n").decode("ascii", "replace"), sha256_of(body)
        if expected != found or not tail.endswith(b"\n"):
            raise TamperedError(name, expected=expected, found=found)
        try:
            document = json.loads(body.decode("utf-8", "surrogatepass"))
            form = document["format"]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TamperedError(name, expected=FORMAT, found="no bundle at all") from error
        if form != FORMAT:
            raise TamperedError(name, expected=FORMAT, found=str(form))
        try:
            made = cls(
                project=document["project"]["name"],
                project_id=document["project"]["id"],
                services={n: s["inputs"] for n, s in document["services"].items()},
                values=document["values"],
                modes=document["modes"],
            )
            written = {n: s["digest"] for n, s in document["services"].items()}
            stated = document["id"]
        except (KeyError, TypeError, AttributeError) as error:
            raise TamperedError(name, expected=FORMAT, found="another shape") from error
        for service, digest in written.items():
            if made.digests[service] != digest:
                what = f"service {service} in {name}"
                raise TamperedError(what, expected=digest, found=made.digests[service])
        if made.id != stated:
            raise TamperedError(name, expected=stated, found=made.id)
        if made.to_bytes() != data:
            raise TamperedError(name, expected=made.digest, found="the same data written otherwise")
        return made

    def headline(self) -> str:
        """Name it and count its services."""
        count = len(self.services)
        return f"bundle {self.id} of {self.project}: {count} service{'s' * (count != 1)}"

    def table(self) -> Table:
        """Show one row for each service."""
        return Table(
            title=self.headline(),
            columns=("SERVICE", "VERSION", "DIGEST", "IMAGES"),
            rows=tuple(
                (name, self.versions[name], digest, "\n".join(_images(self.services[name])))
                for name, digest in sorted(self.digests.items())
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what identifies it, without its contents."""
        return {
            "format": FORMAT,
            "id": self.id,
            "digest": self.digest,
            "project": self.project,
            "services": {
                name: {
                    "version": self.versions[name],
                    "digest": digest,
                    "images": list(_images(self.services[name])),
                }
                for name, digest in sorted(self.digests.items())
            },
        }


def _images(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    named = [
        f"{image['repository']}:{image['tag']}" + (f"@{image['digest']}" if image["digest"] else "")
        for image in inputs.get("images", {}).values()
    ]
    raw = [f"{image}@{digest}" for image, digest in inputs.get("raw_images", {}).items()]
    return tuple(sorted({*named, *raw}))
