"""The one door to a Kubernetes API: raw JSON objects in, raw JSON objects out.

Only urllib3 is loaded, and only when the first request is made; see :mod:`.kubeconfig` for why
the Kubernetes client is not.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from infometis_sdk._adapters.asked import Asked
from infometis_sdk._adapters.kinds import Kinds, declared
from infometis_sdk._adapters.pod_streams import carry, lines
from infometis_sdk._adapters.refusals import refusal
from infometis_sdk._adapters.session import Session
from infometis_sdk._adapters.transport import Answer, Call, Patience, Transport
from infometis_sdk._adapters.watching import Page, watch
from infometis_sdk._adapters.writing import path_of, request_of, secrets_of
from infometis_sdk.errors import ClusterError, UnknownKindError
from infometis_sdk.ports.cluster import Cluster, Resource, WatchEvent, Write, Written

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Mapping

    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.platform import Access

__all__ = ("KubernetesCluster", "open_cluster")

PAGE = 500
"""Objects in a page, as kubectl's ``--chunk-size``."""

RESTARTS = 5
"""How often a LIST starts over when its continue token has expired."""

REFUSED = HTTPStatus.BAD_REQUEST

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def open_cluster(access: Access, patience: Patience | None = None) -> KubernetesCluster:
    """Return the door to a cluster; nothing is read or asked until the first method is called.

    Args:
        access: kubeconfig and context, or none for the pod's own credentials.
        patience: how long to try; the default suits people and pipelines alike.

    Example:
        >>> from pathlib import Path
        >>> cluster = open_cluster(Access(kubeconfig=Path("dev.kubeconfig")))

    """
    return KubernetesCluster(access, patience or Patience())


class KubernetesCluster(Cluster):
    """A Kubernetes API over HTTP; see the port for what each method promises."""

    def __init__(self, access: Access, patience: Patience) -> None:
        self._session = Session(access)
        self._transport = Transport(self._session, patience)
        self._kinds = Kinds()

    def close(self) -> None:
        """Close kept connections; the next request opens new ones."""
        self._session.close()

    def learn(self, definition: Mapping[str, Any]) -> None:
        """Take note of a CustomResourceDefinition, so that its kinds need no discovery."""
        self._kinds.learn(declared(definition))

    def resource(self, api_version: str, kind: str, run: Run) -> Resource:
        """See :meth:`Cluster.resource`."""
        return self._kinds.find(api_version, kind, lambda version: self._discover(version, run))

    def list(
        self,
        api_version: str,
        kind: str,
        run: Run,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> tuple[Mapping[str, Any], ...]:
        """See :meth:`Cluster.list`."""
        resource = self.resource(api_version, kind, run)
        params = _selectors(labels, fields)
        accept = _METADATA if metadata_only else "application/json"
        items: list[Mapping[str, Any]] = []
        for page in self._pages(resource, namespace, params, run, accept):
            if page.first:
                items.clear()
            items += page.items
        return tuple(items)

    def get(self, ref: ObjectRef, run: Run) -> Mapping[str, Any] | None:
        """See :meth:`Cluster.get`."""
        try:
            resource = self.resource(ref.api_version, ref.kind, run)
        except UnknownKindError:
            return None
        asked = Asked(verb="get", resource=resource, namespace=ref.namespace, ref=ref)
        target = path_of(resource, ref)
        answer = self._transport.send(Call(doing=asked.doing, method="GET", target=target), run)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        found: Mapping[str, Any] = self._object(answer, asked)
        return found

    def write(self, write: Write, run: Run) -> Written:
        """See :meth:`Cluster.write`.

        A write that was cut off is sent again where its verb allows that: if the first one
        had arrived, the second may report ConflictError (a moved resourceVersion) or
        NotFoundError (a deletion that is done).
        """
        resource = self.resource(write.ref.api_version, write.ref.kind, run)
        asked = Asked(
            verb=write.verb,
            resource=resource,
            namespace=write.ref.namespace,
            ref=write.ref,
            subresource=write.subresource,
            dry_run=write.dry_run,
        )
        answer = self._transport.send(request_of(write, resource, asked), run)
        written = Written(
            object=self._object(answer, asked, write),
            created=answer.status == HTTPStatus.CREATED,
            warnings=_warnings(answer),
        )
        if write.ref.kind == "CustomResourceDefinition" and not write.dry_run:
            self._definition_changed(write, written.object)
        return written

    def watch(
        self, api_version: str, kind: str, run: Run, *, namespace: str = "", labels: str = ""
    ) -> Iterator[WatchEvent]:
        """See :meth:`Cluster.watch`.

        Never more than one page of the collection is held.
        """
        resource = self.resource(api_version, kind, run)
        params = _selectors(labels, "")
        return watch(
            self._transport,
            Asked(
                verb="watch",
                resource=resource,
                namespace=namespace,
                path=resource.path(namespace),
            ),
            params,
            lambda: self._pages(resource, namespace, params, run, "application/json"),
            run,
        )

    def read(self, path: str, run: Run, *, params: Mapping[str, str] | None = None) -> str:
        """See :meth:`Cluster.read`."""
        asked = Asked(verb="get", path=path)
        target = f"{path}?{urlencode(params)}" if params else path
        call = Call(doing=asked.doing, method="GET", target=target, accept="*/*")
        answer = self._transport.send(call, run)
        if answer.status >= REFUSED:
            raise refusal(answer, asked)
        return answer.data.decode("utf-8", "replace")

    def lines(self, path: str, run: Run, *, params: Mapping[str, str]) -> Iterator[str]:
        """See :meth:`PodStreams.lines`."""
        return lines(self._transport, path, run, params)

    def carry(self, pod: ObjectRef, port: int, near: socket.socket, run: Run) -> str:
        """See :meth:`PodStreams.carry`."""
        return carry(self._session, pod, port, near, run)

    # --- parts ------------------------------------------------------------------------------

    def _object(self, answer: Answer, asked: Asked, write: Write | None = None) -> Any:  # noqa: ANN401 - JSON
        if answer.status >= REFUSED:
            raise refusal(answer, asked, secrets_of(write) if write else ())
        try:
            return json.loads(answer.data)
        except ValueError as error:
            msg = f"{asked.doing}: the answer of {answer.channel.connection.server} is not JSON"
            hint = "does the kubeconfig point to a Kubernetes API?"
            raise ClusterError(msg, status=answer.status, hint=hint) from error

    def _discover(self, api_version: str, run: Run) -> Iterable[Resource] | None:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        asked = Asked(verb="get", path=path)
        answer = self._transport.send(Call(doing=asked.doing, method="GET", target=path), run)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return [
            Resource(
                api_version=api_version,
                kind=entry["kind"],
                plural=entry["name"],
                namespaced=entry["namespaced"],
            )
            for entry in self._object(answer, asked).get("resources") or ()
            if "/" not in entry["name"]
        ]

    def _pages(
        self,
        resource: Resource,
        namespace: str,
        params: Mapping[str, str],
        run: Run,
        accept: str,
    ) -> Iterator[Page]:
        """Yield all objects page by page, with the resourceVersion to watch from."""
        asked = Asked(verb="list", resource=resource, namespace=namespace)
        path = resource.path(namespace)
        token, restarts = "", 0
        while True:
            query = urlencode({**params, "limit": PAGE, **({"continue": token} if token else {})})
            call = Call(doing=asked.doing, method="GET", target=f"{path}?{query}", accept=accept)
            answer = self._transport.send(call, run)
            if answer.status == HTTPStatus.GONE and token and restarts < RESTARTS:
                # The token is older than the server's history: pages of one list must agree.
                token, restarts = "", restarts + 1
                continue
            if answer.status == HTTPStatus.NOT_FOUND:
                self._kinds.forget(resource.api_version, resource.kind)
                msg = f"the cluster serves no kind {resource.kind} in {resource.api_version}"
                hint = "install the CustomResourceDefinition, or correct apiVersion"
                raise UnknownKindError(msg, status=404, hint=hint)
            page = self._object(answer, asked)
            items = page.get("items") or []
            for item in items:
                # Lists of built-in kinds leave both out of their items.
                item["apiVersion"], item["kind"] = resource.api_version, resource.kind
            meta = page.get("metadata") or {}
            yield Page(items=items, version=str(meta.get("resourceVersion") or ""), first=not token)
            token = meta.get("continue") or ""
            if not token:
                return

    def _definition_changed(self, write: Write, live: Mapping[str, Any]) -> None:
        if write.verb == "delete":
            for resource in declared(live):
                self._kinds.forget(resource.api_version, resource.kind)
        elif not write.subresource:
            self.learn(live)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    pairs = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in pairs.items() if value}


def _warnings(answer: Answer) -> tuple[str, ...]:
    """Return the texts of ``Warning: 299 - "…"`` headers (RFC 7234, section 5.5)."""
    headers = answer.headers
    lines = headers.getlist("warning") if hasattr(headers, "getlist") else ()
    texts = []
    for line in lines:
        _, _, quoted = line.partition('"')
        text, _, _ = quoted.rpartition('"')
        texts.append(text.replace('\\"', '"').replace("\\\\", "\\"))
    return tuple(texts)
