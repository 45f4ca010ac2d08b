"""Where Docker is: as the settings say, or as the docker program would find it."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from infometis_platform_k0s_docker.troubles import explaining
from infometis_sdk.errors import PlatformError

__all__ = ("docker_host", "machine_of")


def docker_host(host: str) -> tuple[str, Any]:
    """Return the address of Docker, and how to speak TLS to it.

    Args:
        host: that of the settings; empty for ``DOCKER_HOST``, else for the context that
            ``DOCKER_CONTEXT`` or the configuration of the docker program names.

    """
    from docker.context import ContextAPI
    from docker.utils import kwargs_from_env

    if host:
        return host, False
    named = kwargs_from_env()
    if named.get("base_url"):
        return str(named["base_url"]), named.get("tls", False)
    with explaining("the context of the docker program cannot be read"):
        context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    if context is None:
        msg = f"DOCKER_CONTEXT: there is no context {os.environ.get('DOCKER_CONTEXT')!r}"
        raise PlatformError(msg, hint="'docker context ls' shows those that are there")
    return str(context.Host or "unix:///var/run/docker.sock"), context.TLSConfig or False


def machine_of(host: str) -> str:
    """Return the name of the machine where Docker runs; empty where it is this one.

    Example:
        >>> machine_of("tcp://build.example:2376"), machine_of("unix:///run/docker.sock")
        ('build.example', '')

    """
    if "://" not in host or host.startswith(("unix", "npipe")):
        return ""
    name = urlsplit(host).hostname or ""
    return "" if name in ("localhost", "127.0.0.1", "::1") else name
