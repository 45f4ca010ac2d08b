"""Makes a volume for each claim of our StorageClasses, grows it and removes it.

The volumes are simulated, as the containers are that would mount them:
a PersistentVolume object is all there is.
The protocol is that of every external provisioner:
the volume controller writes the name of the provisioner on a pending claim,
the scheduler writes the node of its first consumer, and binding is the controller's again.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from infometis_platform_embedded.api import Api, ApiError
from infometis_platform_embedded.daemon.refusal import refuse
from infometis_platform_embedded.layout import Layout, read_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ("PROVISIONER", "Provisioner", "serve", "volume_for")

PROVISIONER = "embedded.infometis.io/simulated"
_ASKED = "volume.kubernetes.io/storage-provisioner"
_NODE = "volume.kubernetes.io/selected-node"
_BY = "pv.kubernetes.io/provisioned-by"
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_VOLUMES = "/api/v1/persistentvolumes"
_CLAIMS = "/api/v1/persistentvolumeclaims"
_WATCH_SECONDS = 300
_RETRY_SECONDS = 1.0

Object = dict[str, Any]


def serve(state_dir: Path) -> int:
    """Provision until killed."""
    layout = Layout(state_dir)
    ports = read_json(layout.plan)["ports"]
    threading.Thread(target=refuse, args=(int(ports["refusal"]), layout.pki), daemon=True).start()

    def connect() -> Api:
        return Api(port=int(ports["api"]), pki=layout.pki, user="provisioner")

    volumes = Provisioner(connect())
    threading.Thread(
        target=_follow, args=(connect(), _VOLUMES, volumes.on_volume), daemon=True
    ).start()
    claims = Provisioner(connect())
    _follow(connect(), _CLAIMS, claims.on_claim)
    return 0


def _follow(api: Api, path: str, act: Callable[[Object], None]) -> None:
    """List, then watch, for ever; a refusal of one object never holds up the others."""
    while True:
        try:
            listed = api.get(path)
            for item in listed.get("items", ()):
                _try(act, item)
            version = str(listed["metadata"]["resourceVersion"])
            for event in api.watch(path, version, _WATCH_SECONDS):
                if event["type"] == "ERROR":
                    break
                if event["type"] in ("ADDED", "MODIFIED"):
                    _try(act, event["object"])
        except (OSError, http.client.HTTPException, ApiError, ValueError, KeyError) as error:
            _say(f"{path}: {error}")
            api.close()
        time.sleep(_RETRY_SECONDS)


def _try(act: Callable[[Object], None], item: Object) -> None:
    try:
        act(item)
    except ApiError as error:
        if not (error.conflict or error.not_found):  # it moved: its next event tells
            _say(str(error))


def _say(text: str) -> None:
    sys.stderr.write(f"provisioner: {text}\n")
    sys.stderr.flush()


class Provisioner:
    """What happens on each event of a claim or a volume; every step may be repeated."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def on_claim(self, claim: Object) -> None:
        """Provision for a pending claim; grow the volume of a bound one that asks for more."""
        if claim["metadata"].get("deletionTimestamp"):
            return
        annotations = claim["metadata"].get("annotations", {})
        if annotations.get(_ASKED) != PROVISIONER:
            return
        if claim.get("status", {}).get("phase") == "Pending" and not claim["spec"].get(
            "volumeName"
        ):
            self._provision(claim, annotations.get(_NODE, ""))
        elif claim.get("status", {}).get("phase") == "Bound":
            self._grow(claim)

    def on_volume(self, volume: Object) -> None:
        """Remove a volume whose claim has gone, where its class says so."""
        ours = volume["metadata"].get("annotations", {}).get(_BY) == PROVISIONER
        released = volume.get("status", {}).get("phase") == "Released"
        if (
            ours
            and released
            and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
            and not volume["metadata"].get("deletionTimestamp")
        ):
            self._api.delete(f"{_VOLUMES}/{volume['metadata']['name']}")

    def _provision(self, claim: Object, node: str) -> None:
        storage_class = self._api.get(f"{_CLASSES}/{claim['spec']['storageClassName']}")
        if storage_class["provisioner"] != PROVISIONER:
            return
        waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        if waits and not node:
            return
        self._api.create(_VOLUMES, volume_for(claim, storage_class))

    def _grow(self, claim: Object) -> None:
        """Simulate the resize: the volume first, then what the claim says it has."""
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        if wanted == claim.get("status", {}).get("capacity", {}).get("storage"):
            return
        name, namespace = claim["metadata"]["name"], claim["metadata"]["namespace"]
        capacity = {"storage": wanted}
        self._api.patch(
            f"{_VOLUMES}/{claim['spec']['volumeName']}", {"spec": {"capacity": capacity}}
        )
        self._api.patch(
            f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}/status",
            {
                "status": {
                    "capacity": capacity,
                    "allocatedResources": None,
                    "allocatedResourceStatuses": None,
                    "conditions": None,
                }
            },
        )


def volume_for(claim: Object, storage_class: Object) -> Object:
    """Return the volume for a claim; its name makes a second one impossible."""
    meta, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{meta['uid']}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_BY: PROVISIONER}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            # nothing is ever made there: no container runs that could look
            "hostPath": {"path": f"/nonexistent/{name}"},
            "mountOptions": storage_class.get("mountOptions", []),
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
        },
    }
