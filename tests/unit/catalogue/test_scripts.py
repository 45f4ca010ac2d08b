"""The shell scripts of the catalogue, run by the real /bin/sh on folders of the test."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import stat
import subprocess
import threading
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from tests.unit.catalogue.stacks import one, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HASH = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
SCRIPTS = sorted((s.name, f) for s in services().values() for f in s.files if f.endswith(".sh"))


def run(service: str, name: str, **environment: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a script with nothing but the environment that its container gives it."""
    return subprocess.run(
        ["/bin/sh", str(files(f"infometis_sdk.catalogue.{service}") / "files" / name)],
        env={"PATH": os.environ["PATH"], **{k: str(v) for k, v in environment.items()}},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def put(folder: Path, **contents: str) -> Path:
    """Write files of a folder, as a Secret or a ConfigMap is mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (folder / name).write_text(text)
    return folder


def program(path: Path, text: str) -> None:
    """Write an executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("service", "name"), SCRIPTS)
def test_scripts_are_posix_shell(service: str, name: str) -> None:
    """Each script parses, stops at the first failure and at unset variables, and traces nothing."""
    text = services()[service].files[name]
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert "set -x" not in text
    path = files(f"infometis_sdk.catalogue.{service}") / "files" / name
    subprocess.run(["/bin/sh", "-n", str(path)], check=True)


@pytest.mark.parametrize(("service", "name"), SCRIPTS)
def test_scripts_pass_shellcheck(service: str, name: str) -> None:
    """Shellcheck finds nothing in any script."""
    checker = shutil.which("shellcheck")
    if checker is None:
        if os.environ.get("CI"):
            pytest.fail("shellcheck is missing")
        pytest.skip("shellcheck is not installed")
    path = files(f"infometis_sdk.catalogue.{service}") / "files" / name
    done = subprocess.run([checker, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- Kafka ------------------------------------------------------------------------------------


@pytest.fixture
def kafka(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Start a node whose Kafka only says how it was called."""
    home = tmp_path / "kafka"
    calls = tmp_path / "calls"
    program(
        home / "bin" / "kafka-storage.sh",
        f'echo "storage $*" >>{calls}\n'
        f"mkdir -p {tmp_path}/data/kraft\n"
        f"echo cluster.id=$3 >{tmp_path}/data/kraft/meta.properties",
    )
    program(home / "bin" / "kafka-server-start.sh", f'echo "server $*" >>{calls}')
    data = one("ConfigMap", "kafka-config", {"kafka": {"controllers": 3, "replicas": 4}})["data"]
    text = data["server.properties"].replace("/var/lib/kafka/data", f"{tmp_path}/data")
    put(tmp_path / "settings", **{"server.properties": text})

    def start(
        pod: str, cluster_id: str = "AAAAAAAAAAAAAAAAAAAAAA", **more: str
    ) -> subprocess.CompletedProcess[str]:
        calls.unlink(missing_ok=True)
        return run(
            "kafka",
            "start.sh",
            POD_NAME=pod,
            HEADLESS_SERVICE="kafka-headless",
            CLUSTER_ID=cluster_id,
            SETTINGS_DIR=tmp_path / "settings",
            RUN_DIR=tmp_path / "run",
            KAFKA_HOME=home,
            **more,
        )

    return start


def properties(path: Path) -> dict[str, str]:
    """Read a properties file, last entry wins, as Java does."""
    lines = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {key: value for key, _, value in lines if not key.startswith("#")}


@pytest.mark.parametrize(
    ("ordinal", "roles", "listeners"),
    [
        (0, "broker,controller", "INTERNAL://:9092,EXTERNAL://:9094,CONTROLLER://:9093"),
        (2, "broker,controller", "INTERNAL://:9092,EXTERNAL://:9094,CONTROLLER://:9093"),
        (3, "broker", "INTERNAL://:9092,EXTERNAL://:9094"),
        (12, "broker", "INTERNAL://:9092,EXTERNAL://:9094"),
    ],
)
def test_kafka_role_follows_the_ordinal(
    kafka: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    ordinal: int,
    roles: str,
    listeners: str,
) -> None:
    """Voters are brokers too; all others are brokers only and do not listen for controllers."""
    assert kafka(f"kafka-{ordinal}").returncode == 0
    found = properties(tmp_path / "run" / "server.properties")
    assert found["node.id"] == str(ordinal)
    assert found["process.roles"] == roles
    assert found["listeners"] == listeners
    inside = f"kafka-{ordinal}.kafka-headless"
    assert found["advertised.listeners"] == f"INTERNAL://{inside}:9092,EXTERNAL://{inside}:9094"


def test_kafka_names_itself_to_the_outside_as_the_border_does(
    kafka: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """A client that came through the border is sent on to each broker, through the border again."""
    done = kafka("kafka-2", PUBLIC_DOMAIN="example.org", PUBLIC_PORT="8443")
    assert done.returncode == 0
    found = properties(tmp_path / "run" / "server.properties")
    assert found["advertised.listeners"] == (
        "INTERNAL://kafka-2.kafka-headless:9092,EXTERNAL://kafka-2.example.org:8443"
    )


def test_kafka_formats_once(
    kafka: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """An empty volume is formatted with the stored cluster id; a formatted one is only started."""
    kafka("kafka-0")
    settings = tmp_path / "run" / "server.properties"
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"storage format --cluster-id {'A' * 22} --config {settings} --ignore-formatted",
        f"server {settings}",
    ]
    kafka("kafka-0")
    assert (tmp_path / "calls").read_text().splitlines() == [f"server {settings}"]


def test_kafka_refuses_a_foreign_volume(
    kafka: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """A volume with another cluster's id is neither formatted nor used."""
    kafka("kafka-0")
    done = kafka("kafka-0", "BBBBBBBBBBBBBBBBBBBBBB")
    assert done.returncode == 78
    assert "belongs to Kafka cluster AAAAAAAAAAAAAAAAAAAAAA" in done.stderr
    assert not (tmp_path / "calls").exists()


def test_kafka_refuses_a_pod_without_an_ordinal(
    kafka: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """A pod that is not of a StatefulSet has no ordinal and ends with a reason."""
    done = kafka("kafka-7d9f6b")
    assert done.returncode == 64
    assert "does not end in an ordinal" in done.stderr


# --- Elasticsearch ----------------------------------------------------------------------------


def prepare_elasticsearch(
    tmp_path: Path, pod: str, bcrypt: str = HASH
) -> subprocess.CompletedProcess[str]:
    """Prepare a node's config folder."""
    put(
        tmp_path / "shipped",
        **{"jvm.options": "-Xshare:auto\n", "elasticsearch.yml": "shipped: 1\n"},
    )
    put(tmp_path / "shipped" / "jvm.options.d", note="")
    data = one("ConfigMap", "elasticsearch-config")["data"]
    return run(
        "elasticsearch",
        "prepare.sh",
        POD_NAME=pod,
        INITIAL_MASTER_NODES="elasticsearch-0,elasticsearch-1",
        SHIPPED_DIR=tmp_path / "shipped",
        RENDERED_DIR=put(tmp_path / "rendered", **data),
        CONFIG_DIR=put(tmp_path / "config"),
        DATA_DIR=put(tmp_path / "data"),
        READER_DIR=put(tmp_path / "reader", username="infometis-reader", bcrypt=bcrypt),
    )


@pytest.mark.parametrize("version", ["2a", "2b", "2y"])
def test_elasticsearch_gets_its_reader(tmp_path: Path, version: str) -> None:
    """The file realm gets the reader with a hash that Elasticsearch recognises, and its role."""
    done = prepare_elasticsearch(tmp_path, "elasticsearch-1", HASH.replace("2b", version))
    assert done.returncode == 0, done.stderr
    config = tmp_path / "config"
    assert (config / "users").read_text() == f"infometis-reader:{HASH.replace('2b', '2a')}\n"
    assert (config / "users_roles").read_text() == "infometis_reader:infometis-reader\n"
    assert "infometis_reader:" in (config / "roles.yml").read_text()
    assert stat.S_IMODE((config / "users").stat().st_mode) == 0o600
    assert HASH[10:] not in done.stdout + done.stderr


def test_elasticsearch_keeps_what_the_image_ships(tmp_path: Path) -> None:
    """Files of the image are there beside the rendered settings, which win."""
    prepare_elasticsearch(tmp_path, "elasticsearch-1")
    config = tmp_path / "config"
    assert (config / "jvm.options").read_text() == "-Xshare:auto\n"
    assert (config / "jvm.options.d" / "note").exists()
    text = (config / "elasticsearch.yml").read_text()
    assert text == one("ConfigMap", "elasticsearch-config")["data"]["elasticsearch.yml"]


def test_elasticsearch_is_founded_by_its_first_pod_only(tmp_path: Path) -> None:
    """Only the first pod names the founding nodes: all others can do nothing but join."""
    for ordinal, expected in ((0, 1), (1, 0), (10, 0)):
        prepare_elasticsearch(tmp_path / str(ordinal), f"elasticsearch-{ordinal}")
        text = (tmp_path / str(ordinal) / "config" / "elasticsearch.yml").read_text()
        assert (
            text.count("cluster.initial_master_nodes: [elasticsearch-0,elasticsearch-1]\n")
            == expected
        )


def test_elasticsearch_member_founds_nothing(tmp_path: Path) -> None:
    """A first pod that never met the others may still found; one with an index may not."""
    put(tmp_path / "new" / "data" / "indices")
    put(tmp_path / "new" / "data" / "_state", node="")
    put(tmp_path / "old" / "data" / "indices" / "u5XgkQ6FQm6")
    for name, expected in (("new", 1), ("old", 0)):
        assert prepare_elasticsearch(tmp_path / name, "elasticsearch-0").returncode == 0
        text = (tmp_path / name / "config" / "elasticsearch.yml").read_text()
        assert text.count("cluster.initial_master_nodes") == expected


def test_elasticsearch_refuses_a_reader_without_a_hash(tmp_path: Path) -> None:
    """A plain password in place of the hash would be taken as it is; it ends with a reason."""
    done = prepare_elasticsearch(tmp_path, "elasticsearch-0", "secret")
    assert done.returncode == 78
    assert "no bcrypt hash" in done.stderr


# --- NiFi -------------------------------------------------------------------------------------

_SHIPPED = """\
# Core Properties #
nifi.flow.configuration.file=./conf/flow.json.gz
nifi.flow.configuration.archive.enabled=true
nifi.web.https.host=localhost
nifi.sensitive.props.key=
#nifi.python.command=python3
nifi.web.request.log.format=%{client}a - %u %t "%r" %s %O
"""
_BOOTSTRAP = (
    "# heap\njava.arg.2=-Xms1g\njava.arg.3=-Xmx1g\njava.arg.headless=-Djava.awt.headless=true\n"
)


def prepare_nifi(
    tmp_path: Path,
    *,
    clustered: bool = False,
    key: str = "k" * 32,
    user: str = "admin",
    bcrypt: str = HASH,
) -> subprocess.CompletedProcess[str]:
    """Prepare a node's conf folder and volume."""
    shipped = put(
        tmp_path / "shipped",
        **{
            "nifi.properties": _SHIPPED,
            "bootstrap.conf": _BOOTSTRAP,
            "logback.xml": "<configuration/>",
        },
    )
    data = one("ConfigMap", "nifi-config", {"nifi": {"clustered": clustered}})["data"]
    return run(
        "nifi",
        "prepare.sh",
        POD_NAME="nifi-1",
        HEADLESS_SERVICE="nifi-headless",
        CLUSTERED=str(clustered).lower(),
        HEAP="1024",
        SHIPPED_DIR=shipped,
        RENDERED_DIR=put(tmp_path / "rendered", **data),
        CONF_DIR=put(tmp_path / "conf"),
        DATA_DIR=put(tmp_path / "data"),
        ADMIN_DIR=put(tmp_path / "admin", username=user, bcrypt=bcrypt),
        KEY_DIR=put(tmp_path / "key", key=key),
    )


def test_nifi_settings_are_laid_over_those_of_the_image(tmp_path: Path) -> None:
    """Entries are replaced in place, new ones added, each once, and everything else stays."""
    done = prepare_nifi(tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "conf" / "nifi.properties").read_text().splitlines()
    assert lines[:4] == [
        "# Core Properties #",
        "nifi.flow.configuration.file=/var/lib/nifi/conf/flow.json.gz",
        "nifi.flow.configuration.archive.enabled=true",
        "nifi.web.https.host=0.0.0.0",
    ]
    assert 'nifi.web.request.log.format=%{client}a - %u %t "%r" %s %O' in lines
    keys = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert len(keys) == len(set(keys))
    assert {"nifi.security.keystoreType", "nifi.python.command"} <= set(keys)
    bootstrap = (tmp_path / "conf" / "bootstrap.conf").read_text()
    assert bootstrap == _BOOTSTRAP.replace("1g", "1024m")
    assert sorted(p.name for p in (tmp_path / "conf").iterdir()) == [
        "bootstrap.conf",
        "logback.xml",
        "login-identity-providers.xml",
        "nifi.properties",
        "state-management.xml",
    ]


def test_nifi_member_is_called_by_its_name(tmp_path: Path) -> None:
    """A member of a cluster announces its own name, and listens on loopback too."""
    prepare_nifi(tmp_path, clustered=True)
    found = properties(tmp_path / "conf" / "nifi.properties")
    assert (
        found["nifi.web.https.host"] == found["nifi.cluster.node.address"] == "nifi-1.nifi-headless"
    )
    assert found["nifi.web.https.network.interface.lo"] == "lo"
    assert found["nifi.cluster.is.node"] == "true"


def test_nifi_volume_is_laid_out(tmp_path: Path) -> None:
    """Every folder that the settings name is on the volume; a second start harms nothing."""
    prepare_nifi(tmp_path)
    flow = tmp_path / "data" / "conf" / "flow.json.gz"
    flow.write_bytes(b"flow")
    assert prepare_nifi(tmp_path).returncode == 0
    assert flow.read_bytes() == b"flow"
    for key, value in properties(tmp_path / "conf" / "nifi.properties").items():
        if value.startswith("/var/lib/nifi") and key != "nifi.flow.configuration.file":
            assert (tmp_path / "data" / value.removeprefix("/var/lib/nifi/")).is_dir()


def test_nifi_secrets_reach_nifi_and_nobody_else(tmp_path: Path) -> None:
    """The key survives the escapes of a properties file; NiFi can verify the hash."""
    done = prepare_nifi(
        tmp_path, key=r"back\slash&key", user='<ad"min&>', bcrypt=HASH.replace("2b", "2y")
    )
    conf = tmp_path / "conf"
    assert properties(conf / "nifi.properties")["nifi.sensitive.props.key"] == r"back\\slash&key"
    providers = (conf / "login-identity-providers.xml").read_text()
    assert '<property name="Username">&lt;ad&quot;min&amp;&gt;</property>' in providers
    assert f'<property name="Password">{HASH}</property>' in providers
    for path in conf.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "slash" not in done.stdout + done.stderr
    assert HASH[10:] not in done.stdout + done.stderr


def test_nifi_refuses_an_admin_without_a_hash(tmp_path: Path) -> None:
    """Without a password NiFi would make one up and log it; the pod ends with a reason instead."""
    done = prepare_nifi(tmp_path, bcrypt="")
    assert done.returncode == 78
    assert "no bcrypt hash" in done.stderr


def test_nifi_start_becomes_nifi_and_shows_its_log(tmp_path: Path) -> None:
    """NiFi replaces the shell, so that it gets the signals; its log is on standard output."""
    home = tmp_path / "nifi"
    program(
        home / "bin" / "nifi.sh",
        'trap "echo ending >>logs/nifi-app.log; sleep 0.3; exit 7" TERM\n'
        'echo "$$ $1" >pid\necho started >>logs/nifi-app.log\nwhile :; do sleep 0.1; done',
    )
    put(home / "logs", **{"nifi-app.log": "of an earlier start\n"})
    script = files("infometis_sdk.catalogue.nifi") / "files" / "start.sh"
    process = subprocess.Popen(
        ["/bin/sh", str(script)],
        env={"PATH": os.environ["PATH"], "NIFI_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "started\n"
        assert (home / "pid").read_text() == f"{process.pid} run\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "ending\n"
        assert process.wait(10) == 7
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def management() -> Iterator[dict[str, int]]:
    """Serve NiFi's management port, on which the probes ask."""
    answers: dict[str, int] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers.get(self.path, 404))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 52020), Handler)
    except OSError as error:
        pytest.skip(f"port 52020 is taken: {error}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield answers
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_nifi_is_ready_when_it_answers_or_is_connected(management: dict[str, int]) -> None:
    """A standalone node is ready when it is up; a member when its cluster has it."""
    management |= {"/health": 200, "/health/cluster": 503}
    assert run("nifi", "ready.sh", CLUSTERED="false").returncode == 0
    assert run("nifi", "ready.sh", CLUSTERED="true").returncode != 0
    management["/health/cluster"] = 200
    assert run("nifi", "ready.sh", CLUSTERED="true").returncode == 0
