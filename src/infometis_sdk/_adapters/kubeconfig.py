"""Read kubeconfig files, never write them.

Why not ``kubernetes.config``: importing any part of the client imports all of it (four times
the cost of urllib3); it leaves private keys behind in the temporary directory when the process
is killed, goes on anonymously when a credential plugin fails, never reads a token file again,
and runs the plugin for every single request once a token lives for less than five minutes.
The format is small and frozen; its source is
https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from infometis_sdk.errors import PlatformError

__all__ = ("Connection", "CredentialPlugin", "KubeConfig", "default_files")

_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----.*?-----END [A-Z0-9 ]+-----", re.DOTALL)


@frozen(kw_only=True)
class CredentialPlugin:
    """The ``exec`` section of a user: a program that prints credentials.

    Attributes:
        command: program, on PATH, absolute, or relative to the kubeconfig's directory.
        args: its arguments.
        env: variables added to ours.
        api_version: version of ExecCredential that it speaks.
        install_hint: what the kubeconfig says on how to get the program.
        cluster_info: what the plugin is told of the cluster; ``None`` when it does not ask.
        interactive: ``Never``, ``IfAvailable`` or ``Always``.
        directory: where relative commands start.

    """

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(factory=dict, repr=False)
    api_version: str
    install_hint: str = ""
    cluster_info: Mapping[str, Any] | None = None
    interactive: str = "IfAvailable"
    directory: Path = Path()


@frozen(kw_only=True)
class Connection:
    """What one context says of how to reach one API server; certificates are PEM.

    Attributes:
        source: the context and its file, in words for messages.
        server: URL of the API server without a trailing slash.
        ca: certificates of the authorities; empty for those of the machine.
        verify: false only where the file says ``insecure-skip-tls-verify``.
        server_name: name that the server's certificate must carry; empty for the URL's.
        proxy: ``proxy-url``; empty for that of the environment variables.
        certificate, key: our client certificate.
        token, token_file, username, password, plugin: other ways to say who we are.
        provider: name of a legacy ``auth-provider``.
        user: name of the user entry.
        namespace: the context's namespace.
        path, context: the file and the name of the context, for reading it anew.

    """

    source: str
    server: str
    ca: bytes = b""
    verify: bool = True
    server_name: str = ""
    proxy: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    plugin: CredentialPlugin | None = None
    provider: str = ""
    user: str = ""
    namespace: str = ""
    path: Path | None = None
    context: str = ""


@frozen(kw_only=True)
class KubeConfig:
    """One kubeconfig file as plain data.

    Example:
        >>> empty = KubeConfig(path=Path("config"), data={})
        >>> empty.contexts
        ()

    """

    path: Path
    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> KubeConfig:
        """Read a file.

        Raises:
            PlatformError: there is no such file, or it is no kubeconfig.

        """
        import yaml

        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            msg = f"there is no kubeconfig at {path}"
            raise PlatformError(
                msg, hint="name an existing file, or make the cluster first"
            ) from error
        except OSError as error:
            msg = f"kubeconfig {path} cannot be read: {error.strerror}"
            raise PlatformError(msg, hint="it must be a file that this user may read") from error
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            data = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, in C if there is one
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark else ""
            msg = f"kubeconfig {path}{where} is not valid YAML"
            raise PlatformError(
                msg, hint="kubectl config view shows whether it can be read"
            ) from error
        if not isinstance(data, dict):
            msg = f"kubeconfig {path} is {'empty' if data is None else 'no mapping'}"
            raise PlatformError(msg, hint="a kubeconfig has clusters, contexts and users")
        return cls(path=path, data=data)

    @property
    def contexts(self) -> tuple[str, ...]:
        """Names of the contexts, as they stand in the file."""
        return tuple(str(name) for name in self._names("contexts"))

    @property
    def current(self) -> str:
        """The current context; empty when there is none."""
        return str(self.data.get("current-context") or "")

    def connection(self, context: str = "") -> Connection:
        """Return what a context says; the current one when none is named.

        Raises:
            PlatformError: there is no such context, or it is incomplete.

        """
        name = context or self.current
        if not name:
            msg = f"kubeconfig {self.path} has no current context and none was named"
            raise PlatformError(msg, hint=f"name one of: {self._known('contexts')}")
        chosen = self._entry("contexts", "context", name, "")
        cluster_name = str(chosen.get("cluster") or "")
        cluster = self._entry("clusters", "cluster", cluster_name, f"context {name!r} names")
        user_name = str(chosen.get("user") or "")
        user: Mapping[str, Any] = {}
        if user_name:
            user = self._entry("users", "user", user_name, f"context {name!r} names")
        server = str(cluster.get("server") or "").rstrip("/")
        if not server.startswith(("https://", "http://")):
            msg = f"cluster {cluster_name!r} in {self.path} has the server {server!r}"
            raise PlatformError(msg, hint="a server looks like https://HOST:PORT")
        provider = user.get("auth-provider") or {}
        token_file = user.get("tokenFile")
        return Connection(
            source=f"context {name!r} of {self.path}",
            server=server,
            ca=self._pem(cluster, "certificate-authority"),
            verify=not cluster.get("insecure-skip-tls-verify"),
            server_name=str(cluster.get("tls-server-name") or ""),
            proxy=str(cluster.get("proxy-url") or ""),
            certificate=self._pem(user, "client-certificate"),
            key=self._pem(user, "client-key"),
            token=str(user.get("token") or ""),
            token_file=self.path.parent / str(token_file) if token_file else None,
            username=str(user.get("username") or ""),
            password=str(user.get("password") or ""),
            plugin=self._plugin(user, cluster, user_name),
            provider=str(provider.get("name") or "") if isinstance(provider, dict) else "",
            user=user_name,
            namespace=str(chosen.get("namespace") or ""),
            path=self.path,
            context=name,
        )

    # --- parts ------------------------------------------------------------------------------

    def _names(self, section: str) -> list[Any]:
        entries = self.data.get(section) or []
        return [e["name"] for e in entries if isinstance(e, dict) and "name" in e]

    def _known(self, section: str) -> str:
        return ", ".join(map(str, self._names(section))) or "none, the file has no such entry"

    def _entry(self, section: str, key: str, name: str, who: str) -> Mapping[str, Any]:
        for entry in self.data.get(section) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                found = entry.get(key) or {}
                if isinstance(found, dict):
                    return found
        what = f"{who} the {key} {name!r}, which" if who else f"the context {name!r}"
        msg = f"{what} is not in kubeconfig {self.path}"
        raise PlatformError(msg, hint=f"known {section}: {self._known(section)}")

    def _pem(self, section: Mapping[str, Any], key: str) -> bytes:
        """Return ``KEY-data`` decoded, or the file that ``KEY`` names, as PEM blocks alone."""
        inline, file = section.get(f"{key}-data"), section.get(key)
        if inline:
            try:
                content = base64.b64decode(str(inline), validate=False)
            except binascii.Error as error:
                msg = f"{key}-data in kubeconfig {self.path} is not base64"
                raise PlatformError(
                    msg, hint="get the file anew from whoever runs the cluster"
                ) from error
        elif file:
            path = self.path.parent / str(file)
            try:
                content = path.read_bytes()
            except OSError as error:
                msg = f"{key} {path} of kubeconfig {self.path} cannot be read: {error.strerror}"
                raise PlatformError(
                    msg, hint="restore the file, or get a new kubeconfig"
                ) from error
        else:
            return b""
        blocks = _PEM.findall(content)
        if not blocks:
            msg = f"{key} in kubeconfig {self.path} holds no PEM block"
            raise PlatformError(msg, hint="it must start with -----BEGIN …-----")
        return b"\n".join((*blocks, b""))

    def _plugin(
        self, user: Mapping[str, Any], cluster: Mapping[str, Any], user_name: str
    ) -> CredentialPlugin | None:
        spec = user.get("exec")
        if not isinstance(spec, dict):
            return None
        for key in ("command", "apiVersion"):
            if not spec.get(key):
                msg = f"exec of user {user_name!r} in kubeconfig {self.path} has no {key}"
                raise PlatformError(msg, hint="both command and apiVersion are mandatory")
        return CredentialPlugin(
            command=str(spec["command"]),
            args=tuple(str(arg) for arg in spec.get("args") or ()),
            env={str(e.get("name")): str(e.get("value") or "") for e in spec.get("env") or ()},
            api_version=str(spec["apiVersion"]),
            install_hint=str(spec.get("installHint") or ""),
            cluster_info=_cluster_info(cluster) if spec.get("provideClusterInfo") else None,
            interactive=str(spec.get("interactiveMode") or "IfAvailable"),
            directory=self.path.parent,
        )


def _cluster_info(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``spec.cluster`` of ExecCredential, which has the same keys and one extension."""
    keep = (
        "server",
        "tls-server-name",
        "insecure-skip-tls-verify",
        "certificate-authority-data",
        "proxy-url",
    )
    info = {key: cluster[key] for key in keep if key in cluster}
    for extension in cluster.get("extensions") or ():
        if extension.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = extension.get("extension")
    return info


def default_files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the files that ``kubectl`` would read: ``$KUBECONFIG``, or the one in the home.

    Example:
        >>> [str(path) for path in default_files({"KUBECONFIG": "/a:/b"})]
        ['/a', '/b']

    """
    listed = environ.get("KUBECONFIG", "")
    if listed:
        return tuple(Path(part).expanduser() for part in listed.split(os.pathsep) if part)
    return (Path("~/.kube/config").expanduser(),)
