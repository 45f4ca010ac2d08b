from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from tests.unit.platform_kind.transcripts import Replay, failed, platform, said

from infometis_platform_kind import Kind
from infometis_platform_kind.binary import find_kind, known_kind
from infometis_platform_kind.engine import Engine, Node
from infometis_platform_kind.images import load_images
from infometis_platform_kind.wsl import check_wsl
from infometis_sdk.errors import MissingPartError, PlatformError
from infometis_sdk.model.run import Run

NODE = Node(name="demo-control-plane", id="x", role="control-plane", state="running")
DUMP = "version = 3\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'native'\n"


def _loading(**more: object) -> Replay:
    image = json.dumps([{"Architecture": "amd64"}])
    return Replay(
        {
            "docker exec demo-control-plane uname": said("x86_64\n"),
            "docker exec demo-control-plane containerd config dump": said(DUMP),
            "docker image inspect": said(image),
            "docker save": said(),
            "docker exec --interactive": said("unpacking app:1...done\n"),
            **more,  # type: ignore[dict-item]
        }
    )


def test_one_platform_is_saved_and_imported(tmp_path: Path) -> None:
    """Neither all platforms are saved nor imported, so that no digest is missed."""
    archive = tmp_path / "other.tar"
    archive.write_bytes(b"an archive")
    replay = _loading()
    (tmp_path / "x").touch()

    def command(argv: list[str], run: Run, **options: object) -> object:
        if argv[1] == "save":
            Path(argv[argv.index("--output") + 1]).write_bytes(b"saved")
        return replay(argv, run, **options)

    load_images(Engine("docker", command), [NODE], ["app:1", archive], Run.within(60))  # type: ignore[arg-type]
    (save,) = replay.ran("docker save")
    assert save.startswith("docker save --platform linux/amd64 --output ")
    imports = replay.ran("docker exec --interactive")
    assert (
        imports
        == [
            (
                "docker exec --interactive demo-control-plane ctr --namespace=k8s.io images import "
                "--digests --snapshotter=native -"
            )
        ]
        * 2
    )
    fed = [replay.fed[n] for n, each in enumerate(replay.asked) if each in imports]
    assert fed == [b"saved", b"an archive"]


def test_what_docker_loses_of_an_output_is_asked_for_again() -> None:
    """Docker at times loses what a program printed and says that it ended well."""
    uname = "docker exec demo-control-plane uname"
    replay = _loading(**{uname: [said(), said(), said("x86_64\n")]})
    engine = Engine("docker", replay)
    assert engine.printed(NODE.name, Run.within(60), "uname", "-m") == "x86_64\n"
    replay.answers[uname] = [said()]
    assert engine.printed(NODE.name, Run.within(60), "uname", "-m") == ""
    assert len(replay.ran(uname)) == 8


def test_an_older_docker_saves_without_the_flag() -> None:
    """Docker before 28 knows no platform to save, and holds one only."""
    replay = _loading()
    replay.answers["docker save --platform"] = [failed("unknown flag: --platform")]

    def command(argv: list[str], run: Run, **options: object) -> object:
        if "--output" in argv:
            Path(argv[argv.index("--output") + 1]).write_bytes(b"saved")
        return replay(argv, run, **options)

    load_images(Engine("docker", command), [NODE], ["app:1"], Run.within(60))  # type: ignore[arg-type]
    assert len(replay.ran("docker save")) == 2


def test_images_that_will_not_do_are_all_named_before_the_first_is_loaded() -> None:
    """Missing ones together; then those for another machine."""
    missing = failed("Error response from daemon: No such image: gone:1")
    replay = _loading()
    replay.answers["docker image inspect gone"] = [missing]
    replay.answers["docker image inspect lost"] = [missing]
    with pytest.raises(PlatformError, match="gone:1, lost:2"):
        load_images(Engine("docker", replay), [NODE], ["gone:1", "app:1", "lost:2"], Run.within(9))
    replay = _loading()
    replay.answers["docker image inspect arm"] = [said(json.dumps([{"Architecture": "arm64"}]))]
    with pytest.raises(PlatformError, match=r"not for amd64.*arm:1 \(arm64\)"):
        load_images(Engine("docker", replay), [NODE], ["arm:1"], Run.within(9))
    assert replay.ran("docker save") == []


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """The cure for a node without room is in the error."""
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"x")
    replay = _loading()
    replay.answers["docker exec --interactive"] = [
        failed("ctr: failed to copy: write /var/lib/containerd/x: no space left on device")
    ]
    with pytest.raises(PlatformError, match="cannot be loaded into demo-control-plane") as caught:
        load_images(Engine("docker", replay), [NODE], [archive], Run.within(9))
    assert "make room" in caught.value.hint


def test_preflight_names_everything_with_its_cure(tmp_path: Path) -> None:
    """Old API, rootless without delegation and a skewed clock are found in what docker tells."""
    info = {
        "ServerVersion": "19.03",
        "CgroupVersion": "1",
        "SecurityOptions": ["name=rootless"],
        "PidsLimit": False,
        "Driver": "overlay2",
        "SystemTime": "2020-01-01T00:00:00.123456789+01:00",
    }
    replay = Replay({"docker info": said(json.dumps(info)), "docker version": said("1.40\n")})
    found = {each.check: each for each in platform(tmp_path, replay).preflight()}
    bad = {name for name, each in found.items() if each.level == "error"}
    assert bad == {"docker version", "cgroup", "rootless", "clock"}
    assert all(each.cure for each in found.values() if each.level != "ok")
    assert found["image store"].detail == "overlay2"


@pytest.mark.parametrize(
    ("version", "mixed", "config", "levels"),
    [
        ("Linux version 6.1 (Debian)", "", None, []),
        ("Linux version 5.15 microsoft-standard-WSL2", "memory", None, ["error"]),
        ("Linux version 6.6 Microsoft WSL2", "", "# CONFIG_X is not set\n", ["ok", "warning"]),
        (
            "Linux version 6.6 Microsoft WSL2",
            "",
            "CONFIG_NETFILTER_XT_MATCH_RECENT=m\n",
            ["ok"],
        ),
    ],
)
def test_wsl(
    tmp_path: Path, version: str, mixed: str, config: str | None, levels: list[str]
) -> None:
    """WSL needs cgroup v2 alone, and a kernel with xt_recent; other machines are not asked."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text(version)
    cgroups = tmp_path / "sys/fs/cgroup"
    cgroups.mkdir(parents=True)
    (cgroups / "cgroup.controllers").touch()
    if mixed:
        (cgroups / mixed).mkdir()
    if config:
        (tmp_path / "proc/config.gz").write_bytes(gzip.compress(config.encode()))
    findings = check_wsl(tmp_path)
    assert [each.level for each in findings] == levels
    assert all(each.cure for each in findings if each.level != "ok")


def test_the_pinned_release_is_wanted_unless_the_image_is_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images belong to a release of kind; another one on PATH is not taken by mistake."""
    program = tmp_path / "bin" / "kind"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    replay = Replay({"kind version": said("kind v0.27.0 go1.23.6 linux/amd64\n")})
    path, why = known_kind(Kind(), tmp_path, replay, Run.within(9))
    assert (path, "is v0.27.0, and node images are pinned for v0.33.0" in why) == ("", True)
    path, why = known_kind(Kind(image="mine:1"), tmp_path, replay, Run.within(9))
    assert (path, why) == (str(program), "")
    replay = Replay()
    assert known_kind(Kind(), tmp_path, replay, Run.within(9)) == (str(program), "")


def test_a_program_that_the_user_named_is_the_only_one_tried(tmp_path: Path) -> None:
    """A wrong path is an error, not a reason to take another program."""
    replay = Replay({"kind version": failed("", 127)})
    settings = Kind(binary="/opt/kind")
    with pytest.raises(MissingPartError, match="that the settings name will not do"):
        find_kind(settings, tmp_path, replay, Run.within(9))
