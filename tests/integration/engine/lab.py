"""A stack of one's own on the genuine API server, driven without the command line."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.conftest import required
from yaml import safe_load as load_yaml

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.apply import apply
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.drift import drift
from infometis_sdk.engine.objects.marks import STACK, manager_of
from infometis_sdk.engine.plan import Consent, digest_of, plan
from infometis_sdk.engine.render import render
from infometis_sdk.engine.teardown import plan_teardown, tear_down
from infometis_sdk.errors import ApplyError, NotFoundError, SecretError, UnknownKindError
from infometis_sdk.model.environment import DriftPolicy, Environment, IsolationPolicy, Policies
from infometis_sdk.model.project import Project
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.service import Service
from infometis_sdk.ports.cluster import Write
from infometis_sdk.workspace.materials import materials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from infometis_sdk.model.plan import Plan, PlanItem
    from infometis_sdk.model.report import ApplyReport, DriftReport
    from infometis_sdk.model.secret import Secret, SecretRef
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

MINUTE = 60.0
OPEN = Policies(network=IsolationPolicy(mode="open"))
"""Tests of a lab count objects: those of the trust boundary have tests of their own."""


class Lab:
    """One stack: its project is built in code, its namespace is its own.

    Attributes:
        cluster: the door; replaced by tests that put a proxy in between.
        environment: changed by tests through :func:`attrs.evolve`.

    """

    def __init__(self, access: Access, name: str) -> None:
        self.access = access
        self.cluster: Cluster = open_cluster(access)
        self.name = name
        self.namespace = name
        self.environment = Environment("dev", namespace=name, stack_id=name, policies=OPEN)

    # --- the way from services to a cluster ---------------------------------------------------

    def render(self, *services: Service, **values: Mapping[str, Any]) -> ManifestSet:
        """Return what these services want; ``values`` by service."""
        project = Project(
            name=self.name, id=self.name, services={s.name: s for s in services}, values=values
        )
        return render(compose(project, self.environment))

    def plan(
        self,
        wanted: ManifestSet,
        *,
        only: Sequence[str] = (),
        adopt: Iterable[str] = (),
        data_loss: Iterable[str] = (),
        pinned: str = "",
    ) -> Plan:
        """Plan."""
        return plan(
            self.cluster,
            wanted,
            Run.within(MINUTE),
            only=only,
            consent=Consent(adopt=adopt, data_loss=data_loss),
            pinned=pinned,
        )

    def apply(
        self, made: Plan, wanted: ManifestSet, *, run: Run | None = None, **options: Any
    ) -> ApplyReport:
        """Apply a plan."""
        return apply(
            self.cluster,
            made,
            materials(wanted, None, self._in_cluster),
            run or Run.within(MINUTE, emit=self._let_quotas_count),
            **options,
        )

    def _let_quotas_count(self, event: Event) -> None:
        """Wait after a quota until its controller has counted: before that it forbids nothing."""
        if event.subject == "ResourceQuota/infometis":
            self.until(lambda: "hard" in self.quota().get("status", {}), "the quota to count")

    def up(self, wanted: ManifestSet, **options: Any) -> ApplyReport:
        """Plan and apply."""
        return self.apply(self.plan(wanted, **options), wanted)

    def settled(self, wanted: ManifestSet) -> None:
        """Demand that nothing is left to do and that nothing drifted."""
        made = self.plan(wanted)
        assert made.empty, str(made)
        found = self.drift(wanted)
        assert not found.items, str(found)

    def settled_but_foreign(self, wanted: ManifestSet) -> None:
        """Demand that nothing is left to do, whatever others added."""
        made = self.plan(wanted)
        assert made.empty, str(made)
        found = self.drift(wanted)
        assert {i.state for i in found.items} == {"foreign"}, str(found)

    def fails(self, wanted: ManifestSet, **options: Any) -> ApplyError:
        """Plan and apply in vain."""
        with pytest.raises(ApplyError) as caught:
            self.up(wanted, **options)
        return caught.value

    @staticmethod
    def run() -> Run:
        """Return a run of a minute."""
        return Run.within(MINUTE)

    @staticmethod
    def unblocked(made: Plan) -> Plan:
        """Return a plan as if nothing had been known against it."""
        items = tuple(attrs.evolve(i, problems=()) for i in made.items)
        bare = attrs.evolve(made, items=items, problems=())
        return attrs.evolve(bare, digest=digest_of(bare))

    def as_guest(self) -> None:
        """Live in a namespace that is not the stack's own, which therefore stays."""
        self.kubectl("create", "namespace", self.namespace)
        self.environment = attrs.evolve(self.environment, mode="shared")

    # --- surroundings -------------------------------------------------------------------------

    def with_quota(self, hard: Mapping[str, str]) -> Environment:
        """Return the environment with a quota."""
        return attrs.evolve(self.environment, policies=attrs.evolve(OPEN, resource_quota=hard))

    def forcing(self) -> Environment:
        """Return the environment with the policy that takes foreign additions away."""
        drift = DriftPolicy(foreign="remove")
        return attrs.evolve(self.environment, policies=attrs.evolve(OPEN, drift=drift))

    def quota(self) -> Mapping[str, Any]:
        """Return the stack's live quota."""
        return self.must_get(self.ref("ResourceQuota", "infometis"))

    def raise_quota(self, value: str, what: str = "count/deployments.apps") -> bool:
        """Change the live quota, or make one, and wait until it counts."""
        ref = self.ref("ResourceQuota", "infometis")
        body = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "infometis", "namespace": self.namespace},
            "spec": {"hard": {what: value}},
        }
        self.write("apply", body, self.manager, force=True)
        self.until(
            lambda: self.must_get(ref).get("status", {}).get("hard", {}).get(what) == value,
            "the quota to count",
        )
        return False

    def as_service_account(self, rules: Sequence[Mapping[str, Any]]) -> Lab:
        """Return the same stack as a ServiceAccount with a Role in its namespace sees it."""
        account = f"guest-{secrets.token_hex(3)}"
        meta = {"name": account, "namespace": self.namespace}
        rbac = "rbac.authorization.k8s.io"
        subject = {"kind": "ServiceAccount", **meta}
        for obj in (
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": list(rules)},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "RoleBinding",
                "metadata": meta,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": account},
                "subjects": [subject],
            },
        ):
            self.write("create", obj, "kubectl")
        token = self._token(account)
        kubeconfig = self.access.kubeconfig
        assert kubeconfig is not None
        data = load_yaml(kubeconfig.read_text(encoding="utf-8"))
        data["users"] = [{"name": user["name"], "user": {"token": token}} for user in data["users"]]
        path = kubeconfig.with_name(f"{account}.kubeconfig")
        path.touch(mode=0o600)
        path.write_text(json.dumps(data), encoding="utf-8")
        guest = Lab(attrs.evolve(self.access, kubeconfig=path), self.name)
        guest.environment = self.environment
        return guest

    def _token(self, account: str) -> str:
        """Return a token of a ServiceAccount (TokenRequest, a subresource of it)."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        ref = self.ref("ServiceAccount", account)
        made = self.write("create", ref, "kubectl", body=request, subresource="token")
        return str(made["status"]["token"])

    def on(self, access: Access) -> Lab:
        """Return the same stack as it is on another cluster."""
        other = Lab(access, self.name)
        other.environment = self.environment
        return other

    def until(self, condition: Callable[[], bool], what: str, seconds: float = MINUTE) -> None:
        """Wait until something is so."""
        run = Run.within(seconds)
        while not condition():
            run.sleep(0.1, f"waiting for {what}")

    def until_bound(self, claim: ObjectRef) -> None:
        """Wait until a claim has its volume: before that others write to it, and plans go stale."""

        def bound() -> bool:
            return ((self.get(claim) or {}).get("status") or {}).get("phase") == "Bound"

        self.until(bound, f"{claim} to be bound")

    @staticmethod
    def json(data: Any) -> str:
        """Write JSON."""
        return json.dumps(data)

    def drift(self, wanted: ManifestSet) -> DriftReport:
        """Look for drift."""
        return drift(self.cluster, wanted, Run.within(MINUTE))

    def down(
        self, wanted: ManifestSet, *, delete_data: bool = False, pinned: str = ""
    ) -> ApplyReport:
        """Take the stack down."""
        run = Run.within(MINUTE)
        made = plan_teardown(self.cluster, wanted, run, delete_data=delete_data, pinned=pinned)
        return tear_down(self.cluster, made, run, delete_data=delete_data)

    def _in_cluster(self, ref: SecretRef) -> Secret:
        msg = f"no source {ref}"
        raise SecretError(msg, reference=str(ref))

    @property
    def manager(self) -> str:
        """The stack's field manager."""
        return manager_of(self.name)

    # --- looking and meddling -----------------------------------------------------------------

    def ref(self, kind: str, name: str, version: str = "v1", *, scoped: bool = True) -> ObjectRef:
        """Name an object of the stack's namespace, or of the cluster."""
        namespace = self.namespace if scoped else ""
        return ObjectRef(api_version=version, kind=kind, namespace=namespace, name=name)

    def get(self, ref: ObjectRef) -> Mapping[str, Any] | None:
        """Return a live object."""
        return self.cluster.get(ref, Run.within(MINUTE))

    def must_get(self, ref: ObjectRef) -> Mapping[str, Any]:
        """Return a live object that has to be there."""
        found = self.get(ref)
        assert found is not None, f"{ref} is not there"
        return found

    def write(
        self, verb: str, obj: Mapping[str, Any] | ObjectRef, manager: str, **options: Any
    ) -> Mapping[str, Any]:
        """Write as somebody else."""
        ref = obj if isinstance(obj, ObjectRef) else ObjectRef.of(obj)
        options.setdefault("body", None if isinstance(obj, ObjectRef) else obj)
        written = self.cluster.write(
            Write(verb=verb, ref=ref, manager=manager, **options), Run.within(MINUTE)
        )
        return written.object

    def patch(
        self, ref: ObjectRef, body: Any, manager: str = "kubectl-patch", **options: Any
    ) -> None:
        """Merge-patch as somebody else."""
        self.write("merge-patch", ref, manager, body=body, **options)

    def labelled(self) -> set[tuple[str, str, str]]:
        """Return kind, namespace and name of everything in the cluster that carries our label.

        Every kind that the API server serves is asked: this is the scan that no inventory steers.
        """
        found = set()
        for version, kind in served(self.cluster):
            try:
                objects = self.cluster.list(
                    version,
                    kind,
                    Run.within(MINUTE),
                    labels=f"{STACK}={self.name}",
                    metadata_only=True,
                )
            except UnknownKindError:
                continue  # its definition has just gone
            for obj in objects:
                meta = obj["metadata"]
                if meta.get("deletionTimestamp") or kind in ("Endpoints", "EndpointSlice"):
                    continue  # the latter have a copy of their Service's labels
                found.add((kind, meta.get("namespace", ""), meta["name"]))
        return found

    def members(self) -> set[tuple[str, str, str]]:
        """Return :meth:`labelled` without our own bookkeeping."""
        return {
            (kind, space, name)
            for kind, space, name in self.labelled()
            if kind != "Lease"
            and not (kind == "ConfigMap" and name.startswith(f"infometis-{self.name}"))
            and not (kind == "Secret" and name == f"infometis-{self.name}-key")
        }

    def kubectl(self, *words: str, **environ: str) -> str:
        """Run the genuine kubectl on the stack's namespace.

        Its managers, its merges and its edits are what people do to a stack, so nothing stands in
        for it. Any version does; Debian's is 1.20.
        """
        if shutil.which("kubectl") is None and not required():
            pytest.skip("no kubectl on PATH to meddle with")
        kubeconfig = self.access.kubeconfig
        assert kubeconfig is not None
        done = subprocess.run(
            ("kubectl", "--namespace", self.namespace, *words),
            env={**os.environ, "KUBECONFIG": str(kubeconfig), **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=MINUTE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def served(cluster: Cluster) -> list[tuple[str, str]]:
    """Return every kind that can be listed and deleted, in its preferred version."""
    run = Run.within(MINUTE)
    groups = json.loads(cluster.read("/apis", run))["groups"]
    paths = ["/api/v1", *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in groups)]
    found = []
    for path in paths:
        try:
            answer = json.loads(cluster.read(path, run))
        except NotFoundError:
            continue  # the list of groups lags behind a definition that has just gone
        found += [
            (answer["groupVersion"], entry["kind"])
            for entry in answer["resources"]
            if "/" not in entry["name"] and {"list", "delete"} <= set(entry["verbs"])
        ]
    return found


def raw(name: str, *objects: Mapping[str, Any], needs: Sequence[str] = ()) -> Service:
    """Return a service of raw manifests."""
    return Service(name=name, manifests=objects, needs=needs)


def config_map(name: str, **data: str) -> dict[str, Any]:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> dict[str, Any]:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def deployment(name: str, *, replicas: int | None = 1, app: str = "", **pod: Any) -> dict[str, Any]:
    """Return a small Deployment."""
    labels = {"app": app or name}
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "main", "image": "example/app:1"}], **pod},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": spec,
    }


def custom_kind(kind: str, group: str) -> dict[str, Any]:
    """Return a CustomResourceDefinition of a kind that takes anything."""
    plural = kind.lower() + "s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def actions(made: Plan) -> dict[str, str]:
    """Return object to action."""
    return {str(item.ref): item.action for item in made.items}


def item(made: Plan, ref: str) -> PlanItem:
    """Return the item about ``Kind/name``."""
    found = [i for i in made.items if str(i.ref) == ref]
    assert len(found) == 1, f"{ref} is not one item of {actions(made)}"
    return found[0]
