"""A write as an HTTP request: verb, preconditions, content type, parameters."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from infometis_sdk._adapters.transport import Call
from infometis_sdk.errors import InvalidError

if TYPE_CHECKING:
    from infometis_sdk._adapters.asked import Asked
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.ports.cluster import Resource, Write

__all__ = ("path_of", "request_of", "secrets_of")

_METHODS = {
    "apply": ("PATCH", "application/apply-patch+yaml"),  # JSON is YAML
    "create": ("POST", "application/json"),
    "replace": ("PUT", "application/json"),
    "merge-patch": ("PATCH", "application/merge-patch+json"),
    "json-patch": ("PATCH", "application/json-patch+json"),
    "delete": ("DELETE", "application/json"),
}


# The API server reads an apply body as YAML 1.1, where some of these end a line (a value that
# holds U+0085 would come back with a line feed) and others are refused; escaped, all are kept.
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def request_of(write: Write, resource: Resource, asked: Asked) -> Call:
    """Return the request for a write.

    Raises:
        InvalidError: the verb is unknown, or a namespaced object names no namespace.

    """
    if write.verb not in _METHODS:
        msg = f"there is no verb {write.verb!r} for {write.ref}"
        raise InvalidError(msg, ref=write.ref, hint=f"use one of {', '.join(_METHODS)}")
    path = path_of(resource, write.ref, named=write.verb != "create" or bool(write.subresource))
    method, content_type = _METHODS[write.verb]
    if write.subresource:
        path = f"{path}/{write.subresource}"
    params: dict[str, str] = {}
    if write.verb != "delete":
        if write.dry_run:
            params["dryRun"] = "All"
        params["fieldValidation"] = "Strict"
        if write.manager:
            params["fieldManager"] = write.manager
        if write.verb == "apply" and write.force:
            params["force"] = "true"
    return Call(
        doing=asked.doing,
        method=method,
        target=f"{path}?{urlencode(params)}" if params else path,
        body=_encode(_body(write)),
        content_type=content_type,
        repeatable=_repeatable(write),
    )


def path_of(resource: Resource, ref: ObjectRef, *, named: bool = True) -> str:
    """Return the path of an object, or of the collection that it belongs to.

    Raises:
        InvalidError: a namespaced object names no namespace; without one, the API server would
            answer that there is no such object.

    """
    if resource.namespaced and not ref.namespace:
        msg = f"{ref} names no namespace, and its kind lives in namespaces"
        raise InvalidError(msg, ref=ref, hint="give it a namespace")
    return resource.path(ref.namespace, quote(ref.name, safe="") if named else "")


def _repeatable(write: Write) -> bool:
    """Whether doing it twice is the same as doing it once.

    A JSON patch may append to a list, so it needs a precondition that the first one breaks.
    """
    if write.dry_run:
        return True
    if write.verb == "json-patch":
        return bool(write.resource_version)
    return write.verb != "create"


def _body(write: Write) -> Any:  # noqa: ANN401 - JSON
    if write.verb == "delete":
        return _delete_options(write)
    guards = {
        key: value
        for key, value in (("uid", write.uid), ("resourceVersion", write.resource_version))
        if value
    }
    if write.verb == "json-patch":
        # `replace` rather than `test`: a moved object is then a 409, not a 422 like a bad patch
        operations = [
            {"op": "replace", "path": f"/metadata/{key}", "value": value}
            for key, value in guards.items()
        ]
        return [*operations, *(write.body or ())]
    if not guards or not isinstance(write.body, Mapping):
        return write.body
    return {**write.body, "metadata": {**(write.body.get("metadata") or {}), **guards}}


def _delete_options(write: Write) -> dict[str, Any]:
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if write.dry_run:
        # The API server ignores the query's parameters where there is a body: with `dryRun` in
        # the query alone, this would delete for real.
        options["dryRun"] = ["All"]
    guards = {
        key: value
        for key, value in (("uid", write.uid), ("resourceVersion", write.resource_version))
        if value
    }
    if guards:
        options["preconditions"] = guards
    if write.propagation:
        options["propagationPolicy"] = write.propagation
    return options


def _encode(body: Any) -> bytes:  # noqa: ANN401 - JSON
    text = json.dumps(
        body, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
    )
    return _BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Turn what is a mapping but no ``dict`` into one."""
    if isinstance(value, Mapping):
        return dict(value)
    msg = f"{type(value).__name__} cannot be sent as JSON"
    raise TypeError(msg)


def secrets_of(write: Write) -> tuple[str, ...]:
    """Return all that a write to a Secret must not leak: values, encoded and decoded.

    Example:
        >>> from infometis_sdk.model.reference import ObjectRef
        >>> from infometis_sdk.ports.cluster import Write
        >>> ref = ObjectRef(api_version="v1", kind="Secret", namespace="a", name="b")
        >>> secrets_of(Write(verb="apply", ref=ref, body={"data": {"k": "aHVudGVyMg=="}}))
        ('aHVudGVyMg==', 'YUhWdWRHVnlNZz09', 'hunter2')

    """
    if write.ref.kind != "Secret" or write.body is None:
        return ()
    return tuple(_values(write.body))


def _values(body: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(body, Mapping):
        parts = [body.get("data"), body.get("stringData")]
    else:
        parts = [operation.get("value") for operation in body]
    for text in _leaves(parts):
        if not isinstance(text, str):
            continue
        yield text
        yield base64.b64encode(text.encode()).decode()
        try:
            yield base64.b64decode(text, validate=True).decode()
        except ValueError:  # no base64, or not of text
            continue


def _leaves(value: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON
    if isinstance(value, (Mapping, list, tuple)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(inner)
    else:
        yield value
