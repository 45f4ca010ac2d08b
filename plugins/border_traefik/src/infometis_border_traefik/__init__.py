"""Traefik as the border: routes, certificates, authentication, egress."""

from infometis_border_traefik.settings import Traefik

__all__ = ("Traefik",)
