"""The example platform keeps every promise, and each copy of it that breaks one is found out."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from infometis_sdk.testing.platform_contract import PlatformContract, PlatformFactory

if TYPE_CHECKING:
    from infometis_sdk.ports.platform import Access

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]

_ROOT = Path(__file__).parents[2]
EXAMPLE = (
    _ROOT / "examples/platform_borrowed/src/infometis_platform_borrowed/__init__.py"
).read_text(encoding="utf-8")


def factory(source: Path, access: Access) -> PlatformFactory:
    """Make platforms of the example, or of a copy of it."""
    spec = importlib.util.spec_from_file_location(f"borrowed_{source.parent.name}", source)
    if spec is None or spec.loader is None:
        raise AssertionError(source)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    settings = module.Borrowed(kubeconfig=str(access.kubeconfig))
    return lambda context: module.BorrowedPlatform(settings, context)


class TestBorrowed(PlatformContract):
    """The example as it stands."""

    owner = False

    @pytest.fixture
    def platform_factory(self, embedded_access: Access, tmp_path: Path) -> PlatformFactory:
        """Borrow the cluster of this run; what was handed over lies beside."""
        return factory(_written(tmp_path / "example", EXAMPLE), embedded_access)


# What is broken: the words of the example, and what stands there instead.
_BORROWING = 'run.check("borrowing a cluster")'
_COPYING = "self._copy.write_bytes(self._given.read_bytes())"
_LOOKING = '        """Say whether anything is on loan."""\n'
_USERS_FILE = "__import__('pathlib').Path(__import__('os').environ['KUBECONFIG'])"
_EMIT = "\n        from infometis_sdk.model.run import Event\n        run.emit(Event(name='x', {}))"
_TRYING = (
    "from infometis_sdk.errors import CancelledError, DeadlineError\n        try:\n"
    f"            {_BORROWING}\n        except (CancelledError, DeadlineError) as error:\n"
    "            raise PlatformError('no') from error"
)
_TOUCH = (
    "        self._copy.parent.mkdir(parents=True)\n        (self._copy.parent / 'x').touch()\n"
)

BROKEN: dict[str, tuple[str, str]] = {
    "everybody may read the kubeconfig": ("touch(mode=0o600)", "touch(mode=0o644)"),
    "everybody may enter the folder": ("mkdir(mode=0o700", "mkdir(mode=0o755"),
    "ensure heeds neither cancel nor deadline": (_BORROWING, "pass"),
    "ensure writes the user's own file": (
        _COPYING,
        f"{_COPYING}\n        {_USERS_FILE}.write_text('mine now')",
    ),
    "the copy is somewhere else": (
        'context.state_dir / "kubeconfig"',
        'context.state_dir.parent / "kubeconfig"',
    ),
    "a second ensure fails": ("touch(mode=0o600)", "touch(mode=0o600, exist_ok=False)"),
    "ensure says nothing of its caller's deadline": (
        _BORROWING,
        _TRYING,
    ),
    "status makes up a version": ('"absent")', '"absent", version="latest")'),
    "every ensure gives another access": (
        "return self.connect()",
        "return __import__('attrs').evolve(self.connect(), namespaces=(str(id(run)),))",
    ),
    "status knows a phase of its own": ('"ready" if self._copy', '"up" if self._copy'),
    "status is ready where nothing is": (
        '"ready" if self._copy.exists() else "absent"',
        '"ready"',
    ),
    "status makes files": (_LOOKING, _LOOKING + _TOUCH),
    "status is slow": (
        _LOOKING,
        f"{_LOOKING}        self._copy.exists() or __import__('time').sleep(2.5)\n",
    ),
    "status says that containers are simulated": ('"absent")', '"absent", simulated=True)'),
    "connect makes up an access": ("if not self._copy.exists():", "if False:"),
    "connect fails with what no caller expects": (
        'raise PlatformError(msg, hint="infometis up")',
        "raise KeyError(msg)",
    ),
    "destroy leaves the kubeconfig": ("self._copy.unlink(missing_ok=True)", "pass"),
    "destroy cannot be repeated": ("missing_ok=True", "missing_ok=False"),
    "a capability is promised in other words": (
        "def status",
        "capabilities = {'x': 'yes'}\n\n    def status",
    ),
    "it says that the cluster is ours": ("def status", "owned = True\n\n    def status"),
    "an event tells a secret": (
        _BORROWING,
        _BORROWING + _EMIT.format("detail=self._given.read_text()"),
    ),
    "an event is in no known state": (_BORROWING, _BORROWING + _EMIT.format("state='busy'")),
}

# Abilities that the example does not have, each added so that it breaks its promise.
ABILITIES: dict[str, str] = {
    "preflight finds an error without a cure": """
        def preflight(self):
            from infometis_sdk.ports import Finding
            return (Finding(check="x", level="error", detail="bad"),)
    """,
    "preflight makes files": """
        def preflight(self):
            self._copy.parent.mkdir(parents=True, exist_ok=True)
            (self._copy.parent / "looked").touch()
            return ()
    """,
    "the dry run says that nothing is to do": """
        def steps(self):
            return ()
    """,
    "the dry run never comes to an end": """
        def steps(self):
            return ("borrow it",)
    """,
    "a step has two lines": """
        def steps(self):
            return () if self._copy.exists() else ("borrow\\nit",)
    """,
    "the dry run borrows": """
        def steps(self):
            self._copy.parent.mkdir(parents=True, exist_ok=True)
            self._copy.touch()
            return ("borrow it",)
    """,
    "a finding is of a level of its own": """
        def preflight(self):
            from infometis_sdk.ports import Finding
            return (Finding(check="x", level="fatal", detail="bad", cure="mend it"),)
    """,
    "stop cannot be repeated": """
        def stop(self, run):
            self._copy.unlink()
            self._copy.with_name("stopped").touch()

        def start(self, run):
            self._copy.with_name("stopped").unlink(missing_ok=True)
            return self.ensure(run)

        def status(self):
            stopped = self._copy.with_name("stopped").exists()
            phase = "ready" if self._copy.exists() else "stopped" if stopped else "absent"
            return PlatformStatus(phase=phase)
    """,
    "missing images are carried all the same": """
        def export_images(self, images, folder, run):
            return ()
    """,
    "half an export is left where an image is missing": """
        def export_images(self, images, folder, run):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "half.tar").touch()
            raise PlatformError(f"there is no image {images[0]}")
    """,
    "a damaged backup is taken": """
        def backup_cluster(self, folder, run):
            (folder / "b").touch(mode=0o600)
            (folder / "b").write_bytes(b"x" * 200)
            return folder / "b"

        def restore_cluster(self, archive, run):
            return self.ensure(run)
    """,
    "add-ons are others each time": """
        def add_ons(self):
            meta = {"name": f"x{id(object())}", "labels": {"at": str(__import__("time").time())}}
            return ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta},)
    """,
    "ports are others each time": """
        def host_ports(self):
            return {__import__("secrets").randbelow(60_000) + 1: 80}
    """,
    "stop does not stop": """
        def stop(self, run):
            pass

        def start(self, run):
            return self.ensure(run)
    """,
    "missing images are passed over": """
        def load_images(self, images, run):
            pass
    """,
    "upgrade forgets the way in": """
        def upgrade(self, run):
            self._copy.unlink()
            return self.connect()
    """,
    "the backup is for everybody to read": """
        def backup_cluster(self, folder, run):
            (folder / "b").write_bytes(b"x" * 200)
            return folder / "b"

        def restore_cluster(self, archive, run):
            raise PlatformError("damaged")
    """,
    "the backup brings nothing back": """
        def backup_cluster(self, folder, run):
            (folder / "b").touch(mode=0o600)
            (folder / "b").write_bytes(b"x" * 200)
            return folder / "b"

        def restore_cluster(self, archive, run):
            if archive.stat().st_size < 200:
                raise PlatformError("damaged")
            return self.ensure(run)
    """,
    "an add-on is no object": """
        def add_ons(self):
            return ({"kind": "ConfigMap"},)
    """,
    "a port is no port": """
        def host_ports(self):
            return {80: 80_000}
    """,
}


_INTACT = "nothing is broken"


def _mutants() -> dict[str, str]:
    found = {_INTACT: EXAMPLE}
    for name, (words, instead) in BROKEN.items():
        assert EXAMPLE.count(words) == 1, words
        found[name] = EXAMPLE.replace(words, instead)
    for name, code in ABILITIES.items():
        method = textwrap.indent(textwrap.dedent(code), "    ")
        found[name] = EXAMPLE.replace("\n\n@hookimpl", f"{method}\n\n@hookimpl")
    return found


def _written(folder: Path, source: str) -> Path:
    folder.mkdir()
    path = folder / "borrowed.py"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def verdicts(embedded_access: Access, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Run the contract on every copy, all in one process of their own; count what failed."""
    root = tmp_path_factory.mktemp("mutants")
    classes = []
    for number, source in enumerate(_mutants().values()):
        path = _written(root / f"m{number}", source)
        classes.append(
            f"""
class TestMutant{number}(PlatformContract):
    owner = False
    quick = 2.0

    @pytest.fixture
    def platform_factory(self):
        return factory(Path({str(path)!r}), ACCESS)
"""
        )
    head = f"""
import pytest
from pathlib import Path
from infometis_sdk.ports.platform import Access
from infometis_sdk.testing.platform_contract import PlatformContract
from tests.contract.test_platform_borrowed import factory

ACCESS = Access(kubeconfig=Path({str(embedded_access.kubeconfig)!r}))
"""
    suite = root / "test_mutants.py"
    suite.write_text(head + "\n".join(classes), encoding="utf-8")
    report = root / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib"]
    command += ["-p", "no:cacheprovider", "--disable-plugin-autoload", "-c", os.devnull]
    subprocess.run(
        [*command, "--rootdir", str(root), f"--junitxml={report}", str(suite)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(_ROOT), *sys.path))},
        check=False,
        capture_output=True,
    )
    failed = dict.fromkeys(_mutants(), 0)
    names = list(failed)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - ours
        if case.find("failure") is not None or case.find("error") is not None:
            failed[names[int(case.attrib["classname"].rpartition("TestMutant")[2])]] += 1
    return failed


@pytest.mark.parametrize("name", [*BROKEN, *ABILITIES])
def test_a_broken_promise_is_found_out(name: str, verdicts: dict[str, int]) -> None:
    """A copy of the example that breaks one promise fails the contract."""
    assert verdicts[name] > 0


def test_the_same_run_finds_no_fault_in_the_example(verdicts: dict[str, int]) -> None:
    """What fails above fails for what was broken, not for how it was run."""
    assert verdicts[_INTACT] == 0
