"""The platform ``existing``: which file, which context, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infometis_sdk._adapters import session
from infometis_sdk._adapters.existing import Existing, ExistingPlatform
from infometis_sdk._adapters.existing_plugin import infometis_platforms
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import Access, PlatformContext

CONTEXT = PlatformContext(cluster="prod", state_dir=Path("/nowhere"), cache_dir=Path("/nowhere"))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the real home, and a pod that the tests may run in, out of this."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def _config(path: Path, *contexts: str) -> Path:
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": name, "context": {"cluster": "c"}} for name in contexts],
        "current-context": contexts[0] if contexts else "",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _connect(**settings: object) -> Access:
    return ExistingPlatform(Existing(**settings), CONTEXT).connect()  # type: ignore[arg-type]


def test_the_only_context(tmp_path: Path) -> None:
    """Where there is one context, it need not be named; the access names it for good."""
    path = _config(tmp_path / "mine", "only")
    before = path.read_bytes()
    access = _connect(kubeconfig=str(path), namespaces=["a", "b"])
    assert access == Access(kubeconfig=path, context="only", namespaces=("a", "b"))
    assert path.read_bytes() == before


def test_current_context_never_decides(tmp_path: Path) -> None:
    """With several contexts, one must be named: `kubectl config use-context` cannot redirect us."""
    path = _config(tmp_path / "mine", "dev", "prod")
    with pytest.raises(PlatformError, match="2 contexts") as caught:
        _connect(kubeconfig=str(path))
    assert "dev, prod" in caught.value.hint
    assert _connect(kubeconfig=str(path), context="prod").context == "prod"


@pytest.mark.parametrize("context", ["", "dev"])
def test_no_context_at_all(tmp_path: Path, context: str) -> None:
    """A kubeconfig without any context is called that, and no list of none is offered."""
    path = _config(tmp_path / "mine")
    with pytest.raises(PlatformError, match="there is no context in") as caught:
        _connect(kubeconfig=str(path), context=context)
    assert "none" not in caught.value.hint


def test_unknown_context(tmp_path: Path) -> None:
    """A context that is not there names those that are."""
    path = _config(tmp_path / "mine", "dev", "prod")
    with pytest.raises(PlatformError, match="no context 'pord'") as caught:
        _connect(kubeconfig=str(path), context="pord")
    assert "dev, prod" in caught.value.hint


def test_default_file(tmp_path: Path) -> None:
    """Without a setting, the file in the home is read."""
    path = _config(tmp_path / ".kube" / "config", "only")
    assert _connect().kubeconfig == path


def test_files_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``$KUBECONFIG`` may list several files; the one with the context is the one."""
    one, two = _config(tmp_path / "one", "dev"), _config(tmp_path / "two", "prod")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'gone'}:{two}")
    assert _connect(context="prod").kubeconfig == two
    with pytest.raises(PlatformError, match="2 contexts"):
        _connect()


def test_no_file_at_all(tmp_path: Path) -> None:
    """Where no file is, the message says where it was looked for."""
    with pytest.raises(PlatformError, match="there is no kubeconfig at") as caught:
        _connect()
    assert str(tmp_path / ".kube" / "config") in caught.value.message
    status = ExistingPlatform(Existing(), CONTEXT).status()
    assert status.phase == "absent"
    assert "no kubeconfig" in status.detail


def test_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pod and with nothing set, the pod's own credentials are used."""
    _config(tmp_path / ".kube" / "config", "only")
    (tmp_path / "token").write_text("t", encoding="utf-8")
    monkeypatch.setattr(session, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert _connect(namespaces=["a"]) == Access(kubeconfig=None, namespaces=("a",))
    assert _connect(context="only").kubeconfig is not None


def test_cluster_that_is_down(tmp_path: Path) -> None:
    """Status says that the cluster does not answer, in under a second."""
    path = _config(tmp_path / "mine", "only")
    status = ExistingPlatform(Existing(kubeconfig=str(path)), CONTEXT).status()
    assert status.phase == "failed"
    assert "connection refused" in status.detail


def test_destroy_refuses() -> None:
    """A cluster that we did not make is not ours to remove."""
    with pytest.raises(PlatformError, match="not ours") as caught:
        ExistingPlatform(Existing(), CONTEXT).destroy(Run.within(1))
    assert "infometis down" in caught.value.hint


@pytest.mark.parametrize("settings", [{"namespaces": "abc"}, {"context": 7}, {"kubeconfig": None}])
def test_wrong_types(settings: dict[str, object]) -> None:
    """A text where a list is due, or a number for a text, is an error that names the setting."""
    with pytest.raises(TypeError, match=next(iter(settings))):
        Existing(**settings)  # type: ignore[arg-type]


def test_registration() -> None:
    """The core registers it as a third party would."""
    (spec,) = infometis_platforms()
    assert (spec.name, spec.settings) == ("existing", Existing)
    assert isinstance(spec.factory(Existing(), CONTEXT), ExistingPlatform)
