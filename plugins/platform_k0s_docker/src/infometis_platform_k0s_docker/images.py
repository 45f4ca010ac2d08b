"""The image of k0s: found or pulled, and pinned by what it is, not by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from infometis_platform_k0s_docker.troubles import explaining
from infometis_sdk.errors import MissingPartError, PlatformError
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_platform_k0s_docker.engine import Engine
    from infometis_platform_k0s_docker.plan import Plan
    from infometis_sdk.model.run import Run

__all__ = ("architecture", "find_image", "pin")

_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def pin(engine: Engine, plan: Plan, wanted: str, run: Run) -> Plan:
    """Return the plan with the image that it names, by ID and digest; it is pulled if need be.

    Args:
        engine: Docker.
        plan: whose ``reference`` names the image, and whose ``digest`` and ``image`` pin it.
        wanted: digest that the user set; empty for none.
        run: deadline, events, cancel token.

    Raises:
        MissingPartError: it is not here, and cannot be pulled.
        PlatformError: what is here is another one, or for another machine.

    """
    digest = wanted or plan.digest
    found = find_image(engine, plan.image) if plan.image else None
    if found is None:
        found = _named(engine, plan.reference, digest) or _pulled(
            engine, plan.reference, digest, run
        )
    if plan.image and plan.image != found["Id"] and not digest:
        msg = f"{plan.reference} is another image than the one that the cluster was made with"
        hint = f"bring back {plan.image}, or destroy the cluster to make it from the new one"
        raise PlatformError(msg, hint=hint)
    own, its = architecture(engine), str(found.get("Architecture", ""))
    if its and own and its != own:
        msg = f"{plan.reference} is for {its}, and this Docker runs {own}"
        raise PlatformError(msg, hint=f"remove it, and pull or load the one for {own}")
    return attrs.evolve(plan, image=found["Id"], digest=digest or _digest(found, plan.reference))


def find_image(engine: Engine, name: str) -> Mapping[str, Any] | None:
    """Return what Docker knows of an image; ``None`` where it has none of that name or ID."""
    import docker

    with explaining(f"Docker does not tell about {name}", engine.host):
        try:
            found: Mapping[str, Any] = engine.client.inspect_image(name)
        except docker.errors.ImageNotFound:
            return None
    return found


def architecture(engine: Engine) -> str:
    """Return the architecture of the machine where nodes run, as images write it."""
    said = str(engine.info().get("Architecture") or "")
    return _NAMES.get(said, said)


def _named(engine: Engine, reference: str, digest: str) -> Mapping[str, Any] | None:
    """Return the image of that name, if it is here and has the digest."""
    if digest:
        return find_image(engine, f"{_repository(reference)}@{digest}")
    return find_image(engine, reference)


def _pulled(engine: Engine, reference: str, digest: str, run: Run) -> Mapping[str, Any]:
    name = f"{_repository(reference)}@{digest}" if digest else reference
    run.emit(Event(name="pull image", subject=name, state="started"))
    try:
        with explaining(f"Docker cannot pull {name}", engine.host):
            _follow(engine.client.pull(name, stream=True, decode=True), name, run)
    except PlatformError as error:
        run.emit(Event(name="pull image", subject=name, state="failed", detail=error.message))
        tried = (f"the images of Docker at {engine.host}: not there", error.message)
        msg = f"the image {name} cannot be had"
        raise MissingPartError(msg, tried=tried, hint=error.hint) from error
    found = find_image(engine, name)
    if found is None:
        msg = f"Docker pulled {name}, and does not have it"
        raise PlatformError(msg, hint="look at the log of Docker")
    run.emit(Event(name="pull image", subject=name, state="finished"))
    return found


def _follow(lines: Any, name: str, run: Run) -> None:  # noqa: ANN401
    """Tell how far the pull is, in bytes of all layers; raise what Docker reports in between."""
    from docker.errors import APIError

    sizes: dict[str, tuple[int, int]] = {}
    for line in lines:
        run.check(f"pulling {name}")
        if "error" in line:
            raise APIError(str(line["error"]))
        detail = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and detail.get("total"):
            sizes[str(line.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))
            done = sum(each[0] for each in sizes.values())
            total = sum(each[1] for each in sizes.values())
            run.emit(
                Event(
                    name="pull image",
                    subject=name,
                    state="progress",
                    done=min(done, total),
                    total=total,
                    unit="bytes",
                )
            )


def _digest(found: Mapping[str, Any], reference: str) -> str:
    for each in found.get("RepoDigests") or ():
        repository, _, digest = str(each).partition("@")
        if _same(repository, _repository(reference)):
            return digest
    return ""


def _repository(reference: str) -> str:
    """Return the reference without its tag.

    Example:
        >>> _repository("localhost:5000/k0s:v1")
        'localhost:5000/k0s'

    """
    head, colon, tail = reference.rpartition(":")
    return head if colon and "/" not in tail else reference


def _same(one: str, other: str) -> bool:
    """Whether two names are of one repository; Docker leaves its own registry's name out."""
    return one.removeprefix("docker.io/") == other.removeprefix("docker.io/")
