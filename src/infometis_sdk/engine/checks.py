"""Does a service work? The descriptor's functional checks, asked through the API server.

Questions without credentials go through the service proxy. The API server takes the
``Authorization`` header off every request that it has authenticated
(k8s.io/apiserver ``pkg/endpoints/filters/authentication.go``), so basic authentication can never
pass that proxy; questions with a credential, and such that are not HTTP,
go through a forwarded port instead.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from infometis_sdk.engine.external_checks import ask_external
from infometis_sdk.engine.inputs.check_externals import used_externals
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.reading.service_pods import backend
from infometis_sdk.engine.templates.context import secret_name
from infometis_sdk.errors import (
    CancelledError,
    ClusterError,
    DeadlineError,
    ForbiddenError,
    InfometisError,
    UnreachableError,
)
from infometis_sdk.model.external import EXTERNAL
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.model.stack import ManifestSet
from infometis_sdk.ports.cluster import Cluster
from infometis_sdk.ports.pods import PodStreams

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infometis_sdk.engine.reading.service_pods import Backend
    from infometis_sdk.model.external import External
    from infometis_sdk.model.service import Check, Endpoint

__all__ = (
    "ANSWER_SECONDS",
    "NOT_APPLICABLE",
    "PATIENCE_SECONDS",
    "CheckResult",
    "check_externals",
    "check_services",
    "in_lines",
    "run_checks",
)

NOT_APPLICABLE = "not applicable (simulated)"
"""Never ``passed``: nothing ran that could have answered."""

PATIENCE_SECONDS = 30.0
"""A service whose pods are ready may still elect a leader, or load what it serves."""

ANSWER_SECONDS = 10.0
_BODY = 1024 * 1024
_CA = "ca.crt"
_OK = 200


@frozen(kw_only=True)
class CheckResult:
    """How one check went.

    Attributes:
        result: ``passed``, ``failed``, ``not applicable`` or ``not run`` (we may not ask).
        detail: why, in one line; never a secret and never the body of an answer.

    """

    service: str
    check: str
    result: str
    detail: str = ""


def run_checks(
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    simulated: bool,
    services: Sequence[str] = (),
    patience: float = PATIENCE_SECONDS,
) -> Mapping[str, str]:
    """Run the functional checks; one line a service, for :attr:`HealthReport.checks`.

    Args:
        cluster: the API.
        manifests: the stack.
        run: deadline and cancel token.
        simulated: containers do not really run; every check is then not applicable.
        services: only these; empty for all.
        patience: seconds for which a check may fail before it counts as failed.

    Raises:
        CancelledError: the caller cancelled.

    """
    results = check_services(
        cluster, manifests, run, simulated=simulated, services=services, patience=patience
    )
    return in_lines(results)


def in_lines(results: Iterable[CheckResult]) -> Mapping[str, str]:
    """Say in one line a service, or external system, how its checks went.

    Example:
        >>> in_lines([CheckResult(service="kafka", check="client", result="passed")])
        {'kafka': '1 passed'}

    """
    found: dict[str, list[CheckResult]] = {}
    for each in results:
        found.setdefault(each.service, []).append(each)
    lines: dict[str, str] = {}
    for service, mine in found.items():
        bad = [
            f"{r.check} {r.result}: {r.detail}" for r in mine if r.result in {"failed", "not run"}
        ]
        passed = sum(r.result == "passed" for r in mine)
        good = [f"{passed} passed"] if passed else []
        lines[service] = "; ".join((*bad, *good)) or NOT_APPLICABLE
    return lines


def check_services(
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    simulated: bool,
    services: Sequence[str] = (),
    patience: float = PATIENCE_SECONDS,
) -> tuple[CheckResult, ...]:
    """Run the functional checks, check by check; see :func:`run_checks`."""
    names = [name for name in manifests.services if not services or name in services]
    pairs = [(name, check) for name in names for check in manifests.services[name].service.checks]
    outside = check_externals(
        cluster, manifests, run, simulated=simulated, services=services, patience=patience
    )
    if simulated:
        return (
            *(
                CheckResult(service=name, check=check, result="not applicable", detail="simulated")
                for name, check in pairs
            ),
            *outside,
        )
    asking = _Asking(cluster=cluster, manifests=manifests, run=run, patience=patience)
    found = parallel(lambda pair: asking.check(*pair), pairs, run, "checking services")
    return (*found, *outside)


def check_externals(
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    simulated: bool,
    services: Sequence[str] = (),
    patience: float = 0.0,
) -> tuple[CheckResult, ...]:
    """Ask the external systems of the environment, or those that some services use.

    Their results stand under ``external.NAME``.
    See :mod:`infometis_sdk.engine.external_checks` for where they are asked from.
    """
    declared = manifests.environment.external
    used = {
        name
        for service in services
        for name in used_externals(manifests.services[service].service.uses)
    }
    names = [
        name
        for name, external in declared.items()
        if external.check.enabled and (not services or name in used)
    ]
    if simulated:
        return tuple(
            CheckResult(
                service=f"{EXTERNAL}.{name}",
                check=declared[name].protocol,
                result="not applicable",
                detail="simulated",
            )
            for name in names
        )
    asking = _Asking(cluster=cluster, manifests=manifests, run=run, patience=patience)
    return tuple(parallel(asking.external, names, run, "checking external systems"))


@frozen(kw_only=True)
class _Answer:
    status: int
    body: str


class _NotRunError(Exception):
    """A check that cannot be asked here; says why."""


@frozen(kw_only=True)
class _Asking:
    cluster: Cluster
    manifests: ManifestSet
    run: Run
    patience: float

    def check(self, service: str, name: str) -> CheckResult:
        """Ask until the answer is right or the patience is used up."""
        descriptor = self.manifests.services[service].service
        check = descriptor.checks[name]
        endpoint = descriptor.endpoints.get(check.endpoint)
        until = time.monotonic() + self.patience
        if endpoint is None:
            detail = f"the service has no endpoint {check.endpoint}"
            return CheckResult(service=service, check=name, result="not run", detail=detail)
        while True:
            try:
                detail = self._once(service, check, endpoint)
            except (_NotRunError, ForbiddenError) as error:
                detail = str(error).splitlines()[0]
                return CheckResult(service=service, check=name, result="not run", detail=detail)
            except CancelledError:
                raise
            except InfometisError as error:
                detail = error.message
            if not detail:
                return CheckResult(service=service, check=name, result="passed")
            if time.monotonic() >= until or self.run.remaining() <= 1:
                return CheckResult(service=service, check=name, result="failed", detail=detail)
            self.run.sleep(1.0, f"checking {service}")

    def external(self, name: str) -> CheckResult:
        """Ask an external system until it answers or the patience is used up."""
        external = self.manifests.environment.external[name]
        made = CheckResult(service=f"{EXTERNAL}.{name}", check=external.protocol, result="passed")
        until = time.monotonic() + self.patience
        try:
            ca = self._ca(name, external)
        except (_NotRunError, ForbiddenError) as error:
            return evolve(made, result="not run", detail=str(error).splitlines()[0])
        while wrong := ask_external(external, ca=ca, seconds=min(5.0, self.run.remaining())):
            if time.monotonic() >= until or self.run.remaining() <= 1:
                return evolve(made, result="failed", detail=f"from this machine: {wrong}")
            self.run.sleep(1.0, f"checking {EXTERNAL}.{name}")
        return made

    def _ca(self, name: str, external: External) -> str:
        """Return the certificates that are trusted, from the Secret that services read too."""
        if external.tls.ca is None and _CA not in external.credentials:
            return ""
        secret = secret_name(EXTERNAL, name)
        space = self.manifests.namespace
        ref = ObjectRef(api_version="v1", kind="Secret", namespace=space, name=secret)
        data = (self.cluster.get(ref, self.run) or {}).get("data") or {}
        try:
            return base64.b64decode(data[_CA]).decode("ascii")
        except (KeyError, ValueError) as error:
            msg = f"Secret/{secret} holds no certificates"
            raise _NotRunError(msg) from error

    @property
    def _isolated(self) -> bool:
        """Whether policies keep the API server's own proxy from the pods; it never is a peer.

        A forwarded port ends on the pod's own loopback, where no policy applies.
        """
        return any(manifest.ref.kind == "NetworkPolicy" for manifest in self.manifests.manifests)

    def _once(self, service: str, check: Check, endpoint: Endpoint) -> str:
        """Ask once; return what is wrong with the answer."""
        left = evolve(self.run, deadline=min(self.run.deadline, time.monotonic() + ANSWER_SECONDS))
        web = endpoint.protocol in {"http", "https"}
        if not web:
            return self._connects(service, endpoint, left)
        if check.credential or endpoint.protocol == "https" or self._isolated:
            # NiFi looks at the Host header and at SNI, which the proxy does not let us choose.
            answer = self._through_port(service, check, endpoint, left)
        else:
            answer = self._through_proxy(service, check, endpoint, left)
        if answer.status != check.status:
            return f"HTTP {answer.status}, expected {check.status}"
        if check.contains and check.contains not in answer.body:
            return f"the answer lacks {check.contains!r}"
        return ""

    def _through_proxy(self, service: str, check: Check, endpoint: Endpoint, run: Run) -> _Answer:
        space, name = self._service(service, endpoint)
        target = f"{endpoint.protocol}:{name}:{endpoint.port}"
        path = f"/api/v1/namespaces/{space}/services/{target}/proxy{check.path}"
        try:
            return _Answer(status=_OK, body=self.cluster.read(path, run))
        except (UnreachableError, DeadlineError):
            raise
        except ClusterError as error:
            # The status is the service's, unless the API server itself refused us.
            if not error.status or isinstance(error, ForbiddenError):
                raise
            return _Answer(status=error.status, body="")

    def _through_port(self, service: str, check: Check, endpoint: Endpoint, run: Run) -> _Answer:
        headers = {"accept": "*/*", "user-agent": "infometis-sdk"}
        if check.credential:
            headers["authorization"] = self._basic(service, check.credential, run)
        _, host = self._service(service, endpoint)
        with self._tunnel(service, endpoint, run) as near:
            sock: socket.socket = near
            try:
                if endpoint.protocol == "https":
                    sock = _unverified().wrap_socket(near, server_hostname=host)
                connection = http.client.HTTPConnection(host, endpoint.port)
                connection.sock = sock
                connection.request("GET", check.path, headers=headers)
                answer = connection.getresponse()
                body = answer.read(_BODY).decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as error:
                msg = f"no answer from {service}: {type(error).__name__}"
                raise UnreachableError(msg) from error
            return _Answer(status=answer.status, body=body)

    def _connects(self, service: str, endpoint: Endpoint, run: Run) -> str:
        """Say whether a port that speaks something else takes a connection."""
        with self._tunnel(service, endpoint, run) as near:
            near.settimeout(1.0)
            try:
                # A port that nobody listens on is closed by the node at once;
                # a service that waits for us to speak says nothing.
                closed = near.recv(1) == b""
            except TimeoutError:
                closed = False
            except OSError:
                closed = True
        return f"port {endpoint.port} takes no connection" if closed else ""

    def _tunnel(self, service: str, endpoint: Endpoint, run: Run) -> _Tunnel:
        if not isinstance(self.cluster, PodStreams):
            msg = "this cluster port cannot forward"
            raise _NotRunError(msg)
        chosen = backend(self.cluster, self.manifests, service, endpoint, run)
        return _Tunnel(self.cluster, chosen, run)

    def _service(self, service: str, endpoint: Endpoint) -> tuple[str, str]:
        name = endpoint.service or service
        for manifest in self.manifests.manifests:
            if manifest.ref.kind == "Service" and manifest.ref.name == name:
                return manifest.ref.namespace, name
        return self.manifests.namespace, name

    def _basic(self, service: str, credential: str, run: Run) -> str:
        """Return the header of a credential; its value goes nowhere else."""
        bound = next(
            (
                b
                for b in self.manifests.credentials
                if b.service == service and b.name == credential
            ),
            None,
        )
        if bound is None:
            msg = f"the service has no credential {credential}"
            raise _NotRunError(msg)
        space = self.manifests.namespace
        ref = ObjectRef(api_version="v1", kind="Secret", namespace=space, name=bound.secret)
        data = (self.cluster.get(ref, run) or {}).get("data") or {}
        try:
            user, password = (base64.b64decode(data[key]) for key in ("username", "password"))
        except (KeyError, binascii.Error) as error:
            msg = f"Secret/{bound.secret} holds no username and password"
            raise _NotRunError(msg) from error
        return "Basic " + base64.b64encode(user + b":" + password).decode("ascii")


class _Tunnel:
    """A connection to a pod behind an endpoint, for the life of the context."""

    def __init__(self, streams: PodStreams, chosen: Backend, run: Run) -> None:
        self._streams = streams
        self._chosen = chosen
        self._run = run
        self._error: InfometisError | None = None

    def __enter__(self) -> socket.socket:
        self._near, far = socket.socketpair()
        self._near.settimeout(ANSWER_SECONDS)

        def carry() -> None:
            try:
                self._streams.carry(self._chosen.pod, self._chosen.port, far, self._run)
            except InfometisError as error:
                self._error = error
                far.close()

        self._thread = threading.Thread(target=carry, name="infometis check", daemon=True)
        self._thread.start()
        return self._near

    def __exit__(self, *_: object) -> None:
        self._near.close()
        self._thread.join(timeout=1)
        if self._error is not None:
            # Why there was no connection tells more than that the answer did not come.
            raise self._error


def _unverified() -> ssl.SSLContext:
    """Return TLS without verification: the API server and the node vouch for whose port it is.

    The API server's own service proxy does the same.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
