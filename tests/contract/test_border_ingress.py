"""The example border keeps every promise, and each copy of it that breaks one is found out."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from infometis_sdk.testing.border_contract import BorderContract

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

_ROOT = Path(__file__).parents[2]
_SOURCE = _ROOT / "examples/border_ingress/src/infometis_border_ingress/__init__.py"
EXAMPLE = _SOURCE.read_text(encoding="utf-8")


def module_of(source: Path) -> Any:
    """Import the example, or a copy of it."""
    spec = importlib.util.spec_from_file_location(f"ingress_{source.stem}", source)
    if spec is None or spec.loader is None:
        raise AssertionError(source)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_INGRESS = module_of(_SOURCE)


class TestIngress(BorderContract):
    """The example as it stands."""

    spec = _INGRESS.infometis_borders()[0]
    settings = _INGRESS.Ingress(ingress_class="mine", namespace="ingress")


BROKEN: dict[str, tuple[str, str]] = {
    "a feature that nobody knows": ('"paths", "tls"', '"paths", "tls", "magic"'),
    "a feature that does nothing": ('"paths", "tls"', '"paths", "tls", "rate"'),
    "paths that are not published": ('"path": route.path', '"path": "/"'),
    "a route that is not published": ("in scene.routes)", "in scene.routes[:1])"),
    "an order that shows": (
        '"metadata": {"name": name}',
        '"metadata": {"name": name, "annotations": {"n": str(scene.routes.index(route))}}',
    ),
    "a render that is never the same": (
        '"metadata": {"name": name}',
        '"metadata": {"name": name, "annotations": {"id": str(id(object()) + id(scene))}}',
    ),
    "an object without a kind": ('"kind": "Ingress"', '"kind": ""'),
    "two objects of one name": ('route.name.replace(".", "-")', '"same"'),
    "nobody who lets the outside in": (
        "peers=(Peer(namespace=scene.settings.namespace),)",
        "peers=()",
    ),
    "a namespace that all stacks share": (
        '"metadata": {"name": name}',
        '"metadata": {"name": name, "namespace": "default"}',
    ),
    "a guest that makes what is the cluster's": ('"kind": "Ingress"', '"kind": "IngressClass"'),
    "a Secret that is rendered": ('"kind": "Ingress"', '"kind": "Secret"'),
    "a certificate for no host": ("sources=sources, hosts=hosts", "sources=sources"),
    "a Secret of a kind that nobody makes": ('kind="certificate"', 'kind="magic"'),
    "settings of no attrs class": ("settings=Ingress,", "settings=dict,"),
    "a fault in what is right": (
        'if tls.source not in ("none", "development", "files", "secret")',
        'if tls.source not in ("none", "files", "secret")',
    ),
}
_INTACT = "nothing is broken"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Run the contract on every copy, all in one process of their own; count what failed."""
    root = tmp_path_factory.mktemp("mutants")
    copies = {_INTACT: EXAMPLE}
    for name, (words, instead) in BROKEN.items():
        assert EXAMPLE.count(words) == 1, words
        copies[name] = EXAMPLE.replace(words, instead)
    suite = [
        "from pathlib import Path",
        "from infometis_sdk.testing.border_contract import BorderContract",
        "from tests.contract.test_border_ingress import module_of",
    ]
    for number, text in enumerate(copies.values()):
        path = root / f"m{number}.py"
        path.write_text(text, encoding="utf-8")
        suite.append(
            f"m{number} = module_of(Path({str(path)!r}))\n"
            f"class TestMutant{number}(BorderContract):\n"
            f"    spec = m{number}.infometis_borders()[0]\n"
            f"    settings = m{number}.Ingress(ingress_class='mine', namespace='ingress')"
        )
    (root / "test_mutants.py").write_text("\n".join(suite), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib"]
    command += ["-p", "no:cacheprovider", "--disable-plugin-autoload", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", str(root), f"--junitxml={root / 'r.xml'}", "test_mutants.py"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(_ROOT), *sys.path))},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (root / "r.xml").exists(), done.stdout + done.stderr
    failed = dict.fromkeys(copies, 0)
    names = list(failed)
    for case in ET.parse(root / "r.xml").iter("testcase"):  # noqa: S314 - ours
        if case.find("failure") is not None or case.find("error") is not None:
            failed[names[int(case.attrib["classname"].rpartition("TestMutant")[2])]] += 1
    return failed


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found_out(name: str, verdicts: dict[str, int]) -> None:
    """A copy of the example that breaks one promise fails the contract."""
    assert verdicts[name] > 0


def test_the_same_run_finds_no_fault_in_the_example(verdicts: dict[str, int]) -> None:
    """What fails above fails for what was broken, not for how it was run."""
    assert verdicts[_INTACT] == 0
