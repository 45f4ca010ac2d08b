"""How commands reach a host: the one seam between this plugin and the machines.

``local`` runs them here, ``ssh`` by the system's own OpenSSH client.
All else in the plugin is pure, or speaks to a :class:`Connection`,
so that transcripts of a genuine host can take its place in tests.
"""

from infometis_platform_k0s_host.connection.seam import (
    AS_ROOT,
    PATIENCE,
    Connection,
    HostError,
    as_root,
)
from infometis_platform_k0s_host.connection.shell import LocalConnection, SshConnection, connect

__all__ = (
    "AS_ROOT",
    "PATIENCE",
    "Connection",
    "HostError",
    "LocalConnection",
    "SshConnection",
    "as_root",
    "connect",
)
