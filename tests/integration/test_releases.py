"""Releases and Bundles on the genuine API server: kept, checked, returned to, refused."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import infometis_sdk as im
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.core.bundle import project_of
from infometis_sdk.engine.objects.marks import BUNDLE_OF
from infometis_sdk.engine.writing.credentials import secret_data
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.engine.writing.release_store import ClusterReleases
from infometis_sdk.errors import (
    ApplyError,
    NotFoundError,
    PlanRefusedError,
    ProjectError,
    RefusedError,
    StalePlanError,
    StoreError,
    TamperedError,
)
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.environment import Policies, ReleasePolicy
from infometis_sdk.model.project import Project
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.release import Release, ServiceRecord
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Credential, Service, Upgrade
from infometis_sdk.ports.cluster import Write
from infometis_sdk.testing.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infometis_sdk.model.report import UpReport
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access
    from infometis_sdk.workspace import Stack

pytestmark = pytest.mark.integration

MINUTE = 60.0
PARTS = "infometis.io/role=release-part"


def store_service(tag: str = "1.0", *, downgrade: str = "allow", **env: str) -> Service:
    """Return a service with a volume and a credential; ``env`` is a core parameter."""
    made = Service.stateful(
        "db", image=f"demo/db:{tag}", port=8080, version=tag, env=env, replicas=1
    )
    return attrs.evolve(
        made,
        upgrade=Upgrade(downgrade=downgrade, why="its files have a newer format"),
        credentials={"admin": Credential(type="password", username="admin")},
    )


class Site:
    """One environment ``dev`` in a namespace of its own, whose project changes over time."""

    def __init__(self, access: Access, name: str, tmp_path: Path) -> None:
        self.access = access
        self.cluster: Cluster = open_cluster(access)
        self.name = name
        self.id = f"rel-{name[-8:]}"
        self.state = tmp_path / "state"
        self.root: Path | None = None
        platform = im.Existing(kubeconfig=str(access.kubeconfig), context=access.context)
        self.environment = im.Environment(
            "dev", platform=platform, namespace=name, stack_id=self.id
        )

    def stack(self, *services: Service, project: Project | None = None, **db: Any) -> Stack:
        """Return the handle for these services; ``db`` are values of the environment."""
        environment = attrs.evolve(self.environment, values={"db": db} if db else {})
        project = project or Project(
            name="demo",
            id="demo-1",
            services={s.name: s for s in services},
            environments={"dev": environment},
            root=self.root,
        )
        return im.Workspace(project, state_dir=self.state)["dev"]

    def get(self, kind: str, name: str, version: str = "v1") -> dict[str, Any]:
        """Return a live object."""
        ref = ObjectRef(api_version=version, kind=kind, namespace=self.name, name=name)
        found = self.cluster.get(ref, Run.within(MINUTE))
        assert found is not None, ref
        return dict(found)

    def write(self, verb: str, kind: str, name: str, body: Any = None) -> None:
        """Change an object behind the SDK's back."""
        ref = ObjectRef(api_version="v1", kind=kind, namespace=self.name, name=name)
        self.cluster.write(Write(verb=verb, ref=ref, body=body, manager="mallory"), Run.within(30))

    def set(self) -> dict[str, Any]:
        """Return the StatefulSet."""
        return self.get("StatefulSet", "db", "apps/v1")

    def versions(self) -> dict[str, str]:
        """Return name and resourceVersion of what is ours, but for status and the Lease."""
        found = {}
        for api, kind in (("v1", "ConfigMap"), ("v1", "Service"), ("apps/v1", "StatefulSet"),
                          ("v1", "Secret"), ("v1", "ServiceAccount")):  # fmt: skip
            for obj in self.cluster.list(api, kind, Run.within(30), namespace=self.name):
                meta = obj["metadata"]
                found[f"{kind}/{meta['name']}"] = str(meta.get("generation", meta["uid"]))
        return found

    def bundles(self) -> list[Mapping[str, Any]]:
        """Return the stored parts of Bundles."""
        labels = f"{BUNDLE_OF}={self.id}"
        return list(
            self.cluster.list("v1", "ConfigMap", Run.within(30), namespace=self.name, labels=labels)
        )

    def release_object(self, number: int) -> dict[str, Any]:
        """Return the object of a Release."""
        return self.get("ConfigMap", f"infometis-{self.id}-release-{number}")


@pytest.fixture
def site(embedded_access: Access, namespace_name: str, tmp_path: Path) -> Site:
    """Give an environment on the genuine API server."""
    return Site(embedded_access, namespace_name, tmp_path)


def up(stack: Stack, **options: Any) -> int:
    """Deploy, wait for nothing, and return the number of the Release."""
    return number_of(stack.up(wait=False, check=False, **options))


def number_of(report: UpReport) -> int:
    """Return the number of the Release that was opened."""
    assert report.apply is not None
    return report.apply.release


def test_the_life_of_releases(  # noqa: PLR0915 - one life, told from its beginning
    site: Site, tmp_path: Path
) -> None:
    """Every apply is recorded whole; a rollback brings back core and values of then."""
    git = ("git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org")
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "x")):
        subprocess.run((*git, *words), check=True)
    site.root = tmp_path
    first = site.stack(store_service(GREETING="one"), memory="64Mi")
    assert up(first, reason="the beginning") == 1
    password = secret_data(site.get("Secret", "db-admin"))["password"].decode()

    [one] = first.releases().items
    assert (one.status, one.mixed, one.scope, one.reason) == (
        "deployed",
        False,
        (),
        "the beginning",
    )
    assert one.bundle == first.bundle().id == first.render().digest
    assert one.services["db"].digest == first.render().digests["db"]
    assert one.services["db"].values["memory"] == "64Mi"
    assert one.services["db"].origins["memory"].layer == "environment"
    assert one.services["db"].origins["cpu"].layer == "base"
    assert one.cluster_uid == site.get("ConfigMap", f"infometis-{site.id}")["data"]["cluster"]
    assert len(one.commit) == 40
    assert not one.dirty
    assert "infometis-sdk" in one.plugins
    assert one.time <= one.ended
    told = one.credentials["db-admin"]
    assert told["from"] == "generated"
    assert told["hmac"].startswith("hmac:")
    stored = zlib.decompress(base64.b64decode(site.release_object(1)["binaryData"]["record"]))
    assert password not in stored.decode()
    assert not first.up(wait=False, check=False).changed
    assert len(first.releases().items) == 1

    (tmp_path / "new.txt").write_text("not committed")
    second = site.stack(store_service("1.1", GREETING="two"), memory="128Mi")
    assert up(second) == 2
    three = site.stack(store_service("1.1", GREETING="two"), memory="256Mi")
    assert up(three) == 3
    known = three.releases()
    assert [r.status for r in known.items] == ["superseded", "superseded", "deployed"]
    assert known.items[1].dirty
    assert known.items[1].bundle == known.items[2].bundle != known.items[0].bundle
    assert known.items[1].bundle_digest == known.items[2].bundle_digest
    assert not known.problems
    # one Bundle for each core, not for each Release
    assert len(site.bundles()) == 2

    assert three.at_release(2).render().digest == known.items[1].bundle
    report = three.rollback(1, check=False, reason="two was worse")
    assert number_of(report) == 4
    pod = site.set()["spec"]["template"]["spec"]["containers"][0]
    assert pod["image"] == "demo/db:1.0"
    assert pod["env"] == [{"name": "GREETING", "value": "one"}]
    assert pod["resources"]["requests"]["memory"] == "64Mi"
    known = three.releases()
    assert [r.status for r in known.items] == ["superseded"] * 3 + ["deployed"]
    assert known.live is not None
    assert (known.live.bundle, known.live.reason) == (known.items[0].bundle, "two was worse")
    # the data and what unlocks it are the same all the while
    assert secret_data(site.get("Secret", "db-admin"))["password"].decode() == password

    assert number_of(three.rollback(check=False)) == 5, "the one before is release 3"
    assert site.set()["spec"]["template"]["spec"]["containers"][0]["image"] == "demo/db:1.1"
    assert three.up(check=False, wait=False).changed is False

    assert not [w for w in three.down(delete_data=True).warnings if "still holds" in w]


def test_nothing_is_left_in_a_namespace_that_is_not_ours(site: Site) -> None:
    """When a guest's last data goes, its Releases and Bundles go too."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": site.name}}
    ref = ObjectRef(api_version="v1", kind="Namespace", name=site.name)
    site.cluster.write(Write(verb="create", ref=ref, body=space, manager="t"), Run.within(30))
    site.environment = attrs.evolve(site.environment, mode="shared")
    stack = site.stack(store_service())
    up(stack)
    assert site.bundles()
    stack.down(delete_data=True)
    left = site.cluster.list("v1", "ConfigMap", Run.within(30), namespace=site.name)
    assert {o["metadata"]["name"] for o in left} <= {"kube-root-ca.crt"}


def test_what_cannot_go_back_is_refused_before_the_first_write(site: Site) -> None:
    """A smaller volume, older software on newer data, what is mixed: nothing at all is written."""
    up(site.stack(store_service("1.0", downgrade="never"), storage="1Gi"))
    up(site.stack(store_service("1.0", downgrade="never"), storage="2Gi"))
    now = site.stack(store_service("2.0", downgrade="never"), storage="2Gi")
    up(now)
    before = site.versions()

    with pytest.raises(PlanRefusedError) as caught:
        now.rollback(1, check=False)
    text = "\n".join(caught.value.plan.blocked)
    assert "db must not go back from version 2.0 to 1.0: its files have a newer format" in text
    assert "db.storage: cannot shrink from 2Gi to 1Gi" in text
    with pytest.raises(PlanRefusedError, match=r"must not go back from version 2\.0"):
        now.rollback(2, check=False)

    other = store_service("2.0", downgrade="never", NEW="yes")
    up(site.stack(other, storage="2Gi"), services=["db"])
    assert [r.mixed for r in now.releases().items] == [False, False, False, True]
    with pytest.raises(RefusedError, match=r"release 4 of stack .* is mixed: it was limited"):
        now.rollback(4)
    with pytest.raises(StoreError, match="there is no release 9"):
        now.rollback(9)
    assert (
        site.versions().keys() - before.keys()
        == {
            f"ConfigMap/infometis-{site.id}-release-4",
            *(f"ConfigMap/{obj['metadata']['name']}" for obj in site.bundles()),
        }
        - before.keys()
    )


def test_a_failed_apply_is_mixed_and_the_way_back_is_the_last_good_one(site: Site) -> None:
    """What failed halfway is marked, is no place to return to, and rollback leads out of it."""
    good = site.stack(store_service())
    up(good)
    wrong = attrs.evolve(
        store_service("1.1"),
        templates={
            **store_service("1.1").templates,
            "zz.yaml.j2": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: zz\n"
            "  labels: {a: '{{ \"b\" }}'}\ndata: {}\n".replace("'{{ \"b\" }}'", "b"),
        },
    )
    bad = site.stack(wrong)
    plan = bad.plan()
    # Somebody fills the namespace between plan and apply: the new object finds no room.
    count = len(site.cluster.list("v1", "ConfigMap", Run.within(30), namespace=site.name))
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": site.name},
        "spec": {"hard": {"count/configmaps": str(count + 2)}},
    }
    site.write("create", "ResourceQuota", "full", quota)
    _await_quota(site)
    with pytest.raises(ApplyError):
        bad.apply(plan)
    failed = bad.releases().items[-1]
    assert (failed.status, failed.mixed) == ("failed", True)
    site.write("delete", "ResourceQuota", "full")
    with pytest.raises(RefusedError, match="mixed: it failed"):
        bad.rollback(failed.number)
    assert number_of(bad.rollback(check=False)) == failed.number + 1
    assert site.set()["spec"]["template"]["spec"]["containers"][0]["image"] == "demo/db:1.0"
    assert good.releases().live.bundle == good.bundle().id  # type: ignore[union-attr]


def _await_quota(site: Site) -> None:
    for event in site.cluster.watch("v1", "ResourceQuota", Run.within(120), namespace=site.name):
        if event.type != "RELIST" and (event.object.get("status") or {}).get("hard"):
            return
        if site.get("ResourceQuota", "full").get("status", {}).get("hard"):
            return


def test_a_full_store_stops_everything_before_the_first_write(site: Site) -> None:
    """Where the Release cannot be kept, nothing of the stack is changed, and the cure is told."""
    up(site.stack(store_service()))
    count = len(site.cluster.list("v1", "ConfigMap", Run.within(30), namespace=site.name))
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": site.name},
        "spec": {"hard": {"count/configmaps": str(count)}},
    }
    site.write("create", "ResourceQuota", "full", quota)
    _await_quota(site)
    before = site.versions()
    with pytest.raises(StoreError, match=r"cannot be kept: .*exceeded quota") as caught:
        up(site.stack(store_service("1.1")))
    assert "ResourceQuota" in caught.value.hint
    assert site.versions() == before
    site.write("delete", "ResourceQuota", "full")
    assert up(site.stack(store_service("1.1"))) == 2


def test_what_was_changed_in_the_cluster_is_refused(site: Site) -> None:
    """One byte of a stored Release or Bundle: refused and named; nothing is planned on it."""
    first = site.stack(store_service())
    up(first)
    second = site.stack(store_service("1.1"))
    up(second)
    old = site.release_object(1)

    # a byte of the record
    record = bytearray(base64.b64decode(old["binaryData"]["record"]))
    record[len(record) // 2] ^= 1
    edited = base64.b64encode(bytes(record)).decode()
    site.write(
        "merge-patch", "ConfigMap", old["metadata"]["name"], {"binaryData": {"record": edited}}
    )
    known = second.releases()
    assert [r.number for r in known.items] == [2]
    assert "release 1 of stack" in known.problems[0]
    with pytest.raises(StoreError, match="there is no sound release 1"):
        second.rollback(1)
    plan = site.stack(store_service("1.2")).plan()
    assert "release 1 of stack" in plan.blocked[0]
    with pytest.raises(PlanRefusedError):
        up(site.stack(store_service("1.2")))

    # its status alone, as a promotion would read it
    data = {"data": old["data"], "binaryData": old["binaryData"]}
    site.write("merge-patch", "ConfigMap", old["metadata"]["name"], data)
    assert not second.releases().problems
    site.write(
        "merge-patch", "ConfigMap", old["metadata"]["name"], {"data": {"status": "deployed"}}
    )
    assert "release 1 of stack" in second.releases().problems[0]
    site.write("merge-patch", "ConfigMap", old["metadata"]["name"], data)

    # the Bundle: it is immutable, so it takes a deletion
    name = next(o["metadata"]["name"] for o in site.bundles()
                if second.releases().items[0].bundle_digest == o["data"]["digest"])  # fmt: skip
    part = site.get("ConfigMap", name)
    evil = json.loads(
        zlib.decompress(base64.b64decode(part["binaryData"]["record"])).split(b"\n")[0]
    )
    evil["services"]["db"]["inputs"]["images"]["main"]["repository"] = "evil/db"
    forged = base64.b64encode(zlib.compress(json.dumps(evil).encode())).decode()
    site.write("delete", "ConfigMap", name)
    with pytest.raises(StoreError, match="is gone from the cluster"):
        second.rollback(1)
    fresh = {**part, "metadata": {k: part["metadata"][k] for k in ("name", "namespace", "labels")}}
    site.write("create", "ConfigMap", name, {**fresh, "binaryData": {"record": forged}})
    with pytest.raises(TamperedError, match="the bundle of release 1"):
        second.rollback(1)
    # A Bundle that hangs together, but is another one, is refused too.
    other = site.stack(store_service("1.3")).bundle()
    forged = base64.b64encode(zlib.compress(other.to_bytes())).decode()
    site.write("delete", "ConfigMap", name)
    site.write("create", "ConfigMap", name, {**fresh, "binaryData": {"record": forged}})
    with pytest.raises(TamperedError, match="the bundle of release 1"):
        second.rollback(1)
    # The next apply of that very Bundle puts it right.
    up(first)
    assert second.at_release(1).bundle().id == first.bundle().id


def test_a_deleted_release_is_missed_and_recorded_anew(site: Site) -> None:
    """The newest one gone: it is told, and the next up writes a new one with the next number."""
    stack = site.stack(store_service())
    up(stack)
    site.write("delete", "ConfigMap", f"infometis-{site.id}-release-1")
    known = stack.releases()
    assert not known.items
    assert known.problems == ("release 1, the newest, is gone from the cluster",)
    assert stack.plan().empty
    assert up(stack) == 2
    assert [r.number for r in stack.releases().items] == [2]


def test_releases_are_pruned_by_policy_but_never_the_live_one(site: Site) -> None:
    """Two are kept, and of Bundles only those that a kept Release needs."""
    policies = Policies(releases=ReleasePolicy(keep=2))
    site.environment = attrs.evolve(site.environment, policies=policies)
    for number in range(1, 5):
        assert up(site.stack(store_service(f"1.{number}"))) == number
    stack = site.stack(store_service("1.4"))
    assert [r.number for r in stack.releases().items] == [3, 4]
    assert {o["data"]["digest"] for o in site.bundles()} == {
        r.bundle_digest for r in stack.releases().items
    }


def test_a_bundle_is_deployed_without_the_tree_that_made_it(site: Site, tmp_path: Path) -> None:
    """The file and an environment are enough, and the very same objects come of it."""
    project = Project(
        name="demo",
        id="demo-1",
        services={"db": store_service(GREETING="hi")},
        environments={"dev": site.environment},
        values={"db": {"env": {"GREETING": "hello"}, "memory": "96Mi"}},
    )
    file = tmp_path / "core.bundle"
    file.write_bytes(site.stack(project=project).bundle().to_bytes())
    bundle = Bundle.from_bytes(file.read_bytes())
    elsewhere = site.stack(project=project_of(bundle, {"dev": site.environment}))
    assert up(elsewhere) == 1
    settled = site.stack(project=project).plan()
    assert settled.empty
    assert not settled.unfinished
    # And in a tree with other services, the Bundle's are deployed.
    other = site.stack(store_service("3.0")).with_bundle(bundle)
    assert other.plan().empty


def test_a_limited_apply_is_mended_by_a_whole_one(site: Site) -> None:
    """Where nothing is left to do but to say that the stack is whole again, that is done."""
    one = store_service()
    two = Service.web("other", image="demo/other:1", port=80)
    stack = site.stack(one, two)
    up(stack)
    moved = site.stack(store_service("1.1"), two)
    assert up(moved, services=["db"]) == 2
    assert moved.releases().items[-1].mixed
    assert moved.plan().empty
    assert up(moved) == 3
    assert not moved.releases().items[-1].mixed
    assert moved.plan().unfinished == ""


def test_a_saved_plan_is_not_recorded_as_something_else(site: Site) -> None:
    """A plan of yesterday's project is refused: its Release would tell of today's."""
    up(site.stack(store_service(), memory="64Mi"))
    plan = site.stack(store_service(), memory="128Mi").plan()
    with pytest.raises(StalePlanError, match="values are others"):
        site.stack(store_service(), memory="96Mi").apply(plan)
    with pytest.raises(StalePlanError, match="core or its values"):
        site.stack(store_service(EXTRA="x"), memory="128Mi").apply(plan)
    assert site.stack(store_service(), memory="128Mi").apply(plan).release == 2


def test_a_secret_in_plain_sight_stays_out_of_bundles(site: Site) -> None:
    """What the project should not hold is not spread further; the report says what that costs."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "raw"},
        "stringData": {"password": "geheim-und-lang"},
    }
    stack = site.stack(Service(name="raw", manifests=[secret]))
    report = stack.up(wait=False, check=False)
    assert report.apply is not None
    assert "release 1 keeps no bundle" in "".join(report.apply.warnings)
    assert site.bundles() == []
    [release] = stack.releases().items
    assert b"geheim" not in release.to_bytes()
    with pytest.raises(StoreError, match="keeps no bundle"):
        stack.at_release(1)
    with pytest.raises(ProjectError, match="Secret/raw has its values in plain sight"):
        stack.bundle()


def test_a_directory_keeps_them_beyond_the_cluster(site: Site, tmp_path: Path) -> None:
    """Copies of all Releases; where those of the cluster are gone, they lead back all the same."""
    site.root = tmp_path
    policies = Policies(releases=ReleasePolicy(keep=1, directory="kept"))
    site.environment = attrs.evolve(site.environment, policies=policies)
    for number in (1, 2, 3):
        assert up(site.stack(store_service(f"1.{number}"))) == number
    stack = site.stack(store_service("1.3"))
    assert [r.number for r in stack.releases().items] == [3]
    store = stack.store(directory=tmp_path / "kept")
    known = store.releases(Run.within(30))
    assert [(r.number, r.status) for r in known.items] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]
    assert known.items[2] == stack.release(3)
    diff = stack.release_diff(1, 3, store=store)
    assert not diff.same_bundle
    found = {change.path: (change.a, change.b) for change in diff.changes}
    assert found["images.main.tag"] == ("1.1", "1.3")
    assert number_of(stack.rollback(1, store=store, check=False)) == 4
    assert site.set()["spec"]["template"]["spec"]["containers"][0]["image"] == "demo/db:1.1"

    # A full disk stops an apply before its first write.
    before = site.versions()
    kept = tmp_path / "kept" / site.id / "releases"
    kept.rename(tmp_path / "aside")
    kept.write_text("no directory")
    with pytest.raises(StoreError, match="cannot be read"):
        up(site.stack(store_service("1.5")))
    assert site.versions() == before
    # A new cluster does not begin again at 1 where the directory knows more.
    kept.unlink()
    (tmp_path / "aside").rename(kept)
    stack.down(delete_data=True)
    assert up(site.stack(store_service("1.5"))) == 5


def test_large_records_are_split(site: Site) -> None:
    """What outgrows an object is spread over several, read back whole, and none is left over."""
    stack = site.stack(store_service())
    up(stack)
    run = Run.within(MINUTE)
    bundle = stack.bundle()
    record = ServiceRecord(version="1", values={f"key{n}": f"{n * 7919:x}" for n in range(500)})
    release = Release(
        number=2,
        status="pending",
        stack_id=site.id,
        services={"db": record},
        bundle=bundle.id,
        bundle_digest=bundle.digest,
    )
    with Writer(site.cluster, site.id, site.name, run) as writer:
        store = ClusterReleases(site.cluster, site.id, site.name, writer, chunk=512)
        store.add(release, bundle, run)
        store.save(attrs.evolve(release, status="deployed"), run)
        store.remove((), run)
        [_, found] = store.releases(run).items
        assert found == attrs.evolve(release, status="deployed")
        assert store.bundle(found, run) == bundle
        names = [o["metadata"]["name"] for o in site.cluster.list(
            "v1", "ConfigMap", run, namespace=site.name, labels=PARTS)]  # fmt: skip
        assert len(names) > 3
        assert len({name.rsplit("-", 2)[1] for name in names}) == 1, "of one digest only"
        store.remove((2,), run)
        assert [r.number for r in store.releases(run).items] == [1]
    with pytest.raises((StoreError, NotFoundError)):
        ClusterReleases(site.cluster, site.id, site.name).save(release, run)


PROJECT = "format: infometis.io/project/v1\nname: demo\nid: demo-1\nservices: {web: {}}\n"
WEB = "format: infometis.io/service/v1\nname: web\nversion: '1'\n"
TEMPLATE = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ name }}\ndata:\n  text: NUMBER\n"


class Killer(FaultProxy):
    """Kills the process that writes, right after so many writes, before it is told."""

    left = 0
    victim: subprocess.Popen[bytes] | None = None

    def saw(self, verb: str, target: str, headers: Mapping[str, str], status: int) -> None:
        """See :meth:`FaultProxy.saw`."""
        if verb != "GET" and "dryRun" not in target:
            self.left -= 1
            if self.left == 0 and self.victim is not None:
                self.victim.kill()
        super().saw(verb, target, headers, status)


def test_killed_at_any_write_the_books_stay_whole(site: Site, tmp_path: Path) -> None:
    """SIGKILL after each write in turn: what is kept can be read, and the next run ends it."""
    environment = {"format": "infometis.io/environment/v1", "stack_id": site.id,
                   "namespace": site.name, "policies": {"releases": {"keep": 2}}}  # fmt: skip
    files = {"infometis.yaml": PROJECT, "services/web/service.yaml": WEB}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "environments").mkdir()
    (tmp_path / "services/web/templates").mkdir()

    def project(access: Access, number: int) -> Stack:
        """Write the project's next state, reached through ``access``."""
        settings = {"kubeconfig": str(access.kubeconfig), "context": access.context}
        data = {**environment, "platform": {"type": "existing", **settings}}
        (tmp_path / "environments/dev.yaml").write_text(json.dumps(data))
        template = TEMPLATE.replace("NUMBER", f'"{number}"')
        (tmp_path / "services/web/templates/web.yaml.j2").write_text(template)
        return im.Workspace(Project.load(tmp_path), state_dir=site.state)["dev"]

    up(project(site.access, 0))
    command = (sys.executable, "-m", "infometis_sdk", "-C", str(tmp_path), "up", "-q", "--no-wait")
    environ = {**os.environ, "INFOMETIS_STATE_DIR": str(site.state)}
    with Killer(site.access) as proxy:
        killed, number = True, 0
        while killed:
            number += 1
            project(proxy.access, number)
            proxy.left = number
            proxy.victim = subprocess.Popen(
                command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            killed = proxy.victim.wait(MINUTE) == -signal.SIGKILL
            stack = project(site.access, number)
            assert stack.releases().problems == (), number
            if killed:
                up(stack)
            known = stack.releases()
            assert not known.problems
            assert known.live == known.items[-1]
            assert stack.store().bundle(known.items[-1], Run.within(30)).id == stack.bundle().id
            assert [r.status for r in known.items].count("deployed") == 1
            assert "pending" not in [r.status for r in known.items]
            assert not stack.plan().unfinished
    assert number > 6, "several writes were survived"
    assert {o["data"]["digest"] for o in site.bundles()} == {r.bundle_digest for r in known.items}
