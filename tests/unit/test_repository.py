from __future__ import annotations

import ast
import importlib.util
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import infometis_sdk

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
HEAVY = ("docker", "jinja2", "kubernetes", "pydantic", "requests")
# The rest is for the command line, for the loader of plugins, or underscored.
PUBLIC = (
    "engine",
    "errors",
    "hookspecs",
    "machine",
    "model",
    "ports",
    "project",
    "testing",
    "workspace",
)


def _pyproject(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def _public_modules() -> list[str]:
    """Name every module of the public surface without importing any."""
    names = ["infometis_sdk"]
    names += [
        f"infometis_sdk.{info.name}"
        for info in pkgutil.iter_modules(infometis_sdk.__path__)
        if info.name in PUBLIC
    ]
    for package in tuple(names[1:]):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        names += [
            f"{package}.{info.name}"
            for info in pkgutil.iter_modules(spec.submodule_search_locations or [])
            if not info.name.startswith("_")
        ]
    return names


def _defined(source: str, *, reexports: bool) -> set[str]:
    """Name what a module defines at its top level, and in an ``__init__`` what it re-exports.

    A package that loads its names when they are used shows them to type checkers only.
    """
    names: set[str] = set()
    body = ast.parse(source).body
    if reexports and "_lazy.lazy(" in source:
        checked = [n for n in body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)]
        body += [each for node in checked for each in node.body]
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.ImportFrom(module=str(module), names=aliases) if (
                reexports and module.startswith("infometis_sdk")
            ):
                names.update(alias.asname or alias.name for alias in aliases)
    return {name for name in names if not name.startswith("_")}


def _tracked() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        if os.environ.get("CI"):
            pytest.fail("not a git checkout, or no git: tracked files cannot be checked")
        pytest.skip("not a git checkout, or no git")
    output = subprocess.run(
        [git, "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in output.split("\0") if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda path: path.name)
def test_plugins_have_the_version_of_the_sdk(folder: Path) -> None:
    """All packages share one version, and a plugin asks for exactly that SDK."""
    sdk = _pyproject(ROOT)["project"]
    plugin = _pyproject(folder)["project"]
    assert plugin["version"] == sdk["version"]
    assert plugin["requires-python"] == sdk["requires-python"]
    asked = [need.replace(" ", "") for need in plugin["dependencies"]]
    assert f"infometis-sdk=={sdk['version']}" in asked


def test_version_comes_from_the_metadata() -> None:
    """The version is written once, in pyproject.toml; the package tells the same."""
    assert infometis_sdk.__version__ == _pyproject(ROOT)["project"]["version"]


@pytest.mark.parametrize("name", _public_modules())
def test_all_names_what_is_public(name: str) -> None:
    """``__all__`` is a tuple that names everything public, and nothing that is not there."""
    module = importlib.import_module(name)
    assert module.__file__ is not None
    path = Path(module.__file__)
    is_package = path.name == "__init__.py"
    defined = _defined(path.read_text(encoding="utf-8"), reexports=is_package)
    names = getattr(module, "__all__", None)
    if is_package and not defined and names is None:
        return  # a package that only holds its modules
    assert isinstance(names, tuple)
    assert len(set(names)) == len(names)
    assert sorted(defined - set(names)) == []
    if is_package:  # a module of that name would hide what is loaded when it is used
        assert {each.stem for each in path.parent.glob("*.py")} & set(names) == set()
    assert [public for public in names if not hasattr(module, public)] == []


@pytest.mark.parametrize(
    "use", ["infometis_sdk", "infometis_sdk.Environment", "infometis_sdk.Workspace"]
)
def test_importing_is_cheap(use: str) -> None:
    """Importing the SDK, or reaching for a name, leaves the heavy packages unimported."""
    code = f"import sys, infometis_sdk; {use}; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == []


def test_tracked_files_name_no_registry() -> None:
    """Where packages come from is the user's configuration, never the project's."""
    # Spelt so that this file does not match itself.
    hosts = re.compile(
        r"py[p]i\.org|pythonhoste[d]\.org|(?:proxy|sum)\.golan[g]\.org|npmj[s]\.(?:org|com)"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in _tracked()
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
        )
        if hosts.search(line)
    ]
    assert found == []


def test_tracked_files_name_no_path_of_this_machine() -> None:
    """A clone works anywhere, so no file may hold where it, or its author's home, happens to be."""
    # The home of root is the same on every machine, and in every container.
    everywhere = (Path("/"), Path("/root"))
    places = [str(place) for place in (ROOT, Path.home()) if place not in everywhere]
    pattern = re.compile("|".join(rf"(?<![\w.]){re.escape(place)}(?![\w-])" for place in places))
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in _tracked()
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
        )
        if places and pattern.search(line)
    ]
    assert found == []


def test_no_deadline_begins_when_a_test_is_imported() -> None:
    """All tests are imported first, so such a time is used up before those at the end run."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (*ROOT.glob("tests/**/*.py"), *ROOT.glob("src/**/*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr == "within"
    ]
    assert found == []


def test_changelog_fragments_are_of_a_known_kind() -> None:
    """A misnamed fragment would be left out of the changelog without a word."""
    kinds = "|".join(kind["directory"] for kind in _pyproject(ROOT)["tool"]["towncrier"]["type"])
    legal = re.compile(rf"(?:\d+|\+[a-z0-9-]+)\.(?:{kinds})(?:\.\d+)?\.md|README\.md")
    names = [path.name for path in (ROOT / "changes").iterdir()]
    assert [name for name in names if not legal.fullmatch(name)] == []


def test_links_between_pages_lead_somewhere() -> None:
    """The pages at the top are read as files, where nothing else would notice a dead link."""
    links = [
        (page.name, target)
        for page in sorted(ROOT.glob("*.md"))
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    ]
    assert links
    assert [link for link in links if not (ROOT / link[1]).exists()] == []
