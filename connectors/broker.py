"""A Kafka broker inside this process's lifetime, for demos and tests: one small binary, loopback only, no Java."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class BrokerProblem(RuntimeError):
    """The embedded broker cannot run; the message is one line that says what to do."""


class EmbeddedBroker:
    """Runs the Kafka part of `noida-db <https://pypi.org/project/noida-db/>`_ on a free port of 127.0.0.1.

    Its data lives in a temporary directory and goes with it. On Linux the broker also ends when the thread that
    started it does, however that ends; so start it from the main thread.

    It is made for development. Known gaps: it never expires a dead member of a consumer group, so a killed consumer
    must come back under the same ``group_instance_id`` or the group must get a new name; it creates any topic that a
    client asks for; and like every Kafka it soon deletes messages whose timestamp is older than a week.

    Parameters
    ----------
    start_timeout_s
        How long it may take to answer.

    Raises
    ------
    BrokerProblem
        On entry, if the package is missing or the broker does not answer.
    """

    def __init__(self, start_timeout_s: float = 15.0) -> None:
        self.start_timeout_s = start_timeout_s
        self.address = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> EmbeddedBroker:
        binary = _binary()
        self._directory = tempfile.TemporaryDirectory(prefix="scrnn-stream-broker-", ignore_cleanup_errors=True)
        try:
            self._start(binary, Path(self._directory.name))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    @property
    def pid(self) -> int | None:
        """The broker's process id, None when it does not run."""
        return None if self._process is None else self._process.pid

    def _start(self, binary: Path, directory: Path) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        log = directory / "broker.log"
        options = ["--data-dir", str(directory / "data"), "--host", "127.0.0.1", "--kafka-port", str(port)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(binary), "start", "--only", "kafka", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                preexec_fn=end_with_parent(),
            )
        self._wait_until_it_answers(port, log)

    def _wait_until_it_answers(self, port: int, log: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + self.start_timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BrokerProblem(f"the embedded broker ended at once: {last_line(log)}; use --brokers with your own")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.02)
        raise BrokerProblem(f"the embedded broker did not answer within {self.start_timeout_s:g} s: {last_line(log)}")


def _binary() -> Path:
    package = importlib.util.find_spec("noida_db")
    if package is None or package.origin is None:
        raise BrokerProblem("the embedded broker is not installed: pip install 'scrnn-stream[demo]'")
    binary = Path(package.origin).with_name("noida-db.exe" if sys.platform == "win32" else "noida-db")
    if not binary.is_file():
        raise BrokerProblem(f"{binary} is missing: pip install --force-reinstall noida-db")
    binary.chmod(0o755)  # installers drop the bit from package data
    return binary


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_with_parent() -> Callable[[], None] | None:
    """What the child runs before it becomes the broker: Linux then kills it when its parent dies, even by SIGKILL."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork a lock could be held for ever
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
