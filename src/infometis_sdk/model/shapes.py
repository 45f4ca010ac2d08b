"""Services of the common shapes, built in Python, with the defaults of a good Kubernetes citizen.

The result is an ordinary :class:`~infometis_sdk.model.service.Service` with templates:
probes, requests and limits, a disruption budget, spread over nodes, a restricted security context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.model import shape_templates
from infometis_sdk.model.parameter import Influence, Parameter
from infometis_sdk.model.service import SCALING_DIRECTIONS, Endpoint, Image, Scaling, Service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ("stateful", "web")


def web(
    name: str,
    *,
    image: str,
    port: int,
    version: str = "0",
    summary: str = "",
    replicas: int = 1,
    cpu: str = "100m",
    memory: str = "128Mi",
    path: str = "/",
    probe: str = "/",
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    user: int = 1000,
    public: bool = True,
    needs: Sequence[str] = (),
    uses: Sequence[str] = (),
) -> Service:
    """Make a stateless HTTP service: a Deployment behind a Kubernetes Service.

    Args:
        name: DNS label.
        image: ``repository:tag``, with ``@sha256:…`` where the digest is known.
        port: on which the container listens, and the Kubernetes Service.
        version: of the software.
        summary: one line.
        replicas: default of the parameter ``replicas`` (scope scale).
        cpu: default of the parameter ``cpu`` (scope scale): the request; there is no limit.
        memory: default of the parameter ``memory`` (scope scale): request and limit.
        path: below which it answers natively.
        probe: request path of all three probes.
        env: environment variables, the same everywhere.
        command: replaces the image's entry point.
        args: replaces the image's arguments.
        user: user and group id of the process, never 0.
        public: whether the border may route to it.
        needs: services that start first.
        uses: ``service.endpoint`` that it talks to.

    Returns:
        A service with one endpoint, ``http``.

    Example:
        >>> web("hello", image="example/hello:1.0", port=8080).endpoints["http"].port
        8080

    """
    core = _core(port=port, probe=probe, env=env, command=command, args=args, user=user)
    return Service(
        name=name,
        version=version,
        summary=summary,
        images={"main": _image(image)},
        parameters={
            **core,
            **_scale("Deployment", name, replicas=replicas, cpu=cpu, memory=memory),
            **_platform("Deployment", name),
        },
        needs=needs,
        uses=uses,
        endpoints={"http": Endpoint(port=port, path=path, public=public)},
        # It keeps nothing, so any pod may come and go.
        scaling=Scaling(workload=f"Deployment/{name}", directions=SCALING_DIRECTIONS),
        templates={
            "deployment.yaml.j2": shape_templates.DEPLOYMENT,
            "pdb.yaml.j2": shape_templates.PDB,
            "service.yaml.j2": shape_templates.SERVICE,
            "serviceaccount.yaml.j2": shape_templates.SERVICE_ACCOUNT,
        },
    )


def stateful(
    name: str,
    *,
    image: str,
    port: int,
    version: str = "0",
    summary: str = "",
    replicas: int = 1,
    cpu: str = "100m",
    memory: str = "256Mi",
    storage: str = "1Gi",
    mount: str = "/data",
    path: str = "/",
    probe: str = "/",
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    user: int = 1000,
    public: bool = True,
    needs: Sequence[str] = (),
    uses: Sequence[str] = (),
) -> Service:
    """Make an HTTP service with a volume for each replica: a StatefulSet with its headless Service.

    Args:
        name: DNS label.
        image: ``repository:tag``, with ``@sha256:…`` where the digest is known.
        port: on which the container listens, and the Kubernetes Service.
        version: of the software.
        summary: one line.
        replicas: default of the parameter ``replicas`` (scope scale); fewer need a drain first.
        cpu: default of the parameter ``cpu`` (scope scale): the request; there is no limit.
        memory: default of the parameter ``memory`` (scope scale): request and limit.
        storage: default of the parameter ``storage`` (scope scale); it may only grow.
        mount: where the volume is mounted.
        path: below which it answers natively.
        probe: request path of all three probes.
        env: environment variables, the same everywhere.
        command: replaces the image's entry point.
        args: replaces the image's arguments.
        user: user and group id of the process, and group of the volume; never 0.
        public: whether the border may route to it.
        needs: services that start first.
        uses: ``service.endpoint`` that it talks to.

    Returns:
        A service with one endpoint, ``http``.

    Example:
        >>> stateful("db", image="example/db:1.0", port=8080).parameters["storage"].shrink
        'never'

    """
    core = _core(port=port, probe=probe, env=env, command=command, args=args, user=user)
    claim = "spec.volumeClaimTemplates[metadata.name=data].spec"
    return Service(
        name=name,
        version=version,
        summary=summary,
        images={"main": _image(image)},
        parameters={
            **core,
            "mount": Parameter(
                type="string", default=mount, pattern="/.+", doc="where the volume is mounted"
            ),
            **_scale(
                "StatefulSet", name, replicas=replicas, cpu=cpu, memory=memory, shrink="drain"
            ),
            "storage": Parameter(
                type="quantity",
                default=storage,
                min="1Mi",
                scope="scale",
                mutability="live",
                shrink="never",
                affects=(
                    Influence(
                        kind="StatefulSet", name=name, path=f"{claim}.resources.requests.storage"
                    ),
                ),
                doc="size of the volume of one replica",
                why="a volume can only grow; to have a smaller one, move the data to a new service",
            ),
            **_platform("StatefulSet", name),
            "storage_class": Parameter(
                type="string",
                optional=True,
                scope="platform",
                mutability="create-only",
                affects=(
                    Influence(kind="StatefulSet", name=name, path=f"{claim}.storageClassName"),
                ),
                doc="class of the volumes; unset for the cluster's default",
                why="a volume keeps the class that it was made with",
            ),
        },
        needs=needs,
        uses=uses,
        endpoints={"http": Endpoint(port=port, path=path, public=public)},
        templates={
            "pdb.yaml.j2": shape_templates.PDB,
            "service.yaml.j2": shape_templates.SERVICE + shape_templates.HEADLESS,
            "serviceaccount.yaml.j2": shape_templates.SERVICE_ACCOUNT,
            "statefulset.yaml.j2": shape_templates.STATEFUL_SET,
        },
    )


def _image(text: str) -> Image:
    """Split ``repository:tag@digest``; a colon before the last slash belongs to a port."""
    name, _, digest = text.partition("@")
    head, slash, tail = name.rpartition("/")
    base, _, tag = tail.partition(":")
    return Image(repository=f"{head}{slash}{base}", tag=tag, digest=digest)


def _core(
    *,
    port: int,
    probe: str,
    env: Mapping[str, str] | None,
    command: Sequence[str],
    args: Sequence[str],
    user: int,
) -> dict[str, Parameter]:
    return {
        "port": Parameter(type="integer", default=port, min=1, max=65535, doc="port it listens on"),
        "probe": Parameter(
            type="string", default=probe, pattern="/.*", doc="request path of the probes"
        ),
        "env": Parameter(type="map", default=dict(env or {}), doc="environment variables"),
        "command": Parameter(
            type="list", default=list(command), doc="entry point; empty for the image's"
        ),
        "args": Parameter(type="list", default=list(args), doc="arguments; empty for the image's"),
        "user": Parameter(
            type="integer", default=user, min=1, doc="user and group id of the process"
        ),
    }


def _scale(
    kind: str, name: str, *, replicas: int, cpu: str, memory: str, shrink: str = "allow"
) -> dict[str, Parameter]:
    resources = "spec.template.spec.containers[name=main].resources"

    def affects(*paths: str) -> tuple[Influence, ...]:
        return tuple(Influence(kind=kind, name=name, path=path) for path in paths)

    return {
        "replicas": Parameter(
            type="integer",
            default=replicas,
            min=0,
            max=100,
            scope="scale",
            mutability="live",
            shrink=shrink,
            affects=affects("spec.replicas"),
            doc="number of pods",
            why="the data of the pods that go must be moved first" if shrink == "drain" else "",
        ),
        "cpu": Parameter(
            type="quantity",
            default=cpu,
            min="1m",
            scope="scale",
            affects=affects(f"{resources}.requests.cpu"),
            doc="CPU request of one pod",
        ),
        "memory": Parameter(
            type="quantity",
            default=memory,
            min="4Mi",
            scope="scale",
            affects=affects(f"{resources}.requests.memory", f"{resources}.limits.memory"),
            doc="memory request and limit of one pod",
        ),
    }


def _platform(kind: str, name: str) -> dict[str, Parameter]:
    pod = "spec.template.spec"
    tolerations: dict[str, Any] = {
        "type": "list",
        "default": [],
        "doc": "taints that the pods tolerate",
    }
    selector: dict[str, Any] = {
        "type": "map",
        "default": {},
        "doc": "labels that the nodes must have",
    }
    return {
        "tolerations": Parameter(
            **tolerations,
            scope="platform",
            affects=(Influence(kind=kind, name=name, path=f"{pod}.tolerations"),),
        ),
        "node_selector": Parameter(
            **selector,
            scope="platform",
            affects=(Influence(kind=kind, name=name, path=f"{pod}.nodeSelector"),),
        ),
    }
