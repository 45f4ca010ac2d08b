"""Fixtures: stacks with a border of Traefik, on the genuine API server."""

from __future__ import annotations

from tests.integration.engine.conftest import anchor, lab, labs

__all__ = ("anchor", "lab", "labs")
