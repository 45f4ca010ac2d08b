"""Where validation writes what it finds, and the legal forms of Kubernetes names."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.model.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.model.stack import Manifest

__all__ = ("LABEL", "SUBDOMAIN", "Findings", "label_key", "label_value")

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""RFC 1123 label."""

_PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){_PART}(\.{_PART})*")
"""RFC 1123 subdomain."""

_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


@lru_cache  # the same few keys stand on every object
def label_key(text: str) -> bool:
    """Tell whether a text may be the key of a label or an annotation."""
    prefix, slash, name = text.rpartition("/")
    legal = not slash or SUBDOMAIN.fullmatch(prefix.lower())
    return bool(_QUALIFIED.fullmatch(name) and legal)


def label_value(text: str) -> bool:
    """Tell whether a text may be the value of a label."""
    return not text or bool(_QUALIFIED.fullmatch(text))


class Findings:
    """Collects faults, each with the object, the path in it, and the template it came from."""

    def __init__(self, raw: frozenset[tuple[str, str, str]] = frozenset()) -> None:
        self.faults: list[Fault] = []
        self._raw = raw

    def error(
        self,
        manifest: Manifest,
        path: str,
        message: str,
        *,
        found: object = None,
        legal: str = "",
        known: Iterable[str] = (),
        level: str = "error",
    ) -> None:
        """Note what the API server would refuse, or what cannot work."""
        name = found if isinstance(found, str) else ""
        self.faults.append(
            Fault(
                message=message,
                origin=manifest.origin,
                path=f"{manifest.ref} {path}".rstrip(),
                found="" if found is None else repr(found),
                legal=legal,
                nearest=nearest(name, known) if name else "",
                level=level,
            )
        )

    def warning(self, manifest: Manifest, path: str, message: str, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Note what works, but hardly as meant."""
        self.error(manifest, path, message, level="warning", **more)

    def dangling(self, manifest: Manifest, path: str, message: str, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Note a reference to something that is not among the objects.

        An error in a template, which names all that it needs; a warning in a raw manifest,
        whose controllers may make the missing object at run time.
        """
        key = (manifest.service, manifest.ref.kind, manifest.ref.name)
        self.error(
            manifest, path, message, level="warning" if key in self._raw else "error", **more
        )

    def choice(self, manifest: Manifest, path: str, value: Any, legal: tuple[str, ...]) -> None:  # noqa: ANN401 - JSON
        """Check a field with a closed set of words; an absent one has a default."""
        if value is not None and value not in legal:
            self.error(
                manifest, path, "unknown word", found=value, legal=", ".join(legal), known=legal
            )
