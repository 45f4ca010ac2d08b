"""Short-lived environments beside a lasting one: own namespace, own host, and a time to live.

What a preview is follows from its name and the environment that it is made of,
so a machine that has never seen it can remove it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.compose import derived_stack_id, home_namespace
from infometis_sdk.engine.objects.marks import EXPIRES, STACK
from infometis_sdk.errors import InfometisError, RefusedError
from infometis_sdk.model.environment import Environment, Preview
from infometis_sdk.model.pipeline import seconds_of
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infometis_sdk.model.border import Border
    from infometis_sdk.model.project import Project
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("create_preview", "destroy_expired", "destroy_preview", "preview_of")

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?")
_URL = re.compile(r"(?P<scheme>[a-z]+://)?(?P<host>[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)(?P<rest>.*)")
_UP = 45 * 60.0


def preview_of(workspace: Workspace, name: str, of: str, expires: str = "") -> Environment:
    """Return the environment of a preview, made of another one.

    Args:
        workspace: of the project.
        name: DNS label, such as that of a branch.
        of: the environment that it is like, and whose cluster it shares.
        expires: UTC, ISO 8601; empty where that does not matter any more.

    Raises:
        ProjectError: there is no such environment.
        RefusedError: the name cannot be one, or the environment cannot have previews.

    """
    base = workspace[of]
    if not _NAME.fullmatch(name):
        msg = f"{name!r} can be no preview's name"
        raise RefusedError(msg, hint="lower-case letters, digits and '-', 30 at most")
    known = workspace.project.environments.get(name)
    if known is not None and not known.preview.of:
        msg = f"{name} is an environment that lasts, not a preview"
        raise RefusedError(msg, hint="choose another name")
    if base.environment.mode == "shared":
        msg = f"{of} lives in namespaces that were assigned to it, so none can be made beside it"
        raise RefusedError(msg, hint="make previews of an environment whose cluster is yours")
    bare = Environment(name)
    return attrs.evolve(
        base.environment,
        name=name,
        namespace=home_namespace(workspace.project, bare),
        stack_id=derived_stack_id(workspace.project, bare),
        border=_own_border(base.environment.border, name),
        values=_own_hosts(workspace.project, base.environment.values, name),
        protected=False,
        local={},
        preview=Preview(of=of, expires=expires or _now().isoformat(timespec="seconds")),
        sources={},
    )


def _own_border(border: Border, name: str) -> Border:
    """Give every route a host of the preview's own."""
    routes = {
        key: attrs.evolve(route, host=_host(route.host, name)) if route.host else route
        for key, route in border.routes.items()
    }
    return attrs.evolve(border, domain=f"{name}.{border.domain}", routes=routes)


def _own_hosts(
    project: Project, values: Mapping[str, Mapping[str, Any]], name: str
) -> dict[str, dict[str, Any]]:
    """Give every parameter of scope ``border`` that names a host a host of the preview's own."""
    made: dict[str, dict[str, Any]] = {}
    for service, given in values.items():
        known = project.services.get(service)
        border = {
            key
            for key, parameter in (known.parameters if known else {}).items()
            if parameter.scope == "border"
        }
        made[service] = {
            key: _host(value, name) if key in border and isinstance(value, str) else value
            for key, value in given.items()
        }
    return made


def _host(text: str, name: str) -> str:
    """Put a label before the host of a URL or a host name.

    Example:
        >>> _host("https://grafana.example.com/x", "new")
        'https://new.grafana.example.com/x'

    """
    found = _URL.fullmatch(text)
    if found is None:
        return text
    return f"{found['scheme'] or ''}{name}.{found['host']}{found['rest']}"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def create_preview(workspace: Workspace, name: str, of: str, ttl: str) -> Stack:
    """Make a preview; see :meth:`.Workspace.preview`.

    In a project of files it is written down as ``environments/NAME.yaml``,
    so that every verb knows it by ``-e NAME``.
    """
    try:
        seconds = seconds_of(ttl)
    except ValueError as error:
        raise RefusedError(str(error)) from error
    if seconds <= 0:
        msg = "a preview needs a time to live"
        raise RefusedError(msg, hint="such as 8h")
    ends = (_now() + dt.timedelta(seconds=seconds)).isoformat(timespec="seconds")
    environment = preview_of(workspace, name, of, ends)
    root = workspace.project.root
    if root is not None and not isinstance(environment.platform, Mapping):
        msg = f"the platform of {of} is an object of Python, which no file can name"
        raise RefusedError(msg, hint="make the preview in Python too")
    if root is not None:
        _write(_file(root, name), environment)
    return _stack(workspace, environment)


def _stack(workspace: Workspace, environment: Environment) -> Stack:
    project = workspace.project
    known = {**project.environments, environment.name: environment}
    return workspace.with_project(attrs.evolve(project, environments=known))[environment.name]


def _file(root: Path, name: str) -> Path:
    return root / "environments" / f"{name}.yaml"


def _write(path: Path, environment: Environment) -> None:
    from infometis_sdk._serde import unstructure
    from infometis_sdk._yaml import dump_yaml
    from infometis_sdk.model.report import plain

    bare = Environment(environment.name)
    data = plain(unstructure(environment))
    plainest = plain(unstructure(bare))
    body: dict[str, Any] = {"format": "infometis.io/environment/v1"}
    for key in (
        *("preview", "stack_id", "namespace", "platform", "mode"),
        *("values", "patches", "policies", "credentials"),
    ):
        if data[key] != plainest[key]:
            body[key] = data[key]
    if environment.border.type != "none":
        section = data["border"]
        settings = section.pop("settings")
        body["border"] = {
            "type": environment.border.type,
            **{key: each for key, each in section.items() if each != plainest["border"][key]},
            **({environment.border.type: settings} if settings else {}),
        }
    for patch in body.get("patches", ()):
        patch.pop("origin", None)
    head = "# A preview, made by 'infometis preview create'; no file to be committed.\n"
    path.write_text(head + dump_yaml(body), encoding="utf-8")


def destroy_preview(workspace: Workspace, name: str, of: str, run: Run | None = None) -> None:
    """Remove a preview with its data; see :meth:`.Workspace.destroy_preview`."""
    _destroy(workspace, preview_of(workspace, name, of), run or Run.within(_UP))


def _destroy(workspace: Workspace, environment: Environment, run: Run) -> None:
    stack = _stack(workspace, environment)
    stack.down(delete_data=True, reason="the preview ends", run=run)
    stack.abandon(reason="the preview ends")
    if workspace.project.root is not None:
        _file(workspace.project.root, environment.name).unlink(missing_ok=True)


def destroy_expired(
    workspace: Workspace, of: str, run: Run | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove every preview on the cluster of an environment whose time is over.

    Also those that another machine made: their namespaces say when they expire.

    Args:
        workspace: of the project.
        of: the environment whose cluster is looked at.
        run: deadline, events, cancel token.

    Returns:
        Names of those that were removed, and what went wrong with others.

    Raises:
        ClusterError: the API server does not answer, or not to us.

    """
    run = run or Run.within(_UP)
    gone, wrong = [], []
    for name, namespace in _expired(workspace, of, run):
        try:
            _destroy(
                workspace, attrs.evolve(preview_of(workspace, name, of), namespace=namespace), run
            )
        except InfometisError as error:
            run.check(f"removing {name}")
            wrong.append(f"{name}: {error.message}")
        else:
            gone.append(name)
    return tuple(gone), tuple(wrong)


def _expired(workspace: Workspace, of: str, run: Run) -> Iterator[tuple[str, str]]:
    """Yield name and namespace of this project's previews whose time is over."""
    cluster = workspace[of]._cluster(run)  # noqa: SLF001 - the stack's own door
    project, now = workspace.project, _now()
    stem = derived_stack_id(project, Environment("x")).removesuffix("x")
    for space in cluster.list("v1", "Namespace", run, labels=STACK):
        meta = space["metadata"]
        text = (meta.get("annotations") or {}).get(EXPIRES, "")
        stack_id = meta["labels"][STACK]
        name = stack_id.removeprefix(stem)
        if not text or meta.get("deletionTimestamp") or not stack_id.startswith(stem):
            continue
        if derived_stack_id(project, Environment(name)) != stack_id:
            continue
        try:
            over = dt.datetime.fromisoformat(text) <= now
        except (ValueError, TypeError):
            continue
        if over:
            yield name, meta["name"]
