"""Outputs, exit codes and quirks of the genuine binary, replayed where commands are run."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from tests.unit.platform_k0s_host.transcripts import Transcript, k0s

from infometis_platform_k0s_host.acting.k0s import is_ready, read_token, scrubbed
from infometis_platform_k0s_host.connection import HostError
from infometis_sdk.errors import DeadlineError
from infometis_sdk.model.run import Run

RUN = Run()
KUBECONFIG = """apiVersion: v1
clusters: [{name: k0s, cluster: {server: "https://10.0.0.5:6443"}}]
users: [{name: kubelet-bootstrap, user: {token: abcdef.0123456789abcdef}}]
contexts: [{name: k0s, context: {cluster: k0s, user: kubelet-bootstrap}}]
"""
TOKEN = base64.b64encode(gzip.compress(KUBECONFIG.encode())).decode()


def test_a_wrong_configuration() -> None:
    """Every line that `config validate` prints is told, without its prefix."""
    said = (
        "Error: spec: api: port: Invalid value: 99999: must be between 1 and 65535, inclusive\n"
        'failed to parse configuration: unknown field "apii"\n'
    )
    host = k0s(Transcript(("config validate", (1, "", said))))
    with pytest.raises(HostError, match=r"port: Invalid value: 99999.*unknown field") as caught:
        host.validate_config(RUN)
    assert "Error:" not in caught.value.message


def test_sysinfo_that_ends_with_one() -> None:
    """`sysinfo` ends with 1 where it rejects, and its output is complete all the same."""
    probes = [
        {"path": ["os"], "displayName": "Operating system", "prop": "Linux", "category": "pass"},
        {
            "path": ["cgroups"],
            "displayName": "Control Groups",
            "prop": "version 1",
            "message": "",
            "category": "rejected",
            "error": "",
        },
        {"path": ["x"], "displayName": "X", "message": "old", "category": "warning"},
    ]
    host = k0s(Transcript(("sysinfo", (1, json.dumps(probes), "Error: sysinfo failed"))))
    rejected = host.rejected(RUN, controller=True, worker=True)
    assert rejected == ("Control Groups: version 1",)


def test_a_token_is_refused_under_single() -> None:
    """A cluster of a single node makes no tokens; k0s' own words say why."""
    said = "Error: refusing to create token: cannot join into a single node cluster\n"
    host = k0s(Transcript(("token create", (1, "", said))))
    with pytest.raises(HostError, match="cannot join into a single node cluster"):
        host.create_token("worker", RUN)


def test_a_token_is_read_and_never_shown() -> None:
    """A token is base64 of gzip of a kubeconfig; its ID is no secret, the rest is."""
    host = k0s(Transcript(("token create", (0, TOKEN + "\n", ""))))
    token = host.create_token("worker", RUN)
    assert (token.id, token.server) == ("abcdef", "https://10.0.0.5:6443")
    assert "0123456789abcdef" not in repr(token)
    assert TOKEN not in repr(token)
    assert read_token("no token") is None
    assert read_token(base64.b64encode(b"plain").decode()) is None


def test_commands_ignore_the_users_kubeconfig() -> None:
    """`k0s kubectl` obeys $KUBECONFIG first, so it is unset."""
    transcript = Transcript(("get node", (0, "{}", "")))
    k0s(transcript).node("a", RUN)
    assert transcript.asked[0].startswith("env -u KUBECONFIG ")


def test_a_node_that_is_not_there() -> None:
    """No such node is an answer; an API that refuses is an error."""
    missing = 'Error from server (NotFound): nodes "a" not found'
    down = "The connection to the server localhost:6443 was refused - did you specify …?"
    assert k0s(Transcript(("get node", (1, "", missing)))).node("a", RUN) is None
    with pytest.raises(HostError, match=r"the API does not answer.*was refused"):
        k0s(Transcript(("get node", (1, "", down)))).node("a", RUN)


def test_waiting_for_the_api() -> None:
    """`readyz` says ok without an end of line; before that it ends with 1."""
    refused = (1, "0\n", "The connection to the server localhost:6443 was refused")
    transcript = Transcript(("--raw=/readyz", [refused, refused, (0, "0\nok", "")]))
    k0s(transcript).await_api(RUN, 60)
    assert len(transcript.asked) == 3


def test_k0s_that_ends_while_it_starts() -> None:
    """A service that is gone is not waited for, and its journal is told, without tokens."""
    journal = f"time=… level=error msg=boom\nError: join with {TOKEN} failed: disk full\n"
    transcript = Transcript(
        ("--raw=/readyz", (1, "3\n", "refused")), ("journalctl", (0, journal, ""))
    )
    with pytest.raises(HostError, match="disk full") as caught:
        k0s(transcript).await_api(RUN, 60)
    assert TOKEN not in str(caught.value)
    assert len([each for each in transcript.asked if "readyz" in each]) < 10


def test_a_wait_ends_with_its_caller() -> None:
    """No wait outlives the deadline of the verb."""
    transcript = Transcript(("--raw=/readyz", (1, "0\n", "refused")))
    with pytest.raises(DeadlineError):
        k0s(transcript).await_api(Run.within(0.2), 60)


def test_the_reason_of_a_node_that_is_not_ready() -> None:
    """What the kubelet says of itself is in the error."""
    condition = {"type": "Ready", "status": "False", "message": "cni plugin not initialized"}
    node = {"status": {"conditions": [condition]}}
    assert not is_ready(node)
    host = k0s(Transcript(("get node", (0, json.dumps(node), ""))))
    with pytest.raises(HostError, match="cni plugin not initialized"):
        host.await_node("a", RUN, 0.2)


def _lease(text: str) -> tuple[int, str, str]:
    return (0, json.dumps({"spec": {"renewTime": text}}), "")


def test_a_node_of_the_last_life_is_no_evidence() -> None:
    """What is stored of a node says Ready at once after a restart: its kubelet must have spoken."""
    node = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    transcript = Transcript(
        ("date +%s", (0, "1764448800\n", "")),
        ("get node", (0, json.dumps(node), "")),
        (
            "/leases/a",
            [
                (1, "", "Error from server (NotFound)"),
                _lease("2025-11-29T20:39:59.999999Z"),
                _lease("2025-11-29T20:40:00.000001Z"),
            ],
        ),
    )
    host = k0s(transcript)
    host.await_node("a", RUN, 60, since=host.start(RUN))
    assert len([each for each in transcript.asked if "/leases/a" in each]) == 3
    silent = Transcript(("get node", (0, json.dumps(node), "")), ("/leases/a", (1, "", "")))
    with pytest.raises(HostError, match="its kubelet is silent since the start"):
        k0s(silent).await_node("a", RUN, 0.2, since=1.0)


def test_an_api_that_is_silent_for_a_while() -> None:
    """A controller that joins keeps the API from answering: the wait for a node goes on."""
    node = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    down = (1, "", "Error from server: etcdserver: leader changed")
    transcript = Transcript(("get node", [down, down, (0, json.dumps(node), "")]))
    k0s(transcript).await_node("a", RUN, 60)
    with pytest.raises(HostError, match=r"not ready.*leader changed"):
        k0s(Transcript(("get node", down))).await_node("a", RUN, 0.2)


def test_a_service_that_is_stopped_already() -> None:
    """Stopping what is stopped is an error for k0s, and none for us."""
    transcript = Transcript((" stop", (1, "Not running", "")))
    k0s(transcript).stop(RUN)


def test_reset_names_the_data_directory() -> None:
    """Without it `reset` ends with 0 and removes nothing of another directory."""
    transcript = Transcript()
    k0s(transcript).reset(RUN)
    assert "--data-dir=/var/lib/k0s" in transcript.asked[0]
    running = "Error: another k0s process is still running, please stop k0s before reset"
    with pytest.raises(HostError, match="please stop k0s before reset"):
        k0s(Transcript((" reset", (1, "", running)))).reset(RUN)


def test_an_etcd_member_that_is_gone_may_leave() -> None:
    """Leaving twice is no error, and nothing is asked of etcd for who is not in it."""
    members = {"members": {"a": "https://10.0.0.5:2380", "b": "https://10.0.0.6:2380"}}
    transcript = Transcript(("member-list", (0, json.dumps(members), "")))
    k0s(transcript).etcd_leave("10.0.0.7", RUN)
    assert not any("etcd leave" in each for each in transcript.asked)
    k0s(transcript).etcd_leave("10.0.0.6", RUN)
    assert "--peer-address=10.0.0.6" in transcript.asked[-1]
    assert k0s(Transcript(("member-list", (1, "", "Error: …")))).etcd_members(RUN) == {}


def test_a_kubeconfig_before_there_is_one() -> None:
    """k0s' own words are told; what it prints on success is a secret and never is."""
    said = (
        'Error: admin PKI file "/var/lib/k0s/pki/admin.crt" not found, check if the control plane '
        "is initialized on this node"
    )
    with pytest.raises(HostError, match="check if the control plane is initialized"):
        k0s(Transcript(("kubeconfig admin", (1, "", said)))).admin_kubeconfig(RUN)


def test_a_binary_that_does_not_run() -> None:
    """A binary of another architecture is found before anything is installed."""
    said = "/usr/local/bin/k0s: cannot execute binary file: Exec format error"
    with pytest.raises(HostError, match="Exec format error") as caught:
        k0s(Transcript(("version", (126, "", said)))).version(RUN)
    assert "architecture" in caught.value.hint


def test_an_installed_service_is_replaced() -> None:
    """Flags are baked into the service, so that it is always installed by force."""
    transcript = Transcript()
    k0s(transcript).install(("controller", "--single"), RUN)
    assert transcript.asked[0].endswith("install controller --single --force")
    said = "Error: failed to install controller service: Init already exists: /etc/init.d/x"
    with pytest.raises(HostError, match="Init already exists"):
        k0s(Transcript((" install", (1, "", said)))).install(("controller",), RUN)


def test_no_token_survives_scrubbing() -> None:
    """Join tokens and bootstrap tokens go from any text that is shown."""
    text = scrubbed(f"a {TOKEN} b abcdef.0123456789abcdef c")
    assert text == "a <token> b <token> c"
