"""Reading kubeconfig files; the official client is the oracle where it is right."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from infometis_sdk._adapters.credentials import resolve
from infometis_sdk._adapters.kubeconfig import KubeConfig, default_files
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Run
from infometis_sdk.testing.throwaway import self_signed

CERTIFICATE, KEY = self_signed(("localhost",))


def _data(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def _file(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    path = folder / "config"
    document = {
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other.invalid"}},
            {"name": "c", "cluster": {"server": "https://c.invalid:6443/", **cluster}},
        ],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "first", "context": {"cluster": "other"}},
            {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}},
        ],
        "current-context": "first",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        ({}, {}),
        ({}, {"token": "t0ken"}),
        ({}, {"username": "me", "password": "password:with colon"}),
        ({"insecure-skip-tls-verify": True}, {"token": "t"}),
        ({"tls-server-name": "inside"}, {"token": "t"}),
        ({"proxy-url": "http://proxy.invalid:3128"}, {"token": "t"}),
        ({"server": "http://127.0.0.1:8001/prefix/"}, {}),
        (
            {"certificate-authority-data": _data(CERTIFICATE)},
            {"client-certificate-data": _data(CERTIFICATE), "client-key-data": _data(KEY)},
        ),
        (
            {"certificate-authority": "ca.crt"},
            {"client-certificate": "sub/me.crt", "client-key": "sub/me.key"},
        ),
        ({}, {"tokenFile": "token"}),
    ],
)
def test_agrees_with_the_official_client(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any]
) -> None:
    """What we read from a file is what the Kubernetes client reads from it."""
    from kubernetes.client import Configuration
    from kubernetes.config import kube_config

    (tmp_path / "sub").mkdir()
    (tmp_path / "ca.crt").write_bytes(CERTIFICATE)
    (tmp_path / "sub/me.crt").write_bytes(CERTIFICATE)
    (tmp_path / "sub/me.key").write_bytes(KEY)
    (tmp_path / "token").write_text("from-file", encoding="utf-8")
    path = _file(tmp_path, cluster, user)
    oracle = Configuration()
    kube_config.load_kube_config(str(path), "x", oracle, persist_config=False)

    ours = KubeConfig.read(path).connection("x")
    who = resolve(ours, Run.within(10))

    assert ours.server == oracle.host
    assert ours.verify == oracle.verify_ssl
    assert (ours.server_name or None) == oracle.tls_server_name
    assert (ours.proxy or None) == oracle.proxy
    assert (who.authorization or None) == oracle.get_api_key_with_prefix("BearerToken")
    for mine, theirs in (
        (ours.ca, oracle.ssl_ca_cert),
        (who.certificate, oracle.cert_file),
        (who.key, oracle.key_file),
    ):
        assert mine == (Path(theirs).read_bytes() if theirs else b"")


def test_names(tmp_path: Path) -> None:
    """A file knows its contexts and the current one; a connection where it came from."""
    config = KubeConfig.read(_file(tmp_path, {}, {"token": "t"}))
    assert config.contexts == ("first", "x")
    assert config.current == "first"
    assert config.connection().server == "https://other.invalid"
    chosen = config.connection("x")
    assert chosen.namespace == "n"
    assert chosen.source == f"context 'x' of {config.path}"


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    """Neither tokens nor keys nor passwords are in what Python prints of these values."""
    user = {
        "token": "t0ken",
        "password": "passw0rd",
        "client-certificate-data": _data(CERTIFICATE),
        "client-key-data": _data(KEY),
    }
    proxy = {"proxy-url": "http://me:pr0xypass@proxy.invalid"}
    config = KubeConfig.read(_file(tmp_path, proxy, user))
    connection = config.connection("x")
    text = f"{config!r} {connection!r} {resolve(connection, Run.within(10))!r}"
    for secret in ("t0ken", "passw0rd", "pr0xypass", "PRIVATE KEY", _data(KEY)):
        assert secret not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("- a", "is no mapping"),
        ("a: [", "is not valid YAML"),
        ("contexts: []", "no current context"),
        ("current-context: x", "the context 'x' is not in kubeconfig"),
    ],
)
def test_files_that_say_nothing(tmp_path: Path, text: str, words: str) -> None:
    """A file that leads nowhere is named, with what is wrong with it."""
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlatformError, match=words) as caught:
        KubeConfig.read(path).connection()
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(PlatformError, match="there is no kubeconfig at"):
        KubeConfig.read(tmp_path / "nowhere")


def test_unreadable_file(tmp_path: Path) -> None:
    """A directory is no file."""
    with pytest.raises(PlatformError, match="cannot be read"):
        KubeConfig.read(tmp_path)


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({"server": "c.invalid"}, {}, "has the server 'c.invalid'"),
        ({"certificate-authority-data": "abc"}, {}, "certificate-authority-data"),
        ({"certificate-authority-data": _data(b"hello")}, {}, "holds no PEM block"),
        ({"certificate-authority": "gone.crt"}, {}, "gone.crt"),
        ({}, {"exec": {"command": "login"}}, "has no apiVersion"),
    ],
)
def test_faulty_entries(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], words: str
) -> None:
    """What is wrong inside is named, with the file."""
    path = _file(tmp_path, cluster, user)
    with pytest.raises(PlatformError, match=words) as caught:
        KubeConfig.read(path).connection("x")
    assert "kubeconfig" in str(caught.value) or str(path) in str(caught.value)


def test_dangling_names(tmp_path: Path) -> None:
    """A context that names a cluster or a user which is not there says which are."""
    path = _file(tmp_path, {}, {})
    document = json.loads(path.read_text(encoding="utf-8"))
    document["contexts"][0]["context"] = {"cluster": "gone"}
    document["contexts"][1]["context"] = {"cluster": "c", "user": "gone"}
    path.write_text(json.dumps(document), encoding="utf-8")
    for context, known in (("first", "other, c"), ("x", "u")):
        with pytest.raises(PlatformError, match="'gone', which is not in") as caught:
            KubeConfig.read(path).connection(context)
        assert known in caught.value.hint


def test_default_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files as kubectl's, in its order."""
    monkeypatch.setenv("HOME", "/home/me")
    assert default_files({}) == (Path("/home/me/.kube/config"),)
    assert default_files({"KUBECONFIG": ""}) == (Path("/home/me/.kube/config"),)
    listed = {"KUBECONFIG": "~/a::/b"}
    assert default_files(listed) == (Path("/home/me/a"), Path("/b"))
