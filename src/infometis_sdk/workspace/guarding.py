"""Bringing a stack back to its latest Release: once, or for as long as a guard runs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import attrs

from infometis_sdk._adapters.secret_sources import resolver
from infometis_sdk.errors import ApplyError, RefusedError, WrongClusterError
from infometis_sdk.model.guard import GuardNote
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infometis_sdk.engine.reading.standing import Standing
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.report import ApplyReport
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.notifier import Notifier
    from infometis_sdk.workspace.stack import Stack

__all__ = ("carry_out", "deployed", "guard_stack", "heal_stack", "notifiers_of")


def deployed(stack: Stack, standing: Standing, run: Run) -> Stack:
    """Return the stack as its latest Release deployed it.

    Where that keeps no Bundle, or tells only of some services, it is the stack as the project says
    it; then each object's own digest decides whether it is what was deployed.

    Raises:
        StoreError: the Bundle is gone.
        TamperedError: it is not what was recorded.

    """
    release = standing.release
    if release is None or release.mixed or release.scope or not release.bundle_digest:
        return stack
    return stack.at_release(release.number, run=run)


def heal_stack(stack: Stack, cluster: Cluster, run: Run, *, reason: str = "") -> ApplyReport:
    """Bring back what drifted from the latest deployed Release.

    Raises:
        RefusedError: there is no Release to return to, or a newer one is under way.
        WrongClusterError: it is not the cluster the stack lives on.
        ApplyError: some objects could not be healed; ``.report`` says which.

    """
    from infometis_sdk.engine.compose import home_namespace
    from infometis_sdk.engine.drift import drift
    from infometis_sdk.engine.guarding.permission import healable
    from infometis_sdk.engine.heal import Scope, plan_heal
    from infometis_sdk.engine.planning.autoscaling import autoscaled_keys
    from infometis_sdk.engine.reading.named import observe_named
    from infometis_sdk.engine.reading.standing import read_standing

    _same_cluster(stack, cluster, run)
    namespace = home_namespace(stack.workspace.project, stack.environment)
    standing = read_standing(cluster, stack.stack_id, namespace, run)
    if standing.idle:
        msg = f"stack {stack.stack_id} cannot be healed: {standing.idle}"
        raise RefusedError(msg, hint="`infometis releases` tells what is known of it")
    then = deployed(stack, standing, run)
    manifests = then.render()
    policy = stack.environment.policies.drift
    found = drift(cluster, manifests, run)
    run.emit(Event(name="drift", state="finished", detail=found.headline()))
    mine = {item.ref.key for item in found.items if healable(item, policy)}
    spared: dict[tuple[str, str, str, str], set[str]] = {}
    for item in found.items:
        if item.path and not healable(item, policy):
            spared.setdefault(item.ref.key, set()).add(item.path)
    chosen = tuple(m for m in manifests.manifests if m.ref.key in mine)
    subset = attrs.evolve(manifests, manifests=chosen)
    live = observe_named(cluster, subset, run)
    scaled = autoscaled_keys(cluster, manifests, live, run)
    healing = plan_heal(cluster, subset, live, run, scope=Scope(scaled=scaled, spared=spared))
    report = carry_out(
        then, cluster, healing.plan, subset, run, release=standing.number, verb="heal",
        reason=reason,
    )  # fmt: skip
    if report.failed:
        msg = f"{len(report.failed)} objects were not healed: " + "; ".join(
            f"{o.ref}: {o.detail}" for o in report.failed[:5]
        )
        raise ApplyError(msg, report=report, hint="mend the cause and run the same command again")
    names = {manifest.ref.key: str(manifest.ref) for manifest in chosen}
    left = [
        f"{names.get(key, key[-1])} is left as it is: {why}" for key, why in healing.left.items()
    ]
    return attrs.evolve(report, warnings=(*report.warnings, *left))


def _same_cluster(stack: Stack, cluster: Cluster, run: Run) -> None:
    """Refuse another cluster than the one that this machine knows the stack to live on."""
    from infometis_sdk.engine.reading.cluster_identity import cluster_uid, differ

    pinned = stack._pins.read(stack.stack_id).cluster_uid  # noqa: SLF001 - the stack's own
    actual = cluster_uid(cluster, run) if pinned else ""
    if differ(pinned, actual):
        msg = f"this cluster is {actual}, but the stack lives on {pinned}"
        raise WrongClusterError(msg, hint="set the kubeconfig or its context right")


def carry_out(
    stack: Stack,
    cluster: Cluster,
    plan: Plan,
    manifests: ManifestSet,
    run: Run,
    *,
    release: int,
    verb: str,
    reason: str = "",
    patience: float | None = None,
) -> ApplyReport:
    """Carry out the plan of a heal; plugins are told, and the audit has it before and after."""
    from infometis_sdk.engine.heal import heal
    from infometis_sdk.engine.writing.lease import PATIENCE
    from infometis_sdk.workspace.materials import materials

    plugins = stack.workspace.plugins

    def before(plan: Plan) -> None:
        plugins.before_apply(plan)
        action.before(plan)  # last: what a plugin stops was never begun

    with stack.audit.acting(plan, cluster, run, verb=verb, kind="heal", reason=reason) as action:
        report = heal(
            cluster,
            plan,
            manifests,
            materials(
                manifests,
                stack.workspace.project.root,
                stack.in_cluster(cluster, run),
            ),
            action.run,
            release=release,
            patience=PATIENCE if patience is None else patience,
            before=before,
        )
        action.done(report.outcomes, release=report.release)
    warnings = plugins.after_apply(plan, report) if plan.items else ()
    return attrs.evolve(report, warnings=(*report.warnings, *action.warnings, *warnings))


def guard_stack(
    stack: Stack,
    cluster: Cluster,
    run: Run,
    *,
    say: Callable[[GuardNote], None],
    at: Callable[[Standing, Run], Stack],
    listen: str = "",
) -> None:
    """Guard a stack until the run is cancelled.

    Args:
        stack: which one; its environment's policies say what is corrected and who is told.
        cluster: the API.
        run: its cancel token ends the guard.
        say: takes each note.
        at: returns the stack as the latest Release deployed it.
        listen: ``host:port`` for metrics and health; empty for none.

    """
    from infometis_sdk.engine.compose import home_namespace
    from infometis_sdk.engine.guard import Guard, Orders
    from infometis_sdk.engine.guarding.messenger import Messenger

    _same_cluster(stack, cluster, run)
    namespace = home_namespace(stack.workspace.project, stack.environment)
    listeners: list[Callable[[GuardNote], None]] = [say]

    def desired(standing: Standing, run: Run) -> ManifestSet:
        # Only its render is kept: a project may be large.
        return at(standing, run).render()

    def healer(plan: Plan, manifests: ManifestSet, release: int, run: Run) -> ApplyReport:
        return carry_out(
            stack, cluster, plan, manifests, run, release=release, verb="guard", patience=0.0
        )

    def tell(note: GuardNote) -> None:
        for listener in listeners:
            listener(note)

    def trouble(name: str, why: str) -> None:
        say(GuardNote(name="not told", level="warning", subject=name, detail=why))

    guard = Guard(
        Orders(
            cluster=cluster,
            stack_id=stack.stack_id,
            namespace=namespace,
            desired=desired,
            heal=healer,
            say=tell,
        )
    )
    with ExitStack() as open_:
        messenger = Messenger(
            notifiers_of(stack, cluster, run),
            stack_id=stack.stack_id,
            environment=stack.name,
            trouble=trouble,
        )
        listeners.append(open_.enter_context(messenger).say)
        if listen:
            from infometis_sdk._adapters.guard_metrics import serve

            listeners.append(open_.enter_context(serve(listen, lambda: guard.state)))
        guard.run(run)


def notifiers_of(stack: Stack, cluster: Cluster, run: Run) -> Mapping[str, Notifier]:
    """Make the notifiers that the environment names.

    Raises:
        UnknownPluginError: nobody offers one of them.
        ProjectError: the settings of one are wrong.

    """
    from infometis_sdk.ports.notifier import NotifierContext

    resolve = resolver(
        stack.workspace.project.root,
        stack.in_cluster(cluster, run),
    )
    context = NotifierContext(stack_id=stack.stack_id, environment=stack.name, resolve=resolve)
    made = {}
    for index, wanted in enumerate(stack.environment.policies.notify):
        spec, settings = stack.workspace.plugins.notifier(wanted)
        made[f"{spec.name} {index + 1}"] = spec.factory(settings, context)
    return made
