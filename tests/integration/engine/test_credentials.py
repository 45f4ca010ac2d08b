"""Credentials are made once, known to nobody but the cluster, and live as long as their data."""

from __future__ import annotations

import base64
import logging
import os
import re
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.integration.engine.lab import actions, config_map, raw, secret

from infometis_sdk.engine.planning.plan_json import plan_to_json
from infometis_sdk.errors import ApplyError, InfometisError, SecretError
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import Credential, Service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.integration.engine.lab import Lab

    from infometis_sdk.model.stack import ManifestSet

pytestmark = pytest.mark.integration

READER = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ name }}
spec:
  selector:
    matchLabels: {{ selector }}
  template:
    metadata:
      labels: {{ selector }}
    spec:
      containers:
        - name: main
          image: example/app:1
          env:
            - name: PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ secret("admin") }}
                  key: password
"""
OTHER = READER.replace('secret("admin")', 'secret("vault.admin")')


def vault(*, durable: bool = False) -> Service:
    """Return a service with one credential of each type, and a pod that reads the first."""
    return Service(
        name="vault",
        credentials={
            "admin": Credential(username="root", derived=("htpasswd",), durable=durable),
            "seal": Credential(type="key", length=40),
            "id": Credential(type="cluster-id"),
            "web": Credential(type="tls", hosts=("vault",)),
        },
        templates={"deployment.yaml.j2": READER},
    )


def reader() -> Service:
    """Return a service that reads the vault's password."""
    return Service(name="reader", needs=("vault",), templates={"deployment.yaml.j2": OTHER})


def held(lab: Lab) -> dict[str, dict[str, str]]:
    """Return every Secret of the namespace, decoded."""
    listed = lab.cluster.list("v1", "Secret", lab.run(), namespace=lab.namespace)
    return {
        s["metadata"]["name"]: {
            k: base64.b64decode(v).decode("utf-8", "replace") for k, v in s.get("data", {}).items()
        }
        for s in listed
    }


def annotation(lab: Lab, name: str) -> str:
    """Return the credentials' hash on a Deployment's pods."""
    live = lab.must_get(lab.ref("Deployment", name, "apps/v1"))
    return str(live["spec"]["template"]["metadata"]["annotations"]["infometis.io/credentials"])


def test_credentials_are_made_once(lab: Lab) -> None:
    """The second apply, and one from another machine, find what the first one made."""
    wanted = lab.render(vault())
    lab.up(wanted)
    first = held(lab)
    assert first["vault-admin"]["username"] == "root"
    assert re.fullmatch(r"[A-Za-z0-9]{24}", first["vault-admin"]["password"])
    assert first["vault-admin"]["htpasswd"].startswith("root:$2b$")
    assert re.fullmatch(r"[A-Za-z0-9]{40}", first["vault-seal"]["key"])
    assert len(first["vault-id"]["id"]) == 22
    assert first["vault-web"]["tls.crt"].startswith("-----BEGIN CERTIFICATE-----")
    lab.settled(wanted)
    lab.up(lab.render(vault(), raw("more", config_map("a"))))
    assert held(lab) == first


def test_readers_restart_when_a_credential_changes(lab: Lab) -> None:
    """A changed Secret changes the keyed hash on exactly the pods that read it."""
    wanted = lab.render(vault(), raw("other", config_map("a")))
    lab.up(wanted)
    before = annotation(lab, "vault")
    assert before.startswith("hmac:")
    assert before != "hmac:unkeyed"
    lab.patch(
        lab.ref("Secret", "vault-admin"),
        {"data": {"password": base64.b64encode(b"rotated").decode()}},
    )
    made = lab.plan(wanted)
    assert actions(made) == {"Deployment/vault": "update"}
    lab.apply(made, wanted)
    assert annotation(lab, "vault") != before
    lab.settled(wanted)


def test_a_part_of_the_stack_gets_the_credentials_that_it_reads(lab: Lab) -> None:
    """`up reader` alone makes the vault's password that it reads, and the whole agrees with it."""
    wanted = lab.render(vault(), reader())
    lab.up(wanted, only=["reader"])
    password = held(lab)["vault-admin"]
    before = annotation(lab, "reader")
    lab.up(wanted)
    assert held(lab)["vault-admin"] == password
    assert annotation(lab, "reader") == before == annotation(lab, "vault")
    lab.settled(wanted)
    lab.kubectl("delete", "deployment", "reader")
    lab.up(wanted, only=["reader"])
    lab.settled(wanted)


def test_down_keeps_credentials_and_delete_data_takes_them(lab: Lab) -> None:
    """Credentials live and die with the data."""
    lab.as_guest()
    wanted = lab.render(vault(durable=True))
    lab.up(wanted)
    first = held(lab)["vault-admin"]
    report = lab.down(wanted)
    assert held(lab)["vault-admin"] == first
    assert any("Secret/vault-admin" in warning for warning in report.warnings)
    lab.up(wanted)
    assert held(lab)["vault-admin"] == first
    lab.down(wanted, delete_data=True)
    assert held(lab) == {}
    assert lab.labelled() == set()


def test_a_lost_credential_that_unlocks_data_is_not_made_anew(lab: Lab) -> None:
    """A new password for data that the old one unlocks would lock it up: the plan is refused."""
    wanted = lab.render(vault(durable=True))
    lab.up(wanted)
    lost = held(lab)["vault-admin"]["password"]
    lab.kubectl("delete", "secret", "vault-admin")
    made = lab.plan(wanted)
    assert any("Secret/vault-admin is gone" in reason for reason in made.blocked), made.blocked
    assert "vault-admin" not in held(lab)
    lab.up(wanted, data_loss=["Secret/vault-admin"])
    assert held(lab)["vault-admin"]["password"] != lost
    lab.settled(wanted)


def test_a_lost_credential_without_data_is_made_anew(lab: Lab) -> None:
    """Where nothing durable hangs on it, a lost password is replaced and its readers restart."""
    wanted = lab.render(vault())
    lab.up(wanted)
    before = annotation(lab, "vault")
    lab.kubectl("delete", "secret", "vault-admin")
    lab.up(wanted)
    assert annotation(lab, "vault") != before
    lab.settled(wanted)


# --- given from outside -----------------------------------------------------------------------


def given(lab: Lab, refs: Mapping[str, SecretRef]) -> ManifestSet:
    """Render the vault with sources for its admin password."""
    lab.environment = attrs.evolve(lab.environment, credentials={"vault.admin": dict(refs)})
    return lab.render(vault())


@pytest.mark.parametrize("scheme", ["env", "file", "exec"])
def test_a_source_outside_gives_the_value(
    lab: Lab, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable, a file and a command each give the password; the plan names them, not it."""
    value = f"from-{scheme}-{os.urandom(4).hex()}"
    path = tmp_path / "password"
    path.write_text(value + "\n", encoding="utf-8")
    monkeypatch.setenv("VAULT_PASSWORD", value)
    target = {"env": "VAULT_PASSWORD", "file": str(path), "exec": f"cat {path}"}[scheme]
    wanted = given(lab, {"password": SecretRef(scheme=scheme, target=target)})
    made = lab.plan(wanted)
    assert made.credentials["vault-admin"] == {"password": f"{scheme}:{target}"}
    assert value not in plan_to_json(made)
    lab.apply(made, wanted)
    assert held(lab)["vault-admin"]["password"] == value
    lab.settled(wanted)


@pytest.mark.parametrize(
    "ref",
    [
        SecretRef(scheme="env", target="NO_SUCH_VARIABLE_OF_OURS"),
        SecretRef(scheme="file", target="/nowhere/at/all"),
        SecretRef(scheme="exec", target="false"),
        SecretRef(scheme="secret", target="nothing/password"),
    ],
    ids=lambda ref: ref.scheme,
)
def test_a_missing_source_fails_before_the_first_write(lab: Lab, ref: SecretRef) -> None:
    """What cannot be resolved is found before anything is written, the namespace too."""
    wanted = given(lab, {"password": ref})
    with pytest.raises(SecretError) as caught:
        lab.up(wanted)
    assert caught.value.reference
    assert lab.get(lab.ref("Namespace", lab.namespace, scoped=False)) is None


def test_a_source_is_not_asked_once_the_secret_is_there(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first apply the cluster holds the value; the source may be gone."""
    monkeypatch.setenv("VAULT_PASSWORD", "here-for-once")
    wanted = given(lab, {"password": SecretRef(scheme="env", target="VAULT_PASSWORD")})
    lab.up(wanted)
    monkeypatch.delenv("VAULT_PASSWORD")
    lab.kubectl("delete", "deployment", "vault")
    lab.up(wanted)
    assert held(lab)["vault-admin"]["password"] == "here-for-once"


# --- secrecy ----------------------------------------------------------------------------------


def test_no_secret_shows_up_anywhere(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """No value of any Secret is in a plan, its JSON, a report, an event, a log or an error.

    Nor is it in any other object of the cluster, in first apply, change, drift, refusal, teardown.
    """
    caplog.set_level(logging.DEBUG)
    lab.as_guest()
    seen: list[str] = []

    def listen(event: Event) -> None:
        seen.append(repr(event))

    def note(*values: object) -> None:
        seen.extend(f"{value}\n{value!r}" for value in values)

    def up(wanted: ManifestSet) -> None:
        made = lab.plan(wanted)
        note(made, plan_to_json(made), made.to_dict(), made._repr_html_())
        try:
            report = lab.apply(made, wanted, run=Run.within(60, emit=listen))
        except ApplyError as error:
            note(error, error.report, error.report.to_dict())
        except InfometisError as error:
            note(error)
        else:
            note(report, report.to_dict())

    first = lab.render(vault(), raw("app", secret("token", key="s3cret-of-the-app-1")))
    up(first)
    second = lab.render(
        vault(), raw("app", secret("token", key="s3cret-of-the-app-2", n="zzz-4711"))
    )
    up(second)
    lab.kubectl(
        "patch", "secret", "token", "--patch", lab.json({"stringData": {"key": "s3cret-by-hand"}})
    )
    note(lab.drift(second), lab.drift(second).to_dict())
    up(second)
    bad = secret("token", key="s3cret-refused")
    bad["data"] = {"no/such key": base64.b64encode(b"s3cret-malformed").decode()}
    up(lab.render(vault(), raw("app", bad)))
    values = {
        "s3cret-of-the-app-1",
        "s3cret-of-the-app-2",
        "s3cret-by-hand",
        "s3cret-refused",
        "s3cret-malformed",
        "zzz-4711",
    }
    for name, data in held(lab).items():
        values |= {v for k, v in data.items() if (name, k) != ("vault-admin", "username")}
    for version, kind in (("v1", "ConfigMap"), ("apps/v1", "Deployment"), ("v1", "Event")):
        seen.extend(
            lab.json(o) for o in lab.cluster.list(version, kind, lab.run(), namespace=lab.namespace)
        )
    note(lab.down(second, delete_data=True))
    seen.append(caplog.text)
    text = "\n".join(seen)
    assert len(values) > 10
    for value in values:
        for form in (value, base64.b64encode(value.encode()).decode(), lab.json(value)[1:-1]):
            assert form not in text, f"{value[:12]}… shows up"


def test_equal_values_look_equal_and_others_do_not(lab: Lab) -> None:
    """A plan shows by keyed hashes which values change; the key never leaves the cluster."""
    lab.up(lab.render(raw("app", secret("token", a="one", b="two"))))
    made = lab.plan(lab.render(raw("app", secret("token", a="two", b="two"))))
    (item,) = made.items
    (change,) = [c for c in item.changes if c.path.startswith("data")]
    assert change.path == "data.a"
    assert change.old != change.new
    assert str(change.new).startswith("hmac:")
    assert change.new == item.payload["data"]["b"] == item.payload["data"]["a"]
    key = next(v["hmac"] for k, v in held(lab).items() if k.endswith("-key"))
    assert key not in plan_to_json(made)
