"""The border of a stack: who renders it, and whether what it publishes answers as promised."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from infometis_sdk._adapters.development_ca import Authority, authority, certificate
from infometis_sdk._adapters.knock import knock
from infometis_sdk._adapters.secret_sources import resolver
from infometis_sdk.engine.border.reach import published_ports
from infometis_sdk.engine.border.scene import Publisher, scene_of
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.writing.credentials import SOURCED
from infometis_sdk.errors import ProjectError, RefusedError, SecretError
from infometis_sdk.machine import judge_authorities, judge_certificate
from infometis_sdk.ports.border import BorderChecks, BorderVerify, Reach
from infometis_sdk.ports.platform import HostPorts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infometis_sdk.model.border_report import BorderReport, Proof
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.secret import Secret, SecretRef
    from infometis_sdk.model.stack import BoundCredential, ManifestSet
    from infometis_sdk.ports.border import Scene
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Finding
    from infometis_sdk.workspace.stack import Stack

__all__ = (
    "answering",
    "border_findings",
    "given_sources",
    "keep_certificate",
    "publisher_of",
    "refuse_a_border_that_cannot_work",
    "trusted_authority",
    "verify_border",
)


def publisher_of(stack: Stack) -> Publisher | None:
    """Return who renders the border of a stack; ``None`` where it has none.

    Raises:
        UnknownPluginError, PluginLoadError: nobody offers the adapter, or it is broken.
        ProjectError: its settings are wrong.

    """
    border = stack.environment.border
    if border.type == "none":
        return None
    try:
        spec, settings = stack.workspace.plugins.border(border)
    except ProjectError as error:
        sources, own = stack.environment.sources, stack.environment.origin
        faults = [attrs.evolve(f, origin=sources.get(f.path, own)) for f in error.faults]
        raise ProjectError(faults) from None
    platform = stack.platform
    return Publisher(
        name=spec.name,
        adapter=spec.factory(),
        settings=settings,
        capabilities=platform.capabilities,
        host_ports=platform.host_ports() if isinstance(platform, HostPorts) else {},
        certificates=str(_folder(stack)),
    )


def _folder(stack: Stack) -> Path:
    return stack.workspace.state_dir / "certificates" / stack.stack_id


# --- certificates -----------------------------------------------------------------------------


def trusted_authority(stack: Stack) -> Authority:
    """Return the development authority of a stack's domain, made where there is none yet.

    Raises:
        RefusedError: the environment's certificates come from elsewhere.

    """
    border = stack.environment.border
    if border.type == "none" or border.tls.source != "development":
        msg = f"the certificates of {stack.name} come from no development authority"
        raise RefusedError(msg, hint="border: {type: …, tls: {source: development}}")
    return authority(stack.workspace.state_dir, border.domain)


def keep_certificate(stack: Stack, manifests: ManifestSet) -> None:
    """Make or renew the certificate of a development authority, where the border wants one."""
    border = stack.environment.border
    if border.type == "none" or border.tls.source != "development":
        return
    for bound in manifests.credentials:
        if bound.credential.type == "certificate" and bound.credential.hosts:
            certificate(
                stack.workspace.state_dir,
                border.domain,
                bound.credential.hosts,
                Path(bound.sources["tls.crt"].target).parent,
            )


def given_sources(
    stack: Stack, manifests: ManifestSet, in_cluster: Callable[[SecretRef], Secret]
) -> dict[str, dict[str, str]]:
    """Return what the sources of Secrets say that follow them, as far as they can be asked here.

    A source that cannot be asked, since it is known elsewhere only, changes nothing.
    """
    resolve = resolver(stack.workspace.project.root, in_cluster)
    given = {}
    for bound in manifests.credentials:
        if bound.credential.type not in SOURCED:
            continue
        with contextlib.suppress(SecretError):
            given[bound.secret] = {
                name: resolve(source).reveal() for name, source in bound.sources.items()
            }
    return given


# --- before an apply --------------------------------------------------------------------------


def border_findings(
    stack: Stack, manifests: ManifestSet, cluster: Cluster, run: Run
) -> tuple[Finding, ...]:
    """Return what is there, what is lacking, what expires: in the cluster and among the sources."""
    found = _scene(stack)
    if found is None:
        return ()
    publisher, scene = found
    given = given_sources(stack, manifests, stack.in_cluster(cluster, run))
    judged = (
        finding
        for bound in manifests.credentials
        if bound.secret in given
        for finding in _judged(bound, given[bound.secret], scene)
    )
    if not isinstance(publisher.adapter, BorderChecks):
        return tuple(judged)
    return (*publisher.adapter.check(scene, cluster, run), *judged)


def _judged(bound: BoundCredential, given: Mapping[str, str], scene: Scene) -> tuple[Finding, ...]:
    """Judge certificates that somebody gave; those of the development authority are ours."""
    where, now = ", ".join(map(str, bound.sources.values())), dt.datetime.now(dt.UTC)
    if bound.credential.type == "authorities":
        return judge_authorities(where, given["ca.crt"].encode(), now)
    if bound.credential.type != "certificate" or scene.border.tls.source == "development":
        return ()
    ended = [route for route in scene.routes if route.tls == "terminate" and route.host]
    hosts = [host for r in ended for host in (r.host, *(m.host for m in r.members))]
    pair = given["tls.crt"].encode(), given["tls.key"].encode()
    return judge_certificate(where, *pair, list(dict.fromkeys(hosts)), now)


def refuse_a_border_that_cannot_work(
    stack: Stack, manifests: ManifestSet, cluster: Cluster, run: Run
) -> None:
    """Refuse changes whose border rests on what is not there, before the first write.

    Raises:
        RefusedError: everything that is lacking, each with its cure.

    """
    bad = [
        each for each in border_findings(stack, manifests, cluster, run) if each.level == "error"
    ]
    if bad:
        lines = [f"  - {each.check}: {each.detail}; {each.cure}".rstrip("; ") for each in bad]
        msg = "\n".join((f"the border of {stack.name} cannot work", *lines))
        raise RefusedError(msg, hint="nothing was changed")


# --- from outside -----------------------------------------------------------------------------


def verify_border(stack: Stack, run: Run) -> BorderReport:
    """Prove from outside that every route answers as promised; see :meth:`.Stack.verify_border`."""
    from infometis_sdk.model.border_report import BorderReport

    border = stack.environment.border
    report = BorderReport(environment=stack.name, adapter=border.type)
    found = _scene(stack)
    if found is None:
        return report
    publisher, scene = found
    if stack.simulated:
        return attrs.evolve(report, proofs=_unproven(scene, "containers are simulated here"))
    if not isinstance(publisher.adapter, BorderVerify):
        why = f"the adapter {publisher.name} proves nothing by itself"
        return attrs.evolve(report, proofs=_unproven(scene, why))
    cluster = stack.cluster(run)
    reach = _reach(stack, cluster, run)
    return attrs.evolve(report, proofs=publisher.adapter.verify(scene, cluster, reach, run))


def answering(stack: Stack, run: Run) -> dict[str, str]:
    """Return the URLs of routes that somebody answers; see :meth:`.Stack.urls`."""
    found = _scene(stack)
    if found is None or stack.simulated:
        return {}
    _, scene = found
    reach = _reach(stack, stack.cluster(run), run)
    closed = parallel(lambda route: knock(route, reach, run), scene.routes, run, "knocking")
    return {
        route.name: route.url for route, why in zip(scene.routes, closed, strict=True) if not why
    }


def _scene(stack: Stack) -> tuple[Publisher, Scene] | None:
    composed = stack.compose()
    publisher: Publisher | None = composed.publisher
    return None if publisher is None else (publisher, scene_of(composed))


def _unproven(scene: Scene, why: str) -> tuple[Proof, ...]:
    from infometis_sdk.model.border_report import Proof

    return tuple(
        Proof(route=route.name, what="status", state="unproven", detail=why, url=route.url)
        for route in scene.routes
    )


def _reach(stack: Stack, cluster: Cluster, run: Run) -> Reach:
    border = stack.environment.border
    development = border.tls.source == "development"
    platform = stack.platform
    return Reach(
        ports=published_ports(
            cluster,
            stack.render(),
            platform.host_ports() if isinstance(platform, HostPorts) else {},
            run,
        ),
        authorities=trusted_authority(stack).certificate if development else None,
        resolve=resolver(stack.workspace.project.root, stack.in_cluster(cluster, run)),
    )
