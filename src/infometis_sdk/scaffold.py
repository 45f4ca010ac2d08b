"""What ``infometis init`` writes: a commented project that works as it stands."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_sdk._adapters.project_files import write_new
from infometis_sdk._serde import dumps_json
from infometis_sdk.errors import RefusedError
from infometis_sdk.project.lock import lock_project
from infometis_sdk.project.schema import schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.model.service import ServiceSource

__all__ = ("SERVICES", "init_project", "new_id", "project_texts")

SERVICES = ("kafka", "elasticsearch", "nifi", "grafana")
"""The services of a new project, in order of their needs."""

_SCHEMAS = ".infometis/schemas"
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LETTERS = 6
_NAME_MAX = 24
"""Name, six letters and an environment's name make the stack id, which has room for 40."""


def new_id(name: str) -> str:
    """Return a fresh id for a project: its name, for people, and six random letters.

    Example:
        >>> new_id("demo").startswith("demo-")
        True

    """
    tail = "".join(secrets.choice(_LETTERS) for _ in range(_ID_LETTERS))
    return f"{name[:_NAME_MAX].rstrip('-')}-{tail}"


def project_texts(name: str, project_id: str) -> dict[str, str]:
    """Return the files of a new project, name to text; pure.

    Args:
        name: of the project, a DNS label.
        project_id: from :func:`new_id`; never changed afterwards.

    Example:
        >>> sorted(project_texts("demo", "demo-abcdef"))[:2]
        ['.gitignore', '.infometis/schemas/environment.json']

    """
    texts = {
        "infometis.yaml": _PROJECT,
        "environments/dev.yaml": _DEV,
        "environments/prod.yaml": _PROD,
        "README.md": _README,
        ".gitignore": _GITIGNORE,
    }
    filled = {
        path: text.replace("@NAME@", name).replace("@ID@", project_id)
        for path, text in texts.items()
    }
    made = {
        f"{_SCHEMAS}/{kind}.json": dumps_json(schema, indent=2) + "\n"
        for kind, schema in schemas().items()
    }
    return {**filled, **made}


def init_project(
    root: str | Path, name: str, sources: Mapping[str, ServiceSource]
) -> tuple[str, ...]:
    """Write a new project and pin its services.

    Args:
        root: the project's directory; made where it is not there.
        name: of the project, a DNS label.
        sources: registered services by name.

    Returns:
        The files that were written, without the pinned content.

    Raises:
        RefusedError: a file of that name is there already; nothing was written.
        ProjectError: a service of the catalogue cannot be pinned.

    """
    texts = project_texts(name, new_id(name))
    there = write_new(Path(root), texts)
    if there:
        msg = f"{root} holds {', '.join(there)} already; nothing was written"
        raise RefusedError(msg, hint="choose another directory, or move these files away")
    lock_project(root, sources, wanted=SERVICES)
    return (*texts, "infometis.lock")


_PROJECT = """\
# yaml-language-server: $schema=.infometis/schemas/project.json
format: infometis.io/project/v1
name: @NAME@
# Written once, unique, never changed: what is in clusters hangs on it, not on the name.
id: @ID@

# Each service comes from services/NAME/ where there is such a directory, else from the catalogue
# or a plugin. infometis.lock pins the latter; "infometis lock --update kafka" moves a pin.
services:
  kafka: {}
  elasticsearch: {}
  nifi: {}
  grafana: {}

# Values for all environments. Core parameters can be set here and nowhere else, since the core is
# the same everywhere; what differs belongs into environments/*.yaml.
values:
  kafka:
    partitions: 3
  grafana:
    index_pattern: "*"

# Values for a mode, below those of the environment; mode "shared" is that of guests in a cluster.
# modes:
#   shared:
#     kafka: {cpu: 500m}
"""

_DEV = """\
# yaml-language-server: $schema=../.infometis/schemas/environment.json
format: infometis.io/environment/v1
# Written once, unique, never changed: everything in the cluster that is ours carries it.
stack_id: @ID@-dev

# A genuine Kubernetes API on this machine; containers are simulated. See "infometis plugins list".
platform:
  type: embedded

# Small and single, for a laptop. "infometis explain kafka.replicas" says where a value comes from.
# Your own values, for this machine alone, go into environments/dev.local.yaml, which git ignores.
values:
  kafka:
    replicas: 1
    memory: 1Gi
    storage: 2Gi
  elasticsearch:
    replicas: 1
    memory: 2Gi
    storage: 2Gi
  nifi:
    memory: 2Gi
    storage: 2Gi
  grafana:
    storage: 512Mi
"""

_PROD = """\
# yaml-language-server: $schema=../.infometis/schemas/environment.json
format: infometis.io/environment/v1
stack_id: @ID@-prod

# An existing cluster, by its context in your kubeconfig.
platform:
  type: existing
  context: @NAME@-prod
namespace: @NAME@-prod

# A reviewed plan is demanded, no local file is read, and what ends things wants the name typed.
protected: true

# The same core as dev, as "infometis render --digests" shows; only scale, platform, border differ.
values:
  kafka:
    replicas: 3
    controllers: 3
    memory: 4Gi
    storage: 100Gi
    storage_class: fast
  elasticsearch:
    replicas: 3
    memory: 8Gi
    storage: 200Gi
    storage_class: fast
  nifi:
    memory: 4Gi
    storage: 50Gi
    storage_class: fast
    public_host: nifi.example.com
  grafana:
    storage: 5Gi
    storage_class: fast
    public_url: https://grafana.example.com/

policies:
  pod_security: baseline

# Credentials are generated in the cluster unless a source is named:
# credentials:
#   grafana.admin: {password: "env:GRAFANA_ADMIN_PASSWORD"}
"""

_README = """\
# @NAME@

A data-processing stack: NiFi, Kafka, Elasticsearch and Grafana, composed once and the same in every
environment.

    infometis up            # brings up the environment dev and waits until it is ready
    infometis status
    infometis plan -e prod  # shows what would change there

| file | what it holds |
|---|---|
| `infometis.yaml` | the services, and the values that are the same everywhere |
| `environments/*.yaml` | where each environment runs, and what differs there |
| `services/NAME/` | services of your own |
| `infometis.lock`, `.infometis/services/` | the pinned content of services of the catalogue |
"""

_GITIGNORE = """\
# values of one machine
*.local.yaml
# plans and secrets do not belong into version control
plan*.json
*.kubeconfig
"""
