"""What pluggy finds: light, so that nothing heavy is imported until the border is used."""

from collections.abc import Iterable

from infometis_border_traefik.settings import Traefik
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.ports.border import BorderAdapter, BorderSpec


def _make() -> BorderAdapter:
    from infometis_border_traefik.border import TraefikBorder

    return TraefikBorder()


@hookimpl
def infometis_borders() -> Iterable[BorderSpec]:
    """Register the border ``traefik``."""
    summary = "Traefik: routes, certificates, authentication, egress"
    return (BorderSpec(name="traefik", summary=summary, settings=Traefik, factory=_make),)
