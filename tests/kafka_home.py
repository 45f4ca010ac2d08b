"""A genuine Kafka from its jars on Maven Central, laid out as start.sh finds it in the image."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ("VERSION", "kafka_home", "scripts")

VERSION = "4.3.1"
# Kafka's own distribution logs through these; as dependencies they are optional.
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>infometis.tests</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-core</artifactId><version>2.25.3</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId><version>2.25.3</version></dependency>
  </dependencies>
</project>
"""
_MAIN = {
    "kafka-storage.sh": "kafka.tools.StorageTool",
    "kafka-server-start.sh": "kafka.Kafka",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-metadata-quorum.sh": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
}


def kafka_home() -> Path:
    """Return a folder with ``libs`` and ``bin``, filled once for a machine; or skip the test."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        reason = f"no genuine Kafka without {' and '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    cache = Path(os.environ.get("INFOMETIS_CACHE_DIR") or Path.home() / ".cache" / "infometis")
    home = cache / "tests" / f"kafka-{VERSION}"
    if not (home / "complete").exists():
        _fetch(home)
    return home


def scripts(home: Path | str) -> dict[str, str]:
    """Return Kafka's programs by name, for jars that lie in ``libs`` below ``home``."""
    return {
        name: "#!/bin/sh\n"
        "exec java $KAFKA_HEAP_OPTS $KAFKA_OPTS $KAFKA_LOG4J_OPTS"
        f" -cp '{home}/libs/*' {main} \"$@\"\n"
        for name, main in _MAIN.items()
    }


def _fetch(home: Path) -> None:
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / "pom.xml").write_text(_POM)
    subprocess.run(
        ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={home / 'libs'}"],
        cwd=home,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    for name, text in scripts(home).items():
        program = home / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    (home / "complete").touch()
