"""A border on the bench: what is rendered, in a genuine cluster, in front of genuine servers.

The stack is planned and applied by the engine on the genuine API server.
Its services are no pods but servers of the test on hosts beside this machine, since containers
are not what is tested; Traefik runs outside of the cluster, as :mod:`.traefik_outside` tells.
"""

from __future__ import annotations

import contextlib
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import attrs
from tests import border_client, neighbours, traefik_outside
from tests.neighbours import Neighbour
from tests.traefik_outside import Traefik, eventually

import infometis_sdk as im
from infometis_border_traefik.border import TraefikBorder
from infometis_border_traefik.proving.inside import arguments_of
from infometis_sdk._adapters.kubernetes_api import KubernetesCluster, open_cluster
from infometis_sdk._adapters.transport import Patience
from infometis_sdk.engine.border.scene import scene_of
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Endpoint, Service
from infometis_sdk.ports.border import Reach
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from tests.border_client import Reply

    from infometis_sdk.model.border import Border
    from infometis_sdk.model.border_report import Proof
    from infometis_sdk.model.external import External
    from infometis_sdk.model.service import Credential
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.border import Scene
    from infometis_sdk.ports.platform import Access, Finding
    from infometis_sdk.workspace.stack import Stack

__all__ = ("Bench", "missing_parts", "run")

MANAGER = "tests"


def missing_parts() -> str:
    """Return why there can be no bench here; empty where there can."""
    return neighbours.missing_parts() or traefik_outside.missing_parts()


def run() -> Run:
    """Return a run with time enough for a loaded machine."""
    return Run.within(240)


class _Outside(KubernetesCluster):
    """The genuine API, but for connections to Traefik's pod, which go to the one outside."""

    host: Neighbour

    def carry(self, pod: ObjectRef, port: int, near: socket.socket, run: Run) -> str:
        """Connect with a port of the pod."""
        del pod
        # As a node does it: from within, where loopback is the pod's own.
        with self.host.connect(("127.0.0.1", port)) as far:
            near.settimeout(None)
            while data := near.recv(65536):
                far.sendall(data)
                if data.endswith(b"\r\n\r\n"):
                    break
            while data := far.recv(65536):
                near.sendall(data)
        near.close()
        run.check("carrying")
        return ""


class Bench:
    """One stack with a border, and the Traefik in front of it; use it as a context.

    Args:
        folder: for state and logs.
        access: the cluster.
        name: of the project; the namespace is called so too.

    Attributes:
        host: where Traefik and the backends are.
        traefik: the process, once :meth:`up` was called.
        domain: of its routes.

    """

    traefik: Traefik

    def __init__(self, folder: Path, access: Access, name: str) -> None:
        self.name, self.domain = name, f"{name}.test"
        self.host = Neighbour()
        self._folder, self._access = folder, access
        self._held = contextlib.ExitStack()
        self._services: dict[str, Service] = {}
        self._backends: dict[str, dict[str, tuple[tuple[str, int], ...]]] = {}
        self._stack: Stack | None = None
        self.cluster = open_cluster(access)

    def __enter__(self) -> Self:
        self._held.enter_context(self.host)
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
        if self._stack is not None:
            self._stack.down(run=run())
        self.cluster.close()

    def hold(self, context: Any) -> Any:
        """Enter a context that ends with the bench."""
        return self._held.enter_context(context)

    # --- what is published --------------------------------------------------------------------

    def service(
        self,
        name: str,
        *backends: tuple[str, int],
        members: int = 0,
        credentials: Mapping[str, Credential] | None = None,
        **endpoint: Any,
    ) -> None:
        """Add a service whose one endpoint ``main`` is served at these addresses.

        Args:
            name: of the service and of its Kubernetes Service.
            backends: addresses and ports; the same port for all.
            members: so many pods have a Kubernetes Service each, at one address after another.
            credentials: of the service.
            endpoint: the rest of what the endpoint says.

        """
        given = {"port": 80, "public": True, **endpoint}
        served = {name: backends}
        if members:
            served |= {f"{name}-{at}": (backends[at],) for at in range(members)}
        self._backends[name] = served
        self._services[name] = Service(
            name=name,
            version="1",
            endpoints={"main": Endpoint(**given)},
            credentials=credentials or {},
            manifests=[
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": each},
                    "spec": {"ports": [{"name": "main", "port": given["port"]}]},
                }
                for each in served
            ],
        )

    def up(self, border: Border, external: Mapping[str, External] | None = None) -> None:
        """Apply all of it, and start Traefik where it does not run yet."""
        self.apply(border, external)
        traefik = Traefik(
            self._folder / "traefik", self.host, self.arguments(), self._access, self._token()
        )
        self.traefik = self._held.enter_context(traefik)
        self.settle()

    def apply(self, border: Border, external: Mapping[str, External] | None = None) -> None:
        """Plan and apply with the engine, and say where the backends are."""
        stack = self._made(border, external)
        plan = stack.plan(run=run())
        self._stack = stack
        stack.apply(plan, run=run(), confirm=plan.digest)
        for served in self._backends.values():
            for name, backends in served.items():
                self.move(name, *backends)

    def move(self, name: str, *backends: tuple[str, int], ready: bool = True) -> None:
        """Say where the pods of a Kubernetes Service are now."""
        port = backends[0][1] if backends else 1
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{name}-bench",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "main", "port": port, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": [address], "conditions": {"ready": ready}} for address, _ in backends
            ],
        }
        ref = self.ref("EndpointSlice", f"{name}-bench", "discovery.k8s.io/v1")
        self.cluster.write(
            Write(verb="apply", ref=ref, body=body, manager=MANAGER, force=True), run()
        )

    def again(self) -> None:
        """Plan and apply the same border once more, with what its sources say now."""
        self.apply(self.scene.border)

    @staticmethod
    def run() -> Run:
        """Return a run with time enough for a loaded machine."""
        return run()

    def rendered(self, border: Border) -> ManifestSet:
        """Render the same services behind another border; nothing is applied."""
        return self._made(border, None).render()

    def _made(self, border: Border, external: Mapping[str, External] | None) -> Stack:
        environment = im.Environment(
            "outside",
            platform=im.Existing(kubeconfig=str(self._access.kubeconfig)),
            namespace=self.name,
            border=border,
            external=external or {},
        )
        project = im.Project(
            name=self.name,
            id=self.name,
            services=self._services,
            environments={"outside": environment},
        )
        return im.Workspace(project, state_dir=self._folder / "state")["outside"]

    # --- what was rendered --------------------------------------------------------------------

    @property
    def stack(self) -> Stack:
        """The stack, once it was applied."""
        assert self._stack is not None
        return self._stack

    @property
    def scene(self) -> Scene:
        """What the border was rendered from."""
        return scene_of(self.stack.compose())

    @property
    def manifests(self) -> ManifestSet:
        """What the stack was rendered to."""
        return self.stack.render()

    def arguments(self) -> tuple[str, ...]:
        """Return the static arguments of the Traefik that was rendered."""
        for manifest in self.manifests.manifests:
            if found := arguments_of(manifest.object):
                return found
        msg = "no Traefik was rendered"
        raise LookupError(msg)

    def ref(self, kind: str, name: str, version: str = "v1", namespace: str = "") -> ObjectRef:
        """Name an object of the stack."""
        space = namespace or self.name
        return ObjectRef(api_version=version, kind=kind, namespace=space, name=name)

    def _token(self) -> str:
        """Ask for a token of the ServiceAccount that Traefik's pods have."""
        (account,) = (
            manifest.ref
            for manifest in self.manifests.manifests
            if manifest.object["kind"] == "ServiceAccount" and manifest.zone == "border"
        )
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        write = Write(verb="create", ref=account, body=body, subresource="token")
        return str(self.cluster.write(write, run()).object["status"]["token"])

    # --- from outside -------------------------------------------------------------------------

    @property
    def web(self) -> tuple[str, int]:
        """Where HTTP is."""
        return self.traefik.address("web")

    @property
    def websecure(self) -> tuple[str, int]:
        """Where HTTPS is."""
        return self.traefik.address("websecure")

    def get(self, name: str, path: str = "/", **more: Any) -> Reply:
        """Ask a route over HTTPS, without a look at its certificate."""
        tls = more.pop("tls", None) or unverified()
        host = more.pop("host", f"{name}.{self.domain}")
        return border_client.ask(self.websecure, host, path, tls=tls, **more)

    def plain(self, name: str, path: str = "/", **more: Any) -> Reply:
        """Ask a route over HTTP."""
        host = more.pop("host", f"{name}.{self.domain}")
        return border_client.ask(self.web, host, path, **more)

    def until(self, name: str, status: int, path: str = "/", **more: Any) -> Reply:
        """Ask until that is the status: Traefik learns of a change a little later."""
        ask = partial(self.get, name, path, **more)
        return eventually(ask, lambda reply: reply.status == status, f"{name}{path} {status}")

    def settle(self) -> None:
        """Wait until Traefik has loaded every route."""
        for route in self.scene.routes:
            if route.http and route.tls == "terminate":
                path = route.path if route.path.endswith("/") else f"{route.path}/"
                ask = partial(self.get, "", path, host=route.host)
                eventually(ask, lambda reply: reply.status != 404, f"{route.name} is not loaded")

    @property
    def reach(self) -> Reach:
        """How this machine gets to the published ports."""
        border = self.scene.border
        ports = {border.http_port: self.web, border.https_port: self.websecure}
        for listener, port in self.traefik.ports.items():
            if listener.startswith("tcp-"):
                ports[int(listener[4:])] = (self.host.address, port)
        return Reach(ports=ports)

    def verify(self, **reach: Any) -> tuple[Proof, ...]:
        """Let the adapter prove its routes."""
        cluster = _Outside(self._access, Patience())
        cluster.host = self.host
        with contextlib.closing(cluster):
            how = attrs.evolve(self.reach, **reach)
            return self.adapter.verify(self.scene, cluster, how, run())

    def check(self) -> tuple[Finding, ...]:
        """Let the adapter look at what its routes rest on."""
        return self.adapter.check(self.scene, self.cluster, run())

    @property
    def adapter(self) -> TraefikBorder:
        """The adapter under test."""
        return TraefikBorder()


def unverified() -> ssl.SSLContext:
    """Return a context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
