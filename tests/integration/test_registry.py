"""Digests of images from a genuine registry: open, with passwords, with tokens, over TLS."""

from __future__ import annotations

import base64
import datetime as dt
import http.server
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from tests.registry import Pusher, htpasswd, serving

from infometis_sdk._adapters.registry import Registries
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.engine.validate import validate
from infometis_sdk.errors import ProjectError, RegistryError
from infometis_sdk.model.project import Project
from infometis_sdk.model.run import Run
from infometis_sdk.project import lock_images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

PASSWORD = "geheim-und-lang"
TOKEN = "ein-langes-geheimes-zeichen"


@pytest.fixture(autouse=True)
def nobody_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the user's own credentials and proxies out of the tests."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("REGISTRY_AUTH_FILE", "SSL_CERT_FILE", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def log_in(tmp_path: Path, **config: Any) -> None:
    """Write what ``docker login`` writes."""
    (tmp_path / "docker").mkdir(exist_ok=True)
    (tmp_path / "docker" / "config.json").write_text(json.dumps(config))


def basic(user: str, password: str) -> str:
    """Encode a login as Docker keeps it."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def run() -> Run:
    """Return a run with some patience."""
    return Run.within(60)


def test_a_tag_becomes_the_digest_of_what_is_there(tmp_path: Path) -> None:
    """One platform: its manifest; several: their index, so that every node takes its own."""
    with serving(tmp_path) as host:
        push = Pusher(host)
        one = push.image("demo/one", "1.0", "one")
        many = push.index("demo/many", "2.0", "many", "amd64", "arm64")
        registries = Registries()
        found = registries.resolve(f"{host}/demo/one:1.0", run())
        assert (found.digest, found.platforms) == (one["digest"], ())
        found = registries.resolve(f"{host}/demo/many:2.0", run())
        assert found.digest == many["digest"]
        assert found.platforms == ("linux/amd64", "linux/arm64")
        pinned = f"{host}/demo/one:1.0@{one['digest']}"
        assert registries.resolve(pinned, run()).digest == one["digest"]
        push.image("demo/one", "1.0", "somebody pushed over it")
        assert registries.resolve(f"{host}/demo/one:1.0", run()).digest != one["digest"]
        with pytest.raises(RegistryError, match=r"has no image .*/demo/one:9") as caught:
            registries.resolve(f"{host}/demo/one:9", run())
        assert caught.value.image == f"{host}/demo/one:9"
    with pytest.raises(RegistryError, match="does not answer"):
        Registries().resolve(f"{host}/demo/one:1.0", run())


def test_plain_http_is_offered_only_where_a_server_does_not_understand_tls(tmp_path: Path) -> None:
    """A name that nobody has is mended in the name, not by giving up encryption."""
    with pytest.raises(RegistryError) as unknown:
        Registries().resolve("registry.invalid/demo/one:1.0", run())
    assert unknown.value.hint == "look at its name, the network and the proxy"
    with serving(tmp_path) as host:
        # Another name for this machine, which does not count as loopback.
        elsewhere = f"0.0.0.0:{host.rpartition(':')[2]}"
        with pytest.raises(RegistryError) as plain:
            Registries().resolve(f"{elsewhere}/demo/one:1.0", run())
    assert plain.value.hint == f"where it speaks plain HTTP, --insecure {elsewhere} allows that"


def test_plain_http_is_for_loopback_and_for_hosts_that_were_named(tmp_path: Path) -> None:
    """Elsewhere nothing is said without TLS, unless the user named the host for it."""
    with serving(tmp_path) as host:
        one = Pusher(host).image("demo/one", "1.0", "one")
        # A registry understands requests as proxies get them, so it can stand for another host.
        environ = {"http_proxy": f"http://{host}", "https_proxy": f"http://{host}"}
        image = "registry.example:5000/demo/one:1.0"
        with pytest.raises(RegistryError, match="does not answer"):
            Registries(environ=environ).resolve(image, run())
        named = Registries(["registry.example:5000"], environ)
        assert named.resolve(image, run()).digest == one["digest"]


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of nobody we know is refused; one that SSL_CERT_FILE vouches for is taken."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "tls.pem")
    tls = {"certificate": str(tmp_path / "tls.pem"), "key": str(tmp_path / "tls.pem")}
    with serving(tmp_path) as host:
        one = Pusher(host).image("demo/one", "1.0", "one")
    with serving(tmp_path, http={"tls": tls}) as host:
        image = f"{host}/demo/one:1.0"
        with pytest.raises(RegistryError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            Registries().resolve(image, run())
        assert "SSL_CERT_FILE" in caught.value.hint
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert Registries().resolve(image, run()).digest == one["digest"]


def test_passwords_come_from_where_docker_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration file, credential helper, credential store; no password in any message."""
    with serving(tmp_path, auth=htpasswd(tmp_path, "anna", PASSWORD)) as host:
        push = Pusher(host, f"Basic {basic('anna', PASSWORD)}")
        digest = push.image("demo/one", "1.0", "one")["digest"]
        image = f"{host}/demo/one:1.0"

        with pytest.raises(RegistryError, match="wants a login") as caught:
            Registries().resolve(image, run())
        assert caught.value.hint == f"docker login {host}"
        log_in(tmp_path, auths={host: {"auth": basic("anna", "falsch" + PASSWORD)}})
        with pytest.raises(RegistryError, match=r"refuses .* as anna") as caught:
            Registries().resolve(image, run())
        assert PASSWORD not in str(caught.value)
        log_in(tmp_path, auths={host: {"auth": basic("anna", PASSWORD)}})
        assert Registries().resolve(image, run()).digest == digest

        programs = tmp_path / "bin"
        programs.mkdir()
        answer = json.dumps({"ServerURL": host, "Username": "anna", "Secret": PASSWORD})
        helper = programs / "docker-credential-test"
        helper.write_text(
            f'#!/bin/sh\nread name; [ "$1 $name" = "get {host}" ] || '
            f"{{ echo credentials not found; exit 1; }}\necho '{answer}'\n"
        )
        helper.chmod(0o700)
        monkeypatch.setenv("PATH", str(programs), prepend=":")
        for config in ({"credHelpers": {host: "test"}}, {"credsStore": "test"}):
            log_in(tmp_path, **config)
            assert Registries().resolve(image, run()).digest == digest
        log_in(tmp_path, credHelpers={host: "none-such"})
        with pytest.raises(RegistryError, match="docker-credential-none-such"):
            Registries().resolve(image, run())
        helper.write_text(f"#!/bin/sh\necho {PASSWORD} >&2; exit 3\n")
        log_in(tmp_path, credsStore="test")
        with pytest.raises(RegistryError, match=r"failed for .* with exit code 3") as caught:
            Registries().resolve(image, run())
        assert PASSWORD not in str(caught.value)
        (tmp_path / "docker" / "config.json").write_text("{")
        with pytest.raises(RegistryError, match="cannot be read"):
            Registries().resolve(image, run())


class TokenServer:
    """Gives tokens that a genuine registry accepts, to whoever shows the right login."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._der = certificate.public_bytes(serialization.Encoding.DER)
        self.bundle = folder / "tokens.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.asked: list[tuple[str, dict[str, list[str]]]] = []

    def token(self, scopes: list[str]) -> str:
        """Sign a token for some scopes, as the registry's specification says."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(self._der).decode()]}
        claims = {
            "iss": "tests",
            "sub": "anna",
            "aud": "registry",
            "exp": now + 600,
            "nbf": now - 600,
            "iat": now - 600,
            "jti": "1",
            "access": access,
        }
        signed = ".".join(_url64(json.dumps(part).encode()) for part in (head, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_url64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on loopback; yield the URL."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers GET with basic authentication, and POST with an identity token."""

            def do_GET(self) -> None:
                """Give a token for a password; to nobody else."""
                words = parse_qs(urlsplit(self.path).query)
                right = f"Basic {basic('anna', PASSWORD)}"
                self._give(words, self.headers.get("Authorization") == right)

            def do_POST(self) -> None:
                """Give a token for an identity token."""
                length = int(self.headers["Content-Length"])
                words = parse_qs(self.rfile.read(length).decode())
                self._give(words, words.get("refresh_token") == [TOKEN])

            def _give(self, words: dict[str, list[str]], good: bool) -> None:  # noqa: FBT001
                outer.asked.append((self.command, words))
                body = json.dumps({"token": outer.token(words["scope"])} if good else {}).encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}/token"
            server.shutdown()
            thread.join()


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_tokens_are_asked_for_where_the_registry_says(tmp_path: Path) -> None:
    """With a password or an identity token; without either the refusal names who was refused."""
    tokens = TokenServer(tmp_path)
    with tokens.serving() as realm:
        auth = {
            "token": {
                "realm": realm,
                "service": "registry",
                "issuer": "tests",
                "rootcertbundle": str(tokens.bundle),
            }
        }
        with serving(tmp_path, auth=auth) as host:
            push = Pusher(host, f"Bearer {tokens.token(['repository:demo/one:pull,push'])}")
            digest = push.image("demo/one", "1.0", "one")["digest"]
            image = f"{host}/demo/one:1.0"
            with pytest.raises(RegistryError, match="gives anybody no token"):
                Registries().resolve(image, run())
            log_in(tmp_path, auths={host: {"auth": basic("anna", PASSWORD)}})
            assert Registries().resolve(image, run()).digest == digest
            wanted = {"service": ["registry"], "scope": ["repository:demo/one:pull"]}
            assert tokens.asked[-1] == ("GET", wanted)
            log_in(tmp_path, auths={host: {"identitytoken": TOKEN}})
            assert Registries().resolve(image, run()).digest == digest
            assert tokens.asked[-1][0] == "POST"


SERVICE = """\
format: infometis.io/service/v1
name: web
version: "1.0"
images:
  main: {{repository: {host}/demo/web, tag: "1.0"}}
  tool: {{repository: {host}/demo/tool, tag: "3"}}
"""
TEMPLATE = """\
apiVersion: v1
kind: Pod
metadata:
  name: {{ name }}
spec:
  initContainers:
    - name: tool
      image: {{ images.tool }}
  containers:
    - name: main
      image: {{ images.main }}
"""
RAW = """\
apiVersion: v1
kind: Pod
metadata:
  name: raw
spec:
  containers:
    - name: main
      image: {host}/demo/raw:7
"""
PROJECT = "format: infometis.io/project/v1\nname: demo\nid: demo-1\nservices:\n  web: {}\n"
ENVIRONMENT = "format: infometis.io/environment/v1\npolicies: {images: locked}\n"


def infometis(*words: str) -> str:
    """Run the command, and return what it prints."""
    command = (sys.executable, "-m", "infometis_sdk", *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_lock_makes_the_core_verified_and_production_can_demand_it(  # noqa: PLR0915 - one story
    tmp_path: Path,
) -> None:
    """Unresolved tags are errors where they are forbidden; the lock cures them and stays put."""
    root = tmp_path / "project"
    with serving(tmp_path) as host:
        for name, text in {
            "infometis.yaml": PROJECT,
            "environments/prod.yaml": ENVIRONMENT,
            "services/web/service.yaml": SERVICE.format(host=host),
            "services/web/templates/pod.yaml.j2": TEMPLATE,
            "services/web/manifests/raw.yaml": RAW.format(host=host),
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)

        def prod() -> Any:
            project = Project.load(root)
            return render(compose(project, project.environments["prod"]))

        loose = prod()
        assert not loose.verified
        faults = [f for f in validate(loose) if "policies.images" in f.message]
        assert sorted(f.found for f in faults) == [
            f"'{host}/demo/{name}'" for name in ("raw:7", "tool:3", "web:1.0")
        ]
        assert all("infometis lock --images" in f.legal for f in faults)

        push = Pusher(host)
        web = push.index("demo/web", "1.0", "web", "amd64", "arm64")["digest"]
        with pytest.raises(RegistryError) as caught:
            lock_images(Project.load(root), Registries(), run())
        assert "2 of 3 images could not be resolved" in caught.value.message
        assert "demo/tool:3" in caught.value.message
        assert "demo/raw:7" in caught.value.message
        assert not (root / "infometis.lock").exists(), "nothing is written by halves"

        push.image("demo/tool", "3", "tool")
        raw = push.image("demo/raw", "7", "raw")["digest"]
        locked = lock_images(Project.load(root), Registries(), run())
        assert [one.state for one in locked.images] == ["new"] * 3
        tight = prod()
        assert tight.verified
        assert not [f for f in validate(tight) if "policies.images" in f.message]
        assert tight.digest != loose.digest, "a digest is an input of the core"
        pods = {m.ref.name: m.object["spec"]["containers"][0]["image"] for m in tight.manifests
                if m.ref.kind == "Pod"}  # fmt: skip
        assert pods == {
            "web": f"{host}/demo/web:1.0@{web}",
            "raw": f"{host}/demo/raw:7@{raw}",
        }

        # Somebody pushes over a tag: nothing moves until it is told to.
        push.image("demo/raw", "7", "another")
        kept = lock_images(Project.load(root), Registries(), run())
        assert [one.state for one in kept.images] == ["kept"] * 3
        assert prod().digest == tight.digest
        moved = lock_images(Project.load(root), Registries(), run(), update=["web"])
        assert {one.image: one.state for one in moved.images} == {
            f"{host}/demo/raw:7": "moved",
            f"{host}/demo/tool:3": "kept",
            f"{host}/demo/web:1.0": "kept",
        }
        assert moved.images[0].before == raw
        assert prod().digest != tight.digest
        with pytest.raises(ProjectError, match="there is no service 'wep'") as wrong:
            lock_images(Project.load(root), Registries(), run(), update=["wep"])
        assert wrong.value.faults[0].nearest == "web"

        words = ("-C", str(root), "lock", "--images", "--update", "web", "--output", "json")
        assert json.loads(infometis(*words))["images"][f"{host}/demo/web:1.0"] == web
        assert "3 kept" in infometis("-C", str(root), "lock", "--images")

        # Through a mirror the digests are the same, and the names stay the project's own.
        (root / "services/web/service.yaml").write_text(SERVICE.format(host="hub.example"))
        (root / "services/web/manifests/raw.yaml").unlink()
        push.index("mirror/hub.example/demo/web", "1.0", "web", "amd64", "arm64")
        push.image("mirror/hub.example/demo/tool", "3", "tool")
        mirrored = lock_images(Project.load(root), Registries(), run(), mirror=f"{host}/mirror")
        assert {one.image: one.digest for one in mirrored.images}["hub.example/demo/web:1.0"] == web
        assert len(mirrored.images) == 2
