"""Which digest a tag has: asked through the API that every container registry serves.

Sources: https://github.com/opencontainers/distribution-spec/blob/main/spec.md (pulling manifests)
and https://distribution.github.io/distribution/spec/auth/token/ (bearer tokens).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from attrs import field, frozen

from infometis_sdk._adapters.proxies import is_loopback, proxy_for
from infometis_sdk._adapters.registry_credentials import login_for
from infometis_sdk.errors import RegistryError
from infometis_sdk.model.image_reference import ImageReference
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from urllib3 import PoolManager
    from urllib3.response import BaseHTTPResponse

    from infometis_sdk._adapters.registry_credentials import Login

__all__ = ("Registries", "ResolvedImage")

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
_MOST = 4 * 1024 * 1024
"""Bytes of a manifest; registries must take 4 MiB, says the specification."""
_SECONDS = 20.0
_TRIES = 3
_REDIRECTS = 5
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_WORDS = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


@frozen(kw_only=True)
class ResolvedImage:
    """What a tag stands for now.

    Attributes:
        image: as it was asked for.
        digest: of the index where the image is built for several platforms,
            so that every node takes its own; else of the manifest.
        platforms: such as ``linux/amd64``; empty where there is no index.

    """

    image: str
    digest: str
    platforms: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class _Asked:
    """One question, as it goes from method to method."""

    image: str
    name: ImageReference
    run: Run


class Registries:
    """Container registries, reached over TLS with the credentials that Docker or Podman keep.

    Certificates are checked against those of the system, or of ``SSL_CERT_FILE``.
    Plain HTTP is spoken with loopback addresses, and with hosts that were named for it.

    Args:
        insecure: hosts, with their ports, that speak plain HTTP.
        environ: environment variables.

    """

    def __init__(
        self, insecure: Collection[str] = (), environ: Mapping[str, str] = os.environ
    ) -> None:
        self._insecure = frozenset(insecure)
        self._environ = environ
        self._pools: dict[str, PoolManager] = {}

    def resolve(self, image: str, run: Run) -> ResolvedImage:
        """Return the digest of a tag; its manifest is read whole, and its digest computed here.

        Raises:
            RegistryError: the registry cannot be reached, refuses us, or has no such tag.

        """
        name = ImageReference.parse(image)
        host = _HUB_HOST if name.host == _HUB else name.host
        wanted = name.digest or name.tag
        last: RegistryError | None = None
        for scheme in self._schemes(name.host):
            url = f"{scheme}://{host}/v2/{name.repository}/manifests/{wanted}"
            try:
                answer, body = self._manifest(url, _Asked(image=image, name=name, run=run))
            except _UnreachableError as error:
                last = error
                continue
            return _resolved(image, answer, body, name.digest)
        raise last or RegistryError(f"there is no way to the registry {name.host}", image=image)

    def _schemes(self, host: str) -> tuple[str, ...]:
        if host in self._insecure:
            return ("http",)
        return ("https", "http") if is_loopback(f"https://{host}") else ("https",)

    def _manifest(self, url: str, asked: _Asked) -> tuple[BaseHTTPResponse, bytes]:
        image, name, run = asked.image, asked.name, asked.run
        headers = {"Accept": ", ".join((*_INDEXES, *_MANIFESTS))}
        answer = self._send("GET", url, headers, asked)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            login = login_for(name.host, name.repository, run, self._environ)
            challenge = answer.headers.get("WWW-Authenticate", "")
            headers["Authorization"] = self._authorization(challenge, login, asked)
            answer = self._send("GET", url, headers, asked)
            if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                who = f"as {login.user or 'the holder of a token'}" if login else "without a login"
                msg = f"the registry {name.host} refuses {image} {who}"
                raise RegistryError(msg, image=image, hint=f"docker login {name.host}")
        if answer.status == HTTPStatus.NOT_FOUND:
            msg = f"the registry {name.host} has no image {image}"
            raise RegistryError(msg, image=image, hint="mend the tag, or push the image")
        if answer.status != HTTPStatus.OK:
            msg = f"the registry {name.host} answers {answer.status} for {image}"
            raise RegistryError(msg, image=image)
        body = answer.data
        if len(body) > _MOST:
            msg = f"the manifest of {image} is larger than a registry may serve"
            raise RegistryError(msg, image=image)
        return answer, body

    def _authorization(self, challenge: str, login: Login | None, asked: _Asked) -> str:
        from urllib3.util import make_headers

        image, name = asked.image, asked.name
        scheme, _, rest = challenge.strip().partition(" ")
        if scheme.lower() == "basic":
            if login is None or not login.user:
                msg = f"the registry {name.host} wants a login for {image}"
                raise RegistryError(msg, image=image, hint=f"docker login {name.host}")
            both = f"{login.user}:{login.secret.reveal()}"
            return str(make_headers(basic_auth=both)["authorization"])
        words = {key.lower(): quoted or bare for key, quoted, bare in _WORDS.findall(rest)}
        realm = words.get("realm", "")
        if scheme.lower() != "bearer" or not realm:
            msg = f"the registry {name.host} asks for a login in a way that we do not know"
            raise RegistryError(msg, image=image)
        return f"Bearer {self._token(realm, words, login, asked)}"

    def _token(
        self, realm: str, words: Mapping[str, str], login: Login | None, asked: _Asked
    ) -> str:
        """Ask the token server that the registry names; a password goes there only by TLS."""
        from urllib3.util import make_headers

        image, name = asked.image, asked.name
        server = urlsplit(realm)
        plain = server.scheme != "https" and not is_loopback(realm)
        if plain and server.netloc not in self._insecure:
            msg = f"the registry {name.host} sends us to {server.netloc} without TLS"
            raise RegistryError(msg, image=image, hint="nothing was sent there")
        wanted = {
            "service": words.get("service", ""),
            "scope": words.get("scope") or f"repository:{name.repository}:pull",
        }
        if login is not None and not login.user:
            form = {
                **wanted,
                "grant_type": "refresh_token",
                "client_id": "infometis",
                "refresh_token": login.secret.reveal(),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._send("POST", realm, headers, asked, urlencode(form))
        else:
            headers = {}
            if login is not None:
                headers = make_headers(basic_auth=f"{login.user}:{login.secret.reveal()}")
            joiner = "&" if server.query else "?"
            answer = self._send("GET", f"{realm}{joiner}{urlencode(wanted)}", headers, asked)
        try:
            data = json.loads(answer.data) if answer.status == HTTPStatus.OK else {}
            token = data.get("token") or data.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str):
            who = f"{login.user or 'the token that is kept'}" if login else "anybody"
            msg = f"the token server of {name.host} gives {who} no token for {image}"
            raise RegistryError(msg, image=image, hint=f"docker login {name.host}")
        return token

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        asked: _Asked,
        body: str | None = None,
    ) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError
        from urllib3.util import Retry, Timeout

        image = asked.image
        asked.run.check(f"asking for {image}")
        patience = max(asked.run.remaining(_SECONDS), 0.1)
        retry = Retry(
            total=_TRIES + _REDIRECTS,
            connect=0,
            other=0,  # certificates do not get better by trying
            read=_TRIES,
            redirect=_REDIRECTS,
            status=_TRIES,
            status_forcelist=(429, 500, 502, 503, 504),
            backoff_factor=0.5,
            backoff_max=4.0,
            respect_retry_after_header=False,
            raise_on_status=False,
        )
        try:
            answer = self._pool(url).request(
                method,
                url,
                headers=dict(headers),
                body=body,
                retries=retry,
                timeout=Timeout(connect=min(5.0, patience), read=patience),
            )
        except HTTPError as error:
            host = urlsplit(url).netloc
            msg = f"the registry {host} does not answer for {image}: {_why(error)}"
            if "CERTIFICATE_VERIFY_FAILED" in msg:
                hint = "name the authority that signed it in SSL_CERT_FILE"
                raise RegistryError(msg, image=image, hint=hint) from error
            hint = "look at its name, the network and the proxy"
            if "SSL" in _why(error):
                hint = f"where it speaks plain HTTP, --insecure {host} allows that"
            raise _UnreachableError(msg, image=image, hint=hint) from error
        final = answer.geturl() or url
        if url.startswith("https:") and final.startswith("http:"):
            msg = f"the registry sends us from TLS to plain HTTP for {image}"
            raise RegistryError(msg, image=image)
        return answer

    def _pool(self, url: str) -> PoolManager:
        import urllib3

        proxy = proxy_for(url, self._environ)
        if proxy not in self._pools:
            context = ssl.create_default_context()
            self._pools[proxy] = (
                urllib3.ProxyManager(proxy, ssl_context=context)
                if proxy
                else urllib3.PoolManager(ssl_context=context)
            )
        return self._pools[proxy]


class _UnreachableError(RegistryError):
    """There was no answer; another scheme may give one."""


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error).rpartition(">: ")[2]


def _resolved(image: str, answer: BaseHTTPResponse, body: bytes, wanted: str) -> ResolvedImage:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind not in (*_INDEXES, *_MANIFESTS):
        msg = f"{image} is no image that we know, but {kind or 'something without a type'}"
        raise RegistryError(msg, image=image)
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    for told in (answer.headers.get("Docker-Content-Digest", ""), wanted):
        if _DIGEST.fullmatch(told) and told != digest:
            msg = f"the registry says {told} for {image}, but what it sends is {digest}"
            raise RegistryError(msg, image=image)
    return ResolvedImage(image=image, digest=digest, platforms=_platforms(kind, body, image))


def _platforms(kind: str, body: bytes, image: str) -> tuple[str, ...]:
    if kind not in _INDEXES:
        return ()
    try:
        entries: list[Any] = json.loads(body)["manifests"]
        found = {_platform(entry.get("platform") or {}) for entry in entries}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"the index of {image} cannot be read"
        raise RegistryError(msg, image=image) from error
    return tuple(sorted(name for name in found if name))


def _platform(data: Mapping[str, Any]) -> str:
    parts = [str(data.get(key) or "") for key in ("os", "architecture", "variant")]
    # Signatures and attestations stand in an index as "unknown/unknown".
    return "" if "unknown" in parts else "/".join(part for part in parts if part)
