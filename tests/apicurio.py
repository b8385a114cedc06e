"""A real schema registry for tests: Apicurio from its Maven artifact, in memory, on a free port.

The artifact is 142 MB, and is kept unpacked under the user's cache. Its API at ``/apis/ccompat/v7`` is Confluent's.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.apache_kafka import KafkaMissing, classpath, quiet_port

VERSION = "2.6.13.Final"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
RUNNER = f"apicurio-registry-app-{VERSION}-runner.jar"
START_TIMEOUT_S = 120.0


class Apicurio:
    """One that runs; it can be ended and started again, and then knows nothing."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        self.start()

    def start(self) -> None:
        """Return when it answers."""
        options = ["-Xmx400m", f"-Dquarkus.http.port={self.port}", "-Dquarkus.http.host=127.0.0.1"]
        command = ["java", *options, "-jar", RUNNER]
        self._process = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, "Apicurio ended"
            assert time.monotonic() < deadline, "Apicurio does not answer"

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def register(self, subject: str, schema: object, type: str) -> int:
        """The id of a schema that it knows from now on."""
        body = json.dumps({"schema": json.dumps(schema), "schemaType": type}).encode()
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        request = urllib.request.Request(f"{self.url}/subjects/{subject}/versions", body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return int(found["id"])

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/schemas/types", timeout=1):
            return True
        return False


@contextlib.contextmanager
def apicurio() -> Iterator[Apicurio]:
    """A registry of its own. KafkaMissing if Java or Maven are not there, or Maven does not find it."""
    registry = Apicurio(_unpacked(), quiet_port())
    try:
        yield registry
    finally:
        registry.stop()


def _unpacked() -> Path:
    classpath()  # tells what is missing
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scrnn-stream"
    kept = cache / f"apicurio-{VERSION}"
    if kept.is_dir():
        return kept
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
        command = ["mvn", "-B", "-q", goal, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={directory}"]
        if subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL).returncode != 0:
            raise KafkaMissing(f"Maven does not find {ARTIFACT}")
        [archive] = Path(directory).glob("*.tar.gz")
        unpacked = Path(directory) / "unpacked"
        with tarfile.open(archive) as content:
            content.extractall(unpacked, filter="data")
        unpacked.replace(kept)
    return kept
