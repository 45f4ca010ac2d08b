"""The platform ``existing``: a cluster that somebody else runs, reached through a kubeconfig.

The user's kubeconfig is read where it is and never written; which context is meant is settled by
name and never by ``current-context``, which other tools change behind our back.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import Attribute, field, frozen

from infometis_sdk._adapters.kubeconfig import KubeConfig, default_files
from infometis_sdk.errors import ClusterError, DeadlineError, PlatformError
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import Access, Platform, PlatformContext, PlatformStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("Existing", "ExistingPlatform")

_GLANCE = 0.9
"""Seconds for :meth:`ExistingPlatform.status`: the port allows less than one."""


def _text(_: Any, attribute: Attribute[str], value: object) -> None:  # noqa: ANN401
    if not isinstance(value, str):
        msg = f"{attribute.name}: {value!r} is no text"
        raise TypeError(msg)


def _names(value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        msg = f"namespaces: {value!r} is one text, not a list of names"
        raise TypeError(msg)
    return tuple(value)


@frozen(kw_only=True)
class Existing:
    """Settings of the platform ``existing``.

    Attributes:
        kubeconfig: a file; empty for the credentials of the pod that we run in, and where that is
            no pod, for ``$KUBECONFIG`` or ``~/.kube/config``.
        context: which context; may be left out where there is only one.
        namespaces: the namespaces that were assigned to us; empty for all.

    Example:
        >>> Existing(context="staging", namespaces=["team-a"]).namespaces
        ('team-a',)

    """

    kubeconfig: str = field(default="", validator=_text)
    context: str = field(default="", validator=_text)
    namespaces: tuple[str, ...] = field(default=(), converter=_names)


class ExistingPlatform(Platform):
    """Reaches a cluster; makes, changes and removes none."""

    def __init__(self, settings: Existing, context: PlatformContext) -> None:
        self._settings = settings
        self._cluster = context.cluster

    def ensure(self, run: Run) -> Access:
        """Return the access once the API answers.

        Raises:
            PlatformError: no such file or context; names those that are there.
            ClusterError: the API does not answer, or does not accept the credentials.

        """
        run.check("looking for the cluster")
        access = self.connect()
        where = _words(access)
        run.emit(Event(name="connect", subject=where, state="started"))
        version = _version(access, run)
        run.emit(Event(name="connect", subject=where, state="finished", detail=version))
        return access

    def status(self) -> PlatformStatus:
        """See :meth:`Platform.status`."""
        try:
            access = self.connect()
        except PlatformError as error:
            return PlatformStatus(phase="absent", detail=error.message)
        try:
            version = _version(access, Run.within(_GLANCE))
        except DeadlineError as error:
            return PlatformStatus(phase="failed", detail=error.message)
        except (ClusterError, PlatformError) as error:
            return PlatformStatus(phase="failed", detail=error.message)
        return PlatformStatus(phase="ready", detail=_words(access), version=version)

    def connect(self) -> Access:
        """Return the access without asking the cluster.

        Raises:
            PlatformError: no such file or context; names those that are there.

        """
        settings = self._settings
        if not settings.kubeconfig and not settings.context and _in_pod():
            return Access(kubeconfig=None, namespaces=settings.namespaces)
        config, context = _choose(self._files(), settings.context)
        config.connection(context)  # is what it names there, too?
        return Access(kubeconfig=config.path, context=context, namespaces=settings.namespaces)

    def steps(self) -> tuple[str, ...]:
        """Return nothing, since the cluster is there already; see :class:`DryRun`.

        Raises:
            PlatformError: no such file or context; names those that are there.

        """
        self.connect()
        return ()

    def destroy(self, run: Run) -> None:
        """Refuse: the cluster is not ours.

        Raises:
            PlatformError: always.

        """
        del run
        msg = f"the cluster of {self._cluster!r} is not ours: the platform is `existing`"
        hint = "`infometis down` removes the stack's objects, `infometis abandon` forgets them"
        raise PlatformError(msg, hint=hint)

    def _files(self) -> tuple[KubeConfig, ...]:
        if self._settings.kubeconfig:
            return (KubeConfig.read(Path(self._settings.kubeconfig).expanduser().absolute()),)
        paths = default_files()
        found = tuple(KubeConfig.read(path.absolute()) for path in paths if path.exists())
        if not found:
            msg = f"there is no kubeconfig at {' or '.join(str(path) for path in paths)}"
            raise PlatformError(msg, hint="set `kubeconfig` of the platform, or $KUBECONFIG")
        return found


def _choose(files: tuple[KubeConfig, ...], wanted: str) -> tuple[KubeConfig, str]:
    """Return the file and the name of the context that is meant."""
    known = [(config, name) for config in files for name in config.contexts]
    names = ", ".join(name for _, name in known)
    where = " and ".join(str(config.path) for config in files)
    if not known:
        msg = f"there is no context in {where}"
        raise PlatformError(msg, hint="name another file with `kubeconfig` of the platform")
    if not wanted:
        if len(known) == 1:
            return known[0]
        msg = f"`context` of the platform is not set, and {where} has {len(known)} contexts"
        raise PlatformError(msg, hint=f"set it to one of: {names}")
    for config, name in known:
        if name == wanted:
            return config, name
    msg = f"there is no context {wanted!r} in {where}"
    raise PlatformError(msg, hint=f"known contexts: {names}")


def _in_pod() -> bool:
    from infometis_sdk._adapters.session import SERVICE_ACCOUNT

    inside = bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    return inside and (SERVICE_ACCOUNT / "token").is_file()


def _words(access: Access) -> str:
    if access.kubeconfig is None:
        return "the pod's own cluster"
    return f"context {access.context!r} of {access.kubeconfig}"


def _version(access: Access, run: Run) -> str:
    """Ask the cluster for its version, which also shows that it accepts us."""
    from infometis_sdk._adapters.kubernetes_api import open_cluster

    cluster = open_cluster(access)
    try:
        answer = json.loads(cluster.read("/version", run))
        return str(answer["gitVersion"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{_words(access)} does not lead to a Kubernetes API"
        raise PlatformError(msg, hint="correct the server's address in the kubeconfig") from error
    finally:
        cluster.close()
