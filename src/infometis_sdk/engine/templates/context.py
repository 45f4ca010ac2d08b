"""What a template can see: parameters, images and short names; nothing of the environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.inputs.check_externals import used_externals
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.engine.inputs.values import plain
from infometis_sdk.engine.templates.sandbox import TemplateError
from infometis_sdk.engine.templates.template import render_file
from infometis_sdk.errors import RenderError
from infometis_sdk.model.external import EXTERNAL
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.model.project import Lock
    from infometis_sdk.model.service import Credential, Endpoint, Image, Service

__all__ = ("ServiceContext", "credential_keys", "image_text", "locked", "secret_name")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def locked(image: Image, lock: Lock) -> Image:
    """Return the image with its digest, where the descriptor or the lock knows one."""
    if image.digest:
        return image
    digest = lock.images.get(f"{image.repository}:{image.tag}", "")
    return attrs.evolve(image, digest=digest) if digest else image


def image_text(image: Image, prefix: str = "") -> str:
    """Return the image as a container names it, with the registry prefix where there is one."""
    return f"{prefix.rstrip('/')}/{image}" if prefix else str(image)


class ServiceContext:
    """One service with the values of one render, and the helpers that its templates call.

    Each file is rendered once, when a template asks for it or at the end.
    """

    def __init__(
        self,
        service: Service,
        values: Mapping[str, Any],
        services: Mapping[str, Service],
        *,
        lock: Lock,
        prefix: str = "",
    ) -> None:
        self.service = service
        self._services = services
        self._files: dict[str, str] = {}
        self.faults: list[Fault] = []
        self._base: dict[str, Any] = {
            "name": service.name,
            "version": service.version,
            "params": plain(values),
            "images": {
                key: image_text(locked(image, lock), prefix)
                for key, image in service.images.items()
            },
            "selector": {"app.kubernetes.io/name": service.name},
            "dns": self._dns,
            "endpoint": self._endpoint,
            "secret": self._secret,
            "fail": _fail,
        }
        self.context: dict[str, Any] = {**self._base, "config": self._config}

    def origin(self, folder: str, name: str) -> Origin:
        """Return where a template or file of this service stands."""
        root = self.service.origin.file.rpartition("/")[0]
        path = f"{folder}/{name}"
        return Origin(layer="base", file=f"{root or self.service.name}/{path}")

    def file(self, name: str) -> str:
        """Return one rendered file; its faults are noted once, and the text is empty then."""
        if name not in self._files:
            self._files[name] = ""
            try:
                self._files[name] = render_file(
                    name, self.service.files[name], self._base, origin=self.origin("files", name)
                )
            except RenderError as error:
                self.faults += error.faults
        return self._files[name]

    def _config(self, *names: str) -> dict[str, str]:
        for name in names:
            _known("file", name, self.service.files)
        return {name: self.file(name) for name in names or sorted(self.service.files)}

    def _dns(self, name: str) -> str:
        if not _LABEL.fullmatch(str(name)):
            msg = f"{name!r} is not the name of a Kubernetes Service"
            raise TemplateError(msg, legal="a DNS label; the namespace is never part of it")
        return name

    def _endpoint(self, name: str) -> dict[str, Any]:
        own = {**self.service.endpoints}
        table: dict[str, tuple[Service, Endpoint]] = {}
        for key, endpoint in own.items():
            table[key] = table[f"{self.service.name}.{key}"] = (self.service, endpoint)
        for use in self.service.uses:
            target, _, key = use.partition(".")
            other = self._services.get(target)
            if other is not None and key in other.endpoints:
                table[use] = (other, other.endpoints[key])
        outside = {f"{EXTERNAL}.{key}": key for key in used_externals(self.service.uses)}
        if name in outside:
            # Its port is for the template to write: the core says the same in every environment.
            return {"host": outside[name]}
        _known("endpoint", name, {**table, **outside}, "add it to uses in the descriptor")
        service, endpoint = table[name]
        host = endpoint.service or service.name
        address = f"{host}:{endpoint.port}"
        path = endpoint.path if endpoint.path != "/" and endpoint.path_style == "native" else ""
        return {
            "host": host,
            "port": endpoint.port,
            "protocol": endpoint.protocol,
            "path": endpoint.path,
            "address": address,
            "url": f"{endpoint.protocol}://{address}{path}",
        }

    def _secret(self, name: str) -> str:
        table: dict[str, str] = {}
        for key in self.service.credentials:
            table[key] = table[f"{self.service.name}.{key}"] = secret_name(self.service.name, key)
        reached = {use.partition(".")[0] for use in self.service.uses} | set(self.service.needs)
        for other in sorted(reached & set(self._services)):
            for key in self._services[other].credentials:
                table[f"{other}.{key}"] = secret_name(other, key)
        for key in used_externals(self.service.uses):
            table[f"{EXTERNAL}.{key}"] = secret_name(EXTERNAL, key)
        _known("credential", name, table, "declare it, or add the service to uses")
        return table[name]


_KEYS: Mapping[str, tuple[str, ...]] = {
    "password": ("username", "password"),
    "key": ("key",),
    "cluster-id": ("id",),
    "tls": ("ca.crt", "tls.crt", "tls.key"),
}


def credential_keys(credential: Credential) -> tuple[str, ...]:
    """Return the keys that the Secret of a credential has by its type, without derived forms."""
    return _KEYS.get(credential.type, ())


def secret_name(service: str, credential: str) -> str:
    """Return the name of a credential's Secret."""
    return f"{service}-{credential}"


def _fail(message: str) -> str:
    """Refuse values that are legal one by one and not together; the message ends in the cure."""
    raise TemplateError(str(message))


def _known(what: str, name: object, table: Mapping[str, Any], cure: str = "") -> None:
    if name not in table:
        known = ", ".join(sorted(table)) or f"no {what}"
        msg = f"unknown {what} {name!r}"
        raise TemplateError(
            msg, legal=f"{known} ({cure})" if cure else known, nearest=nearest(str(name), table)
        )
