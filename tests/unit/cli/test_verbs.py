from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.unit.cli.running import Runner

HEAVY = ("attrs", "cattrs", "jinja2", "kubernetes", "pluggy", "rich", "structlog", "yaml")
PURE = (
    ("validate",),
    ("render",),
    ("render", "--digests"),
    ("render", "--service", "kafka"),
    ("explain", "kafka.replicas"),
    ("explain", "--influence"),
    ("lock",),
    ("plugins",),
    ("plugins", "list"),
    ("schema",),
    ("schema", "project"),
    ("schema", "--write", "schemas"),
    ("urls",),
)


@pytest.mark.parametrize("words", PURE, ids=" ".join)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_stdout_is_one_document(
    words: tuple[str, ...], form: str, run: Runner, project: Path
) -> None:
    """With --output json or yaml stdout is exactly one document; what people read is on stderr."""
    del project
    done = run(*words, "--output", form)
    assert done.code == 0
    document = json.loads(done.out) if form == "json" else yaml.safe_load(done.out)
    assert isinstance(document, (dict, list))


@pytest.mark.parametrize("words", PURE, ids=" ".join)
def test_quiet_leaves_the_result_alone(words: tuple[str, ...], run: Runner, project: Path) -> None:
    """--quiet silences stderr and changes nothing of the result."""
    del project
    loud, quiet = run(*words), run("-q", *words)
    assert (loud.code, quiet.code, quiet.err) == (0, 0, "")
    assert loud.out == quiet.out


def test_a_new_project_is_sound_and_nothing_is_overwritten(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``init`` writes a project that validates, says what to do next, and never overwrites."""
    monkeypatch.chdir(tmp_path)
    first = run("init", "demo")
    assert first.out.splitlines()[-1] == "next: cd demo && infometis up"
    before = {p: p.read_bytes() for p in Path("demo").rglob("*") if p.is_file()}
    again = run("init", "demo")
    assert again.code == 3
    assert "nothing was written" in again.err
    assert before == {p: p.read_bytes() for p in Path("demo").rglob("*") if p.is_file()}
    assert run("-C", "demo", "validate").out == "demo: no fault in dev, prod\n"


@pytest.mark.parametrize("verb", ["plan", "up"])
def test_a_misspelt_service_is_told_before_a_cluster_is_made(
    verb: str, run: Runner, project: Path
) -> None:
    """What the project alone can tell is told at once, and nothing is made or contacted for it."""
    done = run(verb, "kafak")
    assert (done.code, done.out) == (2, "")
    assert "there is no service 'kafak'" in done.err
    assert "did you mean 'kafka'?" in done.err
    assert not (project.parent / "state").exists()


def test_init_refuses_a_name_that_cannot_be_one(run: Runner) -> None:
    """A project's name becomes part of DNS names."""
    done = run("init", "Über_Projekt")
    assert done.code == 2
    assert "'Über_Projekt' cannot name a project" in done.err


@pytest.mark.parametrize(
    "words",
    [("-e", "prod", "render"), ("render", "-e", "prod"), ("-e", "dev", "render", "--env", "prod")],
    ids=" ".join,
)
def test_shared_options_stand_before_or_after_the_verb(
    words: tuple[str, ...], run: Runner, project: Path
) -> None:
    """An option of every verb may stand on either side of it; the nearer one wins."""
    del project
    done = run(*words)
    assert "namespace: demo-prod" in done.out
    assert done.err == ""


def test_the_environment_that_was_not_named_is_told(run: Runner, project: Path) -> None:
    """Where several environments are there, people are told which one was meant."""
    assert run("render").err == "environment dev (-e for another: prod)\n"
    (project / "environments" / "dev.yaml").unlink()
    only = run("render")
    assert (only.err, "namespace: demo-prod" in only.out) == ("", True)


def test_no_environment_is_guessed(run: Runner, project: Path) -> None:
    """Several environments, none of them ``dev``: nothing is guessed."""
    folder = project / "environments"
    (folder / "dev.yaml").rename(folder / "test.yaml")
    done = run("render")
    assert done.code == 2
    assert "legal: prod, test" in done.err
    assert "name one with -e" in done.err


def test_an_unknown_environment_names_the_nearest(run: Runner, project: Path) -> None:
    """A misspelt environment is met with the one that was meant."""
    del project
    assert "did you mean 'prod'?" in run("render", "-e", "prd").err


def test_the_project_is_found_from_below(
    run: Runner, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As git does, the command looks upwards for its project."""
    monkeypatch.chdir(project / "environments")
    assert run("validate").out == "demo: no fault in dev, prod\n"


def test_validate_shows_all_faults_of_all_environments(run: Runner, project: Path) -> None:
    """One fault in each environment, and an unknown platform: all are told, with their places."""
    for name, old, new in (
        ("dev", "type: embedded", "type: embeded"),
        ("prod", "replicas: 3", "replicas: lots"),
    ):
        file = project / "environments" / f"{name}.yaml"
        file.write_text(file.read_text().replace(old, new, 1))
    done = run("validate")
    assert done.code == 2
    assert "environments/prod.yaml:" in done.err
    assert "found 'lots'" in done.err
    file.write_text(file.read_text().replace("replicas: lots", "replicas: 3"))
    done = run("validate", "--output", "json")
    (fault,) = json.loads(done.out)["error"]["faults"]
    assert fault["origin"]["file"] == "environments/dev.yaml"
    assert (fault["nearest"], fault["level"]) == ("embedded", "error")


def test_digests_of_the_core_are_the_same_everywhere(run: Runner, project: Path) -> None:
    """Dev and prod differ in replicas, sizes and hosts, and have one core."""
    del project
    dev, prod = (
        json.loads(run("render", "--digests", "-e", name, "--output", "json").out)
        for name in ("dev", "prod")
    )
    assert dev == prod
    assert dev["state"] == "unverified"
    assert all(text.startswith("sha256:") for text in dev["services"].values())


def test_render_is_what_kubectl_reads(run: Runner, project: Path) -> None:
    """As text, one YAML document for each object; as JSON, one List of the same objects."""
    del project
    documents = list(yaml.safe_load_all(run("render").out))
    whole = json.loads(run("render", "--output", "json").out)
    assert whole["kind"] == "List"
    assert documents == whole["items"]
    labels = [o["metadata"]["labels"] for o in documents]
    names = {each.get("app.kubernetes.io/name") for each in labels}
    assert names >= {"kafka", "nifi"}
    only = list(yaml.safe_load_all(run("render", "--service", "kafka").out))
    assert {o["metadata"]["labels"]["app.kubernetes.io/name"] for o in only} == {"kafka"}
    assert run("render", "--service", "kafak").code == 2


def test_explain_names_file_and_line(run: Runner, project: Path) -> None:
    """``explain`` names the line that set a value, and for a misspelt parameter the one meant."""
    text = (project / "environments" / "dev.yaml").read_text().splitlines()
    line = next(
        n for n, words in enumerate(text, 1) if "replicas" in words and "explain" not in words
    )
    assert f"environments/dev.yaml:{line})" in run("explain", "kafka.replicas").out
    assert "did you mean 'replicas'?" in run("explain", "kafka.replics").err


def test_schemas_are_written(run: Runner, project: Path) -> None:
    """``schema --write`` leaves one JSON Schema for each file format."""
    assert run("schema", "--write", "out").code == 0
    names = {path.stem for path in (project / "out").glob("*.json")}
    assert names == set(run("schema").out.split())


def test_verbs_without_a_cluster_say_so(run: Runner, project: Path) -> None:
    """Asking about a cluster that was never made is no traceback but exit code 4 and a cure."""
    del project
    for verb in ("status", "drift", "plan", "credentials", "kubeconfig", "down"):
        done = run(verb, "-e", "dev")
        assert (done.code, done.out) == (4, "")
        assert "there is no embedded cluster" in done.err
        assert "infometis up" in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, run: Runner) -> None:
    """Each shell gets a script of its own."""
    script = run("completion", shell)
    assert script.code == 0
    assert "_INFOMETIS_COMPLETE" in script.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [("up -e ", "prod"), ("up ka", "kafka"), ("st", "status"), ("--out", "--output")],
)
def test_words_are_completed(words: str, expected: str, project: Path) -> None:
    """Environments and services of the project, verbs and options are completed."""
    done = subprocess.run(
        [sys.executable, "-c", "from infometis_sdk.cli import main; main()"],
        cwd=project,
        env={
            **os.environ,
            "_INFOMETIS_COMPLETE": "bash_complete",
            "COMP_WORDS": f"infometis {words}",
            "COMP_CWORD": str(len(f"infometis {words}".split()) - (not words.endswith(" "))),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"plain,{expected}" in done.stdout.split()


def test_help_is_light() -> None:
    """``--help`` imports nothing but click, so that it answers at once."""
    code = (
        "import sys; from infometis_sdk.cli import main; code = main(['--help']); "
        f"print(code, sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "0 []\n"
    assert "Exit codes:" in done.stdout


def test_a_saved_plan_is_for_its_owner_alone(tmp_path: Path) -> None:
    """A plan tells much about a cluster, so nobody else may read the file."""
    from infometis_sdk.cli.verbs.plan import _write

    file = tmp_path / "plan.json"
    file.write_text("an older one")
    _write(file, "{}")
    assert file.read_text() == "{}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
