"""How the parts of the control plane are had: see :func:`find`."""

from infometis_platform_embedded.binaries.search import find, lacking_parts

__all__ = ("find", "lacking_parts")
