"""The environments on the page about Traefik are right, and the engine renders them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import infometis_sdk as im

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "traefik.md"
SAMPLES = re.findall(r"(?<=^```yaml\n)(.*?)(?=^```$)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
PROJECT = """\
format: infometis.io/project/v1
name: shop
id: shop-1
services:
  kafka: {}
  nifi: {}
  elasticsearch: {}
  grafana: {}
"""


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_render(sample: str, tmp_path: Path) -> None:
    """Whoever copies a sample gets what the page says."""
    (tmp_path / "environments").mkdir()
    (tmp_path / "infometis.yaml").write_text(PROJECT)
    (tmp_path / "environments" / "there.yaml").write_text(sample)
    project = im.Project.load(tmp_path)
    made = im.Workspace(project)["there"].render()
    routes = [each for each in made.manifests if each.object["kind"] == "IngressRoute"]
    configured = [
        each for each in made.manifests if each.object["metadata"]["name"] == "border-routes"
    ]
    assert routes or configured
